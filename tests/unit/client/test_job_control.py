"""Who wakes a client that stopped."""

from __future__ import annotations

import pytest

from mailapp.job_control import can_come_back


@pytest.mark.parametrize(
    ("parent", "group", "session", "comes_back"),
    [
        (50, 70, 50, True),  # a shell that began the session put it into a group
        (60, 70, 50, True),  # a shell of a shell
        (40, 50, 50, False),  # it began the session itself
        (1, 7, 1, False),  # an init with a group for it, as in a container
        (1, 1, 1, False),
    ],
)
def test_who_wakes_a_client_that_stopped(
    parent: int, group: int, session: int, comes_back: bool
) -> None:
    assert can_come_back(parent, group, session) is comes_back
