"""A mailbox read in two ways that have nothing in common: our maildrop, and Python's mailbox."""

from __future__ import annotations

import mailbox
import re
from pathlib import Path

from tests.contract import post
from tests.torture.oracle import Found, Violation, fingerprint

from mailserver.store.base import MailStore

_QUOTED = re.compile(rb"^>(?=>*From )", re.M)


def by_maildrop(store: MailStore, user: str) -> list[Found]:
    """As POP3 sends it."""
    return [Found(mail.unique_id, fingerprint(mail.content)) for mail in post.read(store, user)]


def by_python(data: Path, user: str) -> list[bytes]:
    """Contents as POP3 would send them, as any program sees the file."""
    path = data / user / "mymailbox"
    if not path.exists():
        return []
    box = mailbox.mbox(path, create=False)
    try:
        contents = [_QUOTED.sub(b"", box.get_bytes(key)) for key in box.iterkeys()]
    finally:
        box.close()
    return [content.replace(b"\n", b"\r\n") for content in contents]


def both(store: MailStore, data: Path, user: str) -> list[Found]:
    """They must see the same. Raises Violation."""
    ours = by_maildrop(store, user)
    theirs = list(map(fingerprint, by_python(data, user)))
    if [mail.fingerprint for mail in ours] != theirs:
        raise Violation(f"{user}: POP3 shows {len(ours)} messages, Python's mailbox {len(theirs)}")
    return ours
