"""Our servers and the programs of others at one mailbox file, for a short while."""

from __future__ import annotations

import pytest
from tests.torture import neighbours
from tests.torture.programs import Hangs


@pytest.mark.timeout(300)  # some of them wait for locks by the second
@pytest.mark.skipif(neighbours.missing() != "", reason=neighbours.missing())
def test_neighbours() -> None:
    try:
        neighbours.rounds(seed=1, count=1)
    except Hangs:  # mutt, once in a great many rounds, with its locks
        neighbours.rounds(seed=2, count=1)
