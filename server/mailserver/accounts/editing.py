"""Changes to the text of a users.txt that leave everything else as it was written.

All functions take and give the file's octets, and know a user by any case of the name.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailserver.accounts import credential
from mailserver.accounts.credential import Hashed
from mailserver.accounts.users_list import words


def put(octets: bytes, name: str, hashed: Hashed) -> bytes:
    """The user's line with this behind the name; a new line at the end for a new user."""
    text = credential.write(hashed).encode()
    lines = octets.split(b"\n")
    for number in _lines_of(lines, name):
        written = words(lines[number])[0].encode()
        end = b"\r" if lines[number].endswith(b"\r") else b""
        lines[number] = written + b" " + text + end
        return b"\n".join(lines)  # the first one counts
    if lines[-1]:
        lines.append(b"")
    return b"\n".join([*lines[:-1], name.encode() + b" " + text, b""])


def remove(octets: bytes, name: str) -> bytes:
    """Without the user: without all lines of that name, or else the second would count now."""
    lines = octets.split(b"\n")
    for number in reversed(list(_lines_of(lines, name))):
        del lines[number]
    return b"\n".join(lines)


def _lines_of(lines: list[bytes], name: str) -> Iterator[int]:
    for number, line in enumerate(lines):
        try:
            if words(line)[0].lower() == name.lower():
                yield number
        except UnicodeDecodeError:
            continue
