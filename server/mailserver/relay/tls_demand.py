"""What has to be shown by TLS before a host gets mail, as a value."""

from __future__ import annotations

from mailserver.relay.dane import Tlsa
from mailserver.wire.value import value


@value(frozen=True, slots=True)
class Encrypted:
    """TLS with anybody."""

    asked_by: str


@value(frozen=True, slots=True)
class Valid:
    """A certificate that leads to a root, for one of these names."""

    names: tuple[str, ...]
    asked_by: str


@value(frozen=True, slots=True)
class Pinned:
    """A certificate that these records mean (RFC 7672). Where they mean an authority, it has to be
    for one of the names, the first of which is asked for."""

    records: tuple[Tlsa, ...]
    names: tuple[str, ...]
    asked_by: str = "DANE"


@value(frozen=True, slots=True)
class Opportunistic:
    """TLS where it is to be had, else in the clear (RFC 7435)."""

    tested: Valid | None = None
    """What the domain wants to be told of when it fails, and no more (RFC 8461 5)."""


Demand = Opportunistic | Encrypted | Valid | Pinned
"""From the weakest to the strongest."""

ANYTHING: Demand = Opportunistic()
_STRENGTH = (Opportunistic, Encrypted, Valid, Pinned)


def stronger(one: Demand, other: Demand) -> Demand:
    """The one that asks for more; the first, if both ask for the same."""
    return max(one, other, key=lambda demand: _STRENGTH.index(type(demand)))
