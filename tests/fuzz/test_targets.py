"""A small part of the long run (`make fuzz`): every target gets some inputs, and any octets."""

from __future__ import annotations

import os
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fuzz import __main__ as fuzz
from tests.fuzz.on_disk import Mbox
from tests.fuzz.on_the_wire import Pop3
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "300"))
FEW = {"smtp-in-pieces": 40, "mailbox": 100, "smtp": 150}


@pytest.mark.parametrize("name", TARGETS)
def test_inputs_with_something_wrong(name: str) -> None:
    count = fuzz.Count()
    inputs = min(EXAMPLES, FEW.get(name, EXAMPLES))
    fuzz.run(name, time.time_ns() >> 10, 0, inputs, float("inf"), count)
    assert count.inputs == inputs


@pytest.mark.parametrize("name", sorted(TARGETS.keys() - FEW.keys()))
def test_any_octets(name: str) -> None:
    target = TARGETS[name]()

    @settings(
        max_examples=EXAMPLES // 3, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    @given(st.binary(max_size=300))
    def check(data: bytes) -> None:
        target.check(data)

    try:
        check()
    finally:
        target.close()


def test_an_input_follows_from_its_seed_and_number() -> None:
    assert fuzz.made(Mbox(), 7, 4711) == fuzz.made(Mbox(), 7, 4711)
    assert fuzz.made(Mbox(), 7, 4711) != fuzz.made(Mbox(), 8, 4711)


def test_a_number_of_inputs_is_shared_out_among_all() -> None:
    parts = {name: inputs for name, inputs, _ in fuzz.rounds(list(TARGETS), 10_000_000, 1.0)}
    assert parts.keys() == TARGETS.keys()
    assert abs(sum(parts.values()) - 10_000_000) < len(parts)
    assert min(parts.values()) > 10_000
    assert list(fuzz.rounds(["mbox"], 5, 1.0)) == [("mbox", 5, float("inf"))]


def test_keys_are_derived_aside() -> None:
    """SCRAM's keys of alice take more than all else here, and do not count."""
    target = Pop3()
    exchange = b"AUTH SCRAM-SHA-256 biwsbj1hbGljZSxyPWE=\r\n*\r\nQUIT\r\n"
    try:
        target.timed(exchange)  # it makes its machine
        seconds = min(target.timed(exchange) for _ in range(3))
        assert seconds < fuzz.allowed(exchange)
        assert target.apart > 3 * seconds
    finally:
        target.close()


class Broken(Target):
    """Does not like one octet in 256, and takes its time over another one."""

    seeds = (bytes(range(200)),)

    def check(self, data: bytes) -> None:
        if data.endswith(b"\xff"):
            raise KeyError("no")
        if data.endswith(b"\xfe"):
            while True:
                sum(range(1000))
                if time.thread_time() - self.began > 0.05:
                    return

    def make(self, chance: object) -> bytes:
        self.began = time.thread_time()
        return super().make(chance)  # type: ignore[arg-type]


def test_a_fault_is_found_and_says_how_to_have_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(TARGETS, "broken", Broken)
    monkeypatch.setattr("sys.argv", ["fuzz", "--seconds", "20", "--target", "broken"])
    assert fuzz.main() == 1
    said = capsys.readouterr().out
    assert "KeyError: 'no'" in said or "s of the processor" in said
    again = said.partition("--repeat ")[2].partition('"')[0]
    if "KeyError" in said:
        with pytest.raises(KeyError):
            fuzz.repeat(again)
