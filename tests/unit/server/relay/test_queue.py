"""Scheduling, with a clock that is moved: five days take no time."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailserver.relay import queue as queues
from mailserver.relay.backoff import JITTER, Patience
from mailserver.relay.queue import Job, Most, Queue

DAY = 86_400.0


def middle() -> float:
    return 0.5


def new_queue(most: Most | None = None, seed: int | None = None) -> Queue:
    chance = middle if seed is None else random.Random(seed).random
    return Queue(most or Most(), Patience(first=60, longest=3600), chance)


def test_waits_grow_to_the_longest_and_no_further() -> None:
    patience = Patience(first=300, longest=14_400)
    waits = [patience.wait(tries, middle) for tries in (1, 2, 3, 4, 5, 6, 7, 8, 1000)]
    assert waits == [300, 600, 1200, 2400, 4800, 9600, 14_400, 14_400, 14_400]


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_a_wait_is_never_far_from_its_middle(tries: int, chance: float) -> None:
    patience = Patience()
    wait, middle_wait = patience.wait(tries, lambda: chance), patience.wait(tries, middle)
    assert middle_wait * (1 - JITTER) * 0.999 <= wait <= middle_wait * (1 + JITTER) * 1.001


def test_five_days_have_a_decent_number_of_tries() -> None:
    """RFC 5321 4.5.4.1: half an hour between tries in general, a few more at the beginning."""
    patience, at, tries = Patience(), 0.0, 0
    while at < patience.lifetime:
        tries += 1
        at += patience.wait(tries, middle)
    assert 25 < tries < 50


def test_several_queues_have_no_more_than_one() -> None:
    most = Most(connections=200, to_one=20)
    assert most.share(1) == most
    assert most.share(4) == Most(connections=50, to_one=5, at_first=1)
    assert Most(connections=200, to_one=3).share(2) == Most(connections=100, to_one=1, at_first=1)


def test_one_connection_where_no_more_are_allowed() -> None:
    queue = new_queue(Most(to_one=1))
    for name in ("m", "n"):
        queue.add(Job(name, "b.test"), 0)
    assert queue.take(0) is not None
    assert queue.take(0) is None


def test_a_job_comes_when_it_is_due_and_not_before() -> None:
    queue = new_queue()
    job = Job("m", "b.test")
    queue.add(job, 10)
    assert queue.next_due(0) == 10
    assert queue.take(9.9) is None
    assert queue.take(10) == job
    assert queue.take(10) is None
    assert queue.is_at_work(job)
    queue.add(job, 50)
    queue.done(job)
    queue.left("b.test", 11, answered=True)
    assert not queue.is_at_work(job)
    assert queue.next_due(11) == 50
    assert len(queue) == 1


def test_a_job_can_be_put_off_brought_forward_and_discarded() -> None:
    queue = new_queue()
    job, other = Job("m", "b.test"), Job("n", "b.test")
    queue.add(job, 10)
    queue.add(job, 100)
    assert queue.take(50) is None
    queue.add(job, 0)
    assert queue.take(50) == job
    queue.add(other, 0)
    queue.discard(other)
    assert queue.take(50) is None
    queue.add(job, 60)
    queue.discard(job)  # while it is at work
    queue.done(job)
    assert len(queue) == 0


def test_a_ready_job_that_is_put_off_is_taken_once() -> None:
    queue = new_queue(Most(connections=1))
    one, two = Job("1", "b.test"), Job("2", "b.test")
    queue.add(one, 0)
    queue.add(two, 0)
    assert queue.take(1) == one
    queue.add(two, 5)
    queue.add(two, 0)
    assert queue.more("b.test", 1, 1) == two
    assert queue.more("b.test", 2, 10) is None


def test_connections_are_bounded_at_a_destination_and_in_all() -> None:
    queue = new_queue(Most(connections=5, to_one=3))
    for number in range(20):
        queue.add(Job(f"m{number}", "b.test"), 0)
        queue.add(Job(f"m{number}", "c.test"), 0)
    taken = []
    while (job := queue.take(1)) is not None:
        taken.append(job.destination)
    assert Counter(taken) == {"b.test": 1, "c.test": 1}  # nobody knows whether they answer
    for name in ("b.test", "c.test"):
        queue.greeted(name)
    while (job := queue.take(1)) is not None:
        taken.append(job.destination)
    assert Counter(taken) == {"b.test": 2, "c.test": 2}
    for job in (Job("m0", "b.test"), Job("m1", "b.test")):  # what goes well may have one more
        queue.done(job)
        queue.left("b.test", 1, answered=True)
    while (job := queue.take(1)) is not None:
        taken.append(job.destination)
    assert Counter(taken) == {"b.test": 5, "c.test": 2}
    assert queue.next_due(1) is None


def test_the_dead_take_half_of_the_connections_at_most() -> None:
    """However long it takes until they are known to be dead."""
    queue = new_queue(Most(connections=10, to_one=3))
    for number in range(300):
        for name in (f"dead{number}.test", f"live{number % 3}.test"):
            queue.add(Job(f"m{number}", name), 0)
    hanging = delivered = 0
    while (job := queue.take(1)) is not None:
        name = job.destination
        if name.startswith("dead"):
            hanging += 1
            continue
        queue.greeted(name)
        following: Job | None = job
        while following is not None:
            queue.done(following)
            delivered += 1
            following = queue.more(name, 1, 1)
        queue.left(name, 1, answered=True)
    assert (hanging, delivered) == (5, 300)
    assert queue.next_due(1) is None


def test_a_destination_with_ten_thousand_messages_does_not_starve_a_thousand_others() -> None:
    queue = new_queue(Most(connections=10))
    for number in range(10_000):
        queue.add(Job(f"m{number}", "big.test"), 0)
    for number in range(1000):
        queue.add(Job("m", f"d{number}.test"), 0)
    began = []
    while len(began) < 1100:
        job = queue.take(1)
        assert job is not None
        began.append(job.destination)
        queue.done(job)
        queue.left(job.destination, 1, answered=True)
    assert len(set(began)) == 1001


def test_a_connection_goes_on_until_others_have_waited_long_enough() -> None:
    queue = new_queue(Most(in_a_row=3))
    for number in range(9):
        queue.add(Job(f"m{number}", "b.test"), 0)
    first = queue.take(1)
    assert first is not None
    assert queue.more("b.test", 2, 1) is not None
    assert queue.more("b.test", 3, 1) is None  # its own next connection waits for a turn
    while queue.take(1):
        pass
    assert queue.more("b.test", 3, 1) is not None  # nobody waits


def test_a_silent_destination_is_left_alone_longer_each_time() -> None:
    queue, now, silences = new_queue(), 0.0, []
    job = Job("m", "dead.test")
    for _ in range(9):
        queue.add(job, now)
        assert queue.take(now) == job
        queue.done(job)
        queue.left("dead.test", now, answered=False)
        began = now
        while queue.is_silent("dead.test", now):
            now += 1
        silences.append(now - began)
    assert silences == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    queue.add(job, now)
    assert queue.take(now) == job
    queue.done(job)
    queue.left("dead.test", now, answered=True)
    assert not queue.is_silent("dead.test", now)


def test_connections_that_fail_together_count_once() -> None:
    queue = new_queue()
    for number in range(2):
        queue.add(Job(f"m{number}", "dead.test"), 0)
    assert queue.take(0)
    assert queue.take(0)
    for number in range(2):
        queue.done(Job(f"m{number}", "dead.test"))
        queue.left("dead.test", 0, answered=False)
    assert not queue.is_silent("dead.test", 61)


def test_what_is_put_off_without_a_connection_tells_nothing() -> None:
    queue = new_queue()
    queue.add(Job("m", "dead.test"), 0)
    assert queue.take(0)
    queue.done(Job("m", "dead.test"))
    queue.left("dead.test", 0, answered=False)
    queue.add(Job("n", "dead.test"), 0)
    assert queue.take(1)
    queue.done(Job("n", "dead.test"))
    queue.left("dead.test", 1, answered=None)
    assert queue.is_silent("dead.test", 1)


def test_destinations_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "DESTINATIONS_LIMIT", 5)
    queue = new_queue()
    for number in range(50):
        name = f"d{number}.test"
        queue.add(Job("m", name), 0)
        assert queue.take(number * 1000)
        queue.done(Job("m", name))
        queue.left(name, number * 1000, answered=number % 2 == 0)
    assert len(queue._destinations) <= 7


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), dead=st.floats(0, 0.5), messages=st.integers(1, 150))
def test_five_days_of_a_whole_queue(seed: int, dead: float, messages: int) -> None:
    """Each message is delivered or tried for five days; no bound is ever broken."""
    chance = random.Random(seed)
    most = Most(connections=8, to_one=3, in_a_row=4)
    queue, patience = new_queue(most, seed), Patience()
    dead_until = {
        f"d{n}.test": chance.uniform(0, 6 * DAY) if chance.random() < dead else 0.0
        for n in range(12)
    }
    jobs = [Job(f"m{n}", chance.choice(list(dead_until))) for n in range(messages)]
    arrived = {job: chance.uniform(0, DAY) for job in jobs}
    tries: Counter[Job] = Counter()
    ended: dict[Job, float] = {}
    for job in jobs:
        queue.add(job, arrived[job])
    now, at_work, connections = 0.0, set[Job](), Counter[str]()

    def work(job: Job, *, alive: bool) -> None:
        assert job not in at_work | ended.keys()
        tries[job] += 1
        if alive or now > arrived[job] + patience.lifetime:
            ended[job] = now
        else:
            due = now + patience.wait(tries[job], chance.random)
            queue.add(job, min(due, arrived[job] + patience.lifetime + 1))
        queue.done(job)

    while len(queue):
        due = queue.next_due(now)
        assert due is not None
        now = max(now, due)
        begun: list[Job] = []
        while (job := queue.take(now)) is not None:
            begun.append(job)
            connections[job.destination] += 1
            assert connections.total() <= most.connections
            assert connections[job.destination] <= most.to_one
        now += chance.uniform(0, 5)
        for first in begun:
            name, done, following = first.destination, 0, first
            silent = queue.is_silent(name, now)
            alive = not silent and now >= dead_until[name]
            if alive:
                queue.greeted(name)
            while following is not None:
                work(following, alive=alive)
                done += 1
                following = queue.more(name, done, now) if alive else None
            connections[name] -= 1
            queue.left(name, now, answered=None if silent else alive)
    assert ended.keys() == set(jobs)
    for job, at in ended.items():
        up = max(arrived[job], dead_until[job.destination])
        too_late = arrived[job] + patience.lifetime
        assert at <= min(up + 1.3 * patience.longest, too_late) + 7200
