"""Files made of messages: safe names, never over another file, for nobody else to read."""

from __future__ import annotations

import os
import tempfile
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from mailapp import content
from mailapp.mailbox import Message
from mailapp.mime import Part
from mailapp.value import value

MAX_NAME_OCTETS = 200  # of 255: room for a number
MAX_COPIES = 1000
_CHUNK_OCTETS = 65_536
_NOT_IN_NAMES = frozenset('/\\:*?"<>|')


@value(frozen=True)
class Enclosed:
    """A part that is kept apart from the text. Its name is as the sender had it: not yet safe."""

    number: int  # from 1
    name: str  # may be empty
    content_type: str
    octets: int  # about, when decoded
    part: Part


def folder() -> Path:
    """Where new files go unless a path is typed: here, or, if nobody may, to the temporary ones."""
    if not os.access(".", os.W_OK | os.X_OK):
        with suppress(FileNotFoundError):
            return Path(tempfile.gettempdir())
    return Path()


def offered(name: str) -> str:
    """A path for a new file of this name."""
    return str(folder() / name)


def enclosed(message: Message) -> list[Enclosed]:
    """What can be saved of a message, in its order."""
    parts = message.structure.parts
    shown = set(content.parts_to_show(parts))
    apart = [
        part
        for at, part in enumerate(parts)
        if (part.is_leaf and at not in shown and not _is_other_form(part))
        or (at and part.content_type == "message/rfc822")
    ]
    return [
        Enclosed(number, part.file_name, part.content_type, content.decoded_size(part), part)
        for number, part in enumerate(apart, start=1)
    ]


def _is_other_form(part: Part) -> bool:
    return part.content_type == "text/html" and not part.is_attachment


def save_enclosed(message: Message, item: Enclosed, where: Path) -> Path:
    """Its octets, decoded, as a new file. Raises OSError."""
    name = item.name or ("message.eml" if item.content_type == "message/rfc822" else "")
    return save(where, name or f"part-{item.number}", content.octets_of(message.content, item.part))


def save_message(message: Message, where: Path, name: str) -> Path:
    """The whole message as it came, as a new file. Raises OSError."""
    message.content.seek(0)
    return save(where, name, iter(lambda: message.content.read(_CHUNK_OCTETS), b""))


def save(where: Path, name: str, chunks: Iterable[bytes]) -> Path:
    """A new file: in the folder `where` under a safe form of the name, or at the path `where`.

    In a folder the name gets a number while there is such a file; a path that is taken raises
    FileExistsError. A file that cannot be written whole is removed again.
    """
    path, descriptor = _new_file(where, safe_name(name))
    try:
        with os.fdopen(descriptor, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def _new_file(where: Path, name: str) -> tuple[Path, int]:
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    if not where.is_dir():
        return where, os.open(where, flags, 0o600)
    stem, extension = os.path.splitext(name)
    for copy in range(1, MAX_COPIES):
        path = where / (name if copy == 1 else f"{stem} ({copy}){extension}")
        try:
            return path, os.open(path, flags, 0o600)
        except FileExistsError:
            continue
    raise FileExistsError(f"there are {MAX_COPIES} files named {name} already")


def safe_name(name: str) -> str:
    """A stranger's file name without folders, control and invisible characters; not `.-~` first."""
    name = name.replace("\\", "/").rpartition("/")[2]
    kept = "".join("_" if _is_unfit(character) else character for character in name)
    kept = kept.strip().lstrip(".-~").strip() or "attachment"
    stem, extension = os.path.splitext(kept)
    extension = _cut(extension, 40)
    return _cut(stem, MAX_NAME_OCTETS - len(extension.encode())) + extension


def _is_unfit(character: str) -> bool:
    if character == " ":
        return False
    return character in _NOT_IN_NAMES or unicodedata.category(character)[0] in "CZ"


def _cut(text: str, octets: int) -> str:
    return text.encode()[:octets].decode("utf-8", "ignore")
