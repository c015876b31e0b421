"""A mailbox file and its index written anew, beside the old ones. No state, no locks."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from mailserver import durable
from mailserver.store import index
from mailserver.store.index import Entry
from mailserver.store.pieces import INDEX, MAILBOX, end_of


@contextmanager
def beside(mailbox: int, folder: int) -> Iterator[int]:
    """A new file `mymailbox.new`, of the owner and the mode of the mailbox, to be filled and
    renamed; it is removed if anything is raised. Raises OSError."""
    name = f"{MAILBOX}.new"
    new = durable.open_file(name, folder, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        _keep_owner(mailbox, new)
        yield new
    except BaseException:
        durable.remove(name, folder)
        raise
    finally:
        os.close(new)


def moved(kept: list[Entry], lead: int) -> list[Entry]:
    """Where these are when nothing but so many octets is before them, and nothing between them."""
    entries, place = [], lead
    for entry in kept:
        entries.append(Entry(place, *entry[1:]))
        place += entry.length
    return entries


def _keep_owner(mailbox: int, new: int) -> None:
    """As far as the system lets us."""
    old, made = os.fstat(mailbox), os.fstat(new)
    if (old.st_uid, old.st_gid) != (made.st_uid, made.st_gid):
        with suppress(PermissionError):
            os.fchown(new, old.st_uid, old.st_gid)
    os.fchmod(new, stat.S_IMODE(old.st_mode))


def replace_index(folder: int, mailbox: int, entries: list[Entry]) -> None:
    """Make the index of this mailbox file, by its descriptor, if that can be done: it can always be
    made again."""
    name = f"{INDEX}.new"
    found = os.fstat(mailbox)
    octets = index.pack_header(found.st_ino, end_of(entries), found.st_ctime_ns) + index.pack(
        entries
    )
    with suppress(OSError):
        fd = durable.open_file(name, folder, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            durable.write_at(fd, octets, 0)
            os.rename(name, INDEX, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError:
            durable.remove(name, folder)
        finally:
            os.close(fd)
