"""Our servers and the programs of others at one mailbox file, for a short while."""

from __future__ import annotations

import pytest
from tests.torture import neighbours


@pytest.mark.timeout(300)  # some of them wait for locks by the second
@pytest.mark.skipif(neighbours.missing() != "", reason=neighbours.missing())
def test_neighbours() -> None:
    neighbours.rounds(seed=1, count=1)
