"""What one connection may use, and the capabilities that say so (RFC 2449)."""

from __future__ import annotations

from mailserver.wire.value import value

COMMANDS_A_MESSAGE = 3
"""LIST, UIDL and DELE, say."""
LANGUAGES = {"en": "English"}
"""Of the replies; RFC 5646 tags, each with its name in the language itself."""


@value(frozen=True, slots=True)
class Offer:
    """Passed in: the session itself cannot know what is safe on its connection."""

    mechanisms: tuple[str, ...] = ()
    """Of AUTH, the strongest first; those that send a password in the clear only where it may."""
    clear_passwords: bool = True
    """USER and PASS may be used."""
    timestamp: str = ""
    """Of the greeting, for APOP: a msg-id, another one for each connection; "": no APOP."""
    stls: bool = False
    """TLS can be begun."""
    login_delay: int = 0
    """Seconds from one login of a user to his next."""
    commands: int = 20_000
    """Without a message fetched between them; in a maildrop `COMMANDS_A_MESSAGE` more for each."""
    errors: int = 20
    """Faulty commands in a session; the last one ends it."""


def capabilities(offer: Offer, *, logged_in: bool) -> list[str]:
    """RFC 2449 5: all that is true in this state, and what was true before the login."""
    rows = [
        ("USER", offer.clear_passwords),
        (f"SASL {' '.join(offer.mechanisms)}", offer.mechanisms),
        # RFC 2595 4: "permitted in the current state"
        ("STLS", offer.stls and not logged_in),
        ("UTF8 USER", True),
        ("LANG", True),
        ("TOP", True),
        ("UIDL", True),
        ("RESP-CODES", True),
        ("AUTH-RESP-CODE", True),
        ("PIPELINING", True),
        (f"LOGIN-DELAY {offer.login_delay}", offer.login_delay),
        ("EXPIRE NEVER", True),
        ("IMPLEMENTATION mailserver", True),
    ]
    return [capability for capability, there in rows if there]


def languages(wanted: str) -> list[str]:
    """The tags that a basic language range matches (RFC 4647 3.3.1); `*` matches all."""
    return [tag for tag in LANGUAGES if wanted == "*" or f"{tag}-".startswith(f"{wanted}-")]
