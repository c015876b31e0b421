"""A few of the kills of `make torture`: of a server that relays, with people who send and servers
beyond it that misbehave; and what they find where the queue has a bug."""

from __future__ import annotations

import pytest
from tests.torture import queue_kill
from tests.torture.oracle import Violation
from tests.torture.planted import record_after_the_next_message


def test_what_was_promised_comes_to_its_end_once() -> None:
    print(queue_kill.rounds(seed=7, count=4))


@pytest.mark.parametrize("bug", [record_after_the_next_message.__name__])
def test_a_planted_bug_is_found(bug: str) -> None:
    with pytest.raises(Violation):
        queue_kill.rounds(seed=7, count=3, bug=bug)
