"""After a crash: what the journals promise is written again into the mailbox files.

Whoever starts does it, before anything else looks at a mailbox, for the journals whose process is
gone. All of it may be done twice: a record goes to the place that it has in the journal, and only
if the mailbox is still the edition that it was promised for.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress

from mailserver import durable
from mailserver.store import intake
from mailserver.store.base import MailboxUnusable
from mailserver.store.intake import Promise
from mailserver.store.mailbox_file import MailboxFile
from mailserver.store.opened import SetAside
from mailserver.store.orphans import orphans
from mailserver.store.pieces import MAILBOX

log = logging.getLogger(__name__)

LOCK_SECONDS = 60.0
"""How long a mailbox that another process writes to is waited for."""


def recover(data_folder: int, journals: int, set_aside: SetAside) -> None:
    """All journals in the folder `journals` whose process is gone are done with, and empty. For
    one process at a time (`intake.alone`). Raises OSError."""
    with orphans(journals) as left:
        left.secure()
        promises = left.promises()
        if promises:
            count = sum(map(len, promises.values()))
            log.warning("a server did not stop: %d messages of its journal are looked at", count)
        redo(data_folder, promises, set_aside)
        left.end()


def redo(data_folder: int, promises: Mapping[str, Sequence[Promise]], set_aside: SetAside) -> None:
    """Every mailbox has what it was promised, on stable storage. Raises OSError."""
    for user, of_user in sorted(promises.items()):
        with suppress(FileNotFoundError):  # somebody removed it
            found = os.stat(f"{user}/{MAILBOX}", dir_fd=data_folder, follow_symlinks=False)
            doubtful = intake.is_doubtful(data_folder, found.st_ino)
            suspect = found.st_ino if doubtful else None
            _redo(data_folder, user, of_user, set_aside, suspect)


def _redo(
    data_folder: int,
    user: str,
    promises: Sequence[Promise],
    set_aside: SetAside,
    suspect: int | None,
) -> None:
    try:
        file = MailboxFile(data_folder, user, set_aside)
        try:
            if not file.lock(LOCK_SECONDS, replace=suspect is not None):
                raise OSError(errno.EBUSY, f"{user}: another program keeps the mailbox")
            if suspect is not None:
                file.suspect(suspect)
            try:
                file.redo(promises)
            except OSError as error:
                if durable.is_full(error):
                    raise
                file.redo(promises)  # what a sync has lost is written into a new file now
        finally:
            file.close()
    except MailboxUnusable as problem:
        log.error("%d messages for %s stay in no mailbox: %s", len(promises), user, problem)
