"""Mail put into a store and read back, for all tests of stores."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from mailserver import durable
from mailserver.message.verdict import Verdict
from mailserver.store.base import Delivery, Deposit, Maildrop, MailStore, Staging
from mailserver.store.reach import AT_HAND

FROM_LINE = b"From alice@mailserver Mon Nov 23 14:05:09 2026\n"
CONTENT = b"Subject: tea\r\n\r\nAt five.\r\n"

MORE = int(os.environ.get("MORE_EXAMPLES", "1"))
"""How many times the usual number of examples hypothesis tries."""

_marks = itertools.count(1)


NO_SUCH_CALL = (errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.EOPNOTSUPP)


def needs_to_know_what_is_in_memory(folder: Path) -> None:
    """Skips the test where kernel or file system cannot tell; leaves a file `probe`."""
    (folder / "probe").write_bytes(b"probe")
    parent = durable.open_folder(str(folder))
    try:
        fd = AT_HAND.open_file("probe", parent, os.O_RDONLY)
        assert AT_HAND.read(fd, 100, 2) == b"obe"
        os.close(fd)
    except OSError as error:
        if error.errno not in NO_SUCH_CALL:
            raise
        pytest.skip(f"nobody can tell here: {error.strerror}")
    finally:
        os.close(parent)


class Mail(NamedTuple):
    """A message in a maildrop."""

    unique_id: str
    content: bytes


def staged(store: MailStore, content: bytes, piece: int = 64 * 1024) -> Staging:
    """A message on its way in, as the SMTP side brings it: spilled whenever it is overfull."""
    staging = store.stage()
    for start, end in pieces(content, piece):
        staging.write(content[start:end])
        if staging.overfull:
            staging.spill()
    return staging


def pieces(content: bytes, piece: int) -> list[tuple[int, int]]:
    """Cut every `piece` octets, but never between a CR and its LF."""
    cuts = [
        cut + (content[cut - 1 : cut + 1] == b"\r\n") for cut in range(piece, len(content), piece)
    ]
    return list(itertools.pairwise([0, *cuts, len(content)]))


def address(
    staging: Staging, users: Sequence[str], mark: int | None = None
) -> tuple[Deposit, dict[str, bytes]]:
    """A copy for each user, no two alike unless a mark is given; and each copy's head."""
    message = staging.finish()
    mark = mark or next(_marks)
    heads = {
        user: b"Return-Path: <alice@mailserver>\nReceived: by mailserver id %x\n\tfor <%s>\n"
        % (mark, user.encode())
        + message.header_block
        for user in users
    }
    deposit = tuple(Delivery(user, FROM_LINE, head, message.body) for user, head in heads.items())
    return deposit, heads


def deposit_of(
    store: MailStore, users: Sequence[str], content: bytes = CONTENT
) -> tuple[Staging, Deposit, dict[str, bytes]]:
    """What to append, and the content that each user will read."""
    staging = staged(store, content)
    deposit, heads = address(staging, users)
    body = content[_header_octets(content) :]
    read = {user: head.replace(b"\n", b"\r\n") + body for user, head in heads.items()}
    return staging, deposit, read


def _header_octets(content: bytes) -> int:
    """The test's own, simple view: the header ends at the empty line."""
    return 0 if content.startswith(b"\r\n") else content.index(b"\r\n\r\n") + 2


def try_deliver(
    store: MailStore, users: Sequence[str], content: bytes = CONTENT
) -> tuple[Verdict, dict[str, bytes]]:
    """Append one message; the verdict and what each user reads if it was accepted."""
    staging, deposit, read = deposit_of(store, users, content)
    try:
        [verdict] = store.append([deposit])
    finally:
        staging.discard()
    return verdict, read


def deliver(store: MailStore, user: str, content: bytes = CONTENT) -> bytes:
    """Append one message, which must work; what the user reads."""
    verdict, read = try_deliver(store, [user], content)
    assert verdict, verdict
    return read[user]


def listing(maildrop: Maildrop) -> list[Mail]:
    """All messages, read in both ways; the sizes and ids are checked."""
    unique_ids = list(maildrop.unique_ids)
    assert len(set(unique_ids)) == len(unique_ids) == len(maildrop.octets)
    mails = []
    for number, unique_id in enumerate(unique_ids, 1):
        assert 1 <= len(unique_id) <= 70
        assert all("!" <= octet <= "~" for octet in unique_id)
        content = b"".join(maildrop.content(number))
        assert len(content) == maildrop.octets[number - 1]
        at_hand = maildrop.content_at_hand(number)
        assert at_hand is None or at_hand == content
        mails.append(Mail(unique_id, content))
    return mails


def read(store: MailStore, user: str) -> list[Mail]:
    """Log in, read all, leave."""
    maildrop = store.open_maildrop(user)
    try:
        return listing(maildrop)
    finally:
        maildrop.close()


def contents(store: MailStore, user: str) -> list[bytes]:
    """The messages' contents alone."""
    return [mail.content for mail in read(store, user)]


def delete(store: MailStore, user: str, *numbers: int) -> None:
    """Log in, delete, QUIT."""
    maildrop = store.open_maildrop(user)
    try:
        maildrop.delete(numbers)
    finally:
        maildrop.close()
