"""What an address tells."""

from __future__ import annotations

import pytest

from mailserver.wire.peer import is_near, is_own, network_of


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_what_counts_as_one_address(peer: str, network: str) -> None:
    assert network_of(peer) == network


@pytest.mark.parametrize(
    ("peer", "own", "near"),
    [
        ("127.0.0.1", True, True),
        ("127.9.9.9", True, True),
        ("::1", True, True),
        ("172.17.0.1", False, True),
        ("10.1.2.3", False, True),
        ("fd00::1", False, True),
        ("fe80::1", False, True),
        ("8.8.8.8", False, False),
        ("2a00::1", False, False),
        ("", False, False),
        ("x", False, False),
    ],
)
def test_own_and_near(peer: str, own: bool, near: bool) -> None:
    assert is_own(peer) is own
    assert is_near(peer) is near
