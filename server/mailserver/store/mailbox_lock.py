"""The right to write a mailbox: our own lock, and within it those that other programs respect.

    .write            flock, between our processes; freed by the kernel when one dies
    mymailbox         a write lock by fcntl(2) on its open file description, as mutt, Dovecot,
                      procmail, Postfix and Python's mailbox have on it
    mymailbox.lock    a dotlock; ours is another name of `.write`

Who appends takes the fcntl lock and then looks for a dotlock. That keeps out every program that
has both when it writes, in whatever order it took them, and keeps the dotlock to its end: it either
has the dotlock when we look, or still has to get the fcntl lock, which we hold. Only a program that
knows nothing but the dotlock needs one of ours, which costs five times as much.

Who replaces the file makes a dotlock, for the fcntl lock is on the file that goes: a program that
takes the dotlock before it opens the file must not open the old one.

None of them is ever waited for while another but `.write` is held, so nobody's order can make a
deadlock of it (docs/adr/0010).
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import struct
import time
from contextlib import suppress
from enum import Enum

from mailserver import durable
from mailserver.store.locks import FileLock, wait_for
from mailserver.store.pieces import MAILBOX, open_mailbox

log = logging.getLogger(__name__)

WRITE_LOCK = ".write"
DOTLOCK = f"{MAILBOX}.lock"
ABANDONED_SECONDS = 600.0
"""A dotlock this old, on a mailbox that did not change meanwhile, is nobody's any more, unless it
names a process of this machine that lives."""

# struct flock: type, whence, start, length, process (0: the open file description has it)
_WHOLE_FILE = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
_HOLDER = re.compile(rb"\s*(\d{1,9})(?::(\S+))?\s*")
_NONE = -1  # no descriptor


class Foreign(Enum):
    """Which locks of other programs are taken."""

    OFF = "off"
    FCNTL = "fcntl"
    """And a dotlock is respected, and taken where the file is replaced."""
    DOTLOCK = "dotlock"
    """A dotlock each time."""


class MailboxLock:
    """Of one user's mailbox."""

    def __init__(self, folder: int, user: str, foreign: Foreign) -> None:
        """`folder`: the user's, which stays open as long as this. Raises OSError."""
        self._folder = folder
        self._user = user
        self._foreign = foreign
        self._write = FileLock(WRITE_LOCK, folder)
        self._mailbox = _NONE  # with the fcntl lock on it
        self._dotlocked = False

    def acquire(self, timeout: float, *, replace: bool = False) -> bool:
        """Take all of them, waiting at most `timeout` seconds for ours and as long for the others'.
        False: somebody writes; nothing is held then. The mailbox is there afterwards, if only as an
        empty file. `replace`: it may be replaced. Raises MailboxUnusable, OSError."""
        if not self._write.acquire(timeout):
            return False
        try:
            if wait_for(lambda: self._try_foreign(replace=replace), timeout):
                return True
        except BaseException:
            self.release()
            raise
        self.release()
        return False

    def release(self) -> None:
        """Free all of them."""
        try:
            self._release_foreign()
        finally:
            self._write.release()

    def close(self) -> None:
        """Free them for good."""
        try:
            self._release_foreign()
        finally:
            self._write.close()

    def _try_foreign(self, *, replace: bool) -> bool:
        if self._foreign is Foreign.OFF:
            return True
        try:
            self._mailbox, _ = open_mailbox(self._folder, self._user, os.O_RDWR | os.O_CREAT)
            # Looked for before, too: Python's mailbox, when it has put a new file in place under
            # its dotlock, tries to lock that file once, and breaks off if it can't.
            free = not self._is_dotlocked() and self._try_fcntl() and not self._is_dotlocked()
            if replace or self._foreign is Foreign.DOTLOCK:
                free = free and self._try_dotlock()
            # Between opening and locking it, another program may have replaced the file.
            free = free and self._in_place()
        except BaseException:
            self._release_foreign()
            raise
        if not free:
            self._release_foreign()
        return free

    def _release_foreign(self) -> None:
        if self._dotlocked:
            self._dotlocked = False
            try:
                self._remove_dotlock(self._write.inode)
            except OSError as error:  # what was done is done; our next one knows it by its inode
                log.warning("%s: %s stays: %s", self._user, DOTLOCK, error)
        if self._mailbox != _NONE:
            os.close(self._mailbox)  # nobody else has this description: its lock goes too
            self._mailbox = _NONE

    # -- the mailbox -------------------------------------------------------------------------------

    def _try_fcntl(self) -> bool:
        try:
            fcntl.fcntl(self._mailbox, fcntl.F_OFD_SETLK, _WHOLE_FILE)
        except (BlockingIOError, PermissionError):  # EAGAIN or EACCES (fcntl(2))
            return False
        return True

    def _in_place(self) -> bool:
        try:
            found = os.stat(MAILBOX, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return found.st_ino == os.fstat(self._mailbox).st_ino

    # -- the dotlock -------------------------------------------------------------------------------

    def _try_dotlock(self) -> bool:
        """It cannot fail for want of a block: the file is there, only a name is added."""
        try:
            self._write.say(b"%d:%s" % (os.getpid(), os.uname().nodename.encode()))
            os.link(WRITE_LOCK, DOTLOCK, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except FileExistsError:
            return False
        except OSError as error:
            # Who wants to delete on a full disk has the fcntl lock, at least.
            if not durable.is_full(error):
                raise
            return True
        self._dotlocked = True
        return True

    def _is_dotlocked(self) -> bool:
        """By another program that may still be at work."""
        try:
            found = os.stat(DOTLOCK, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if found.st_ino == self._write.inode:
            # Ours is there only while we have `.write`: whoever made this one was killed.
            self._remove_dotlock(found.st_ino)
            return False
        if self._is_abandoned(found):
            log.warning("%s: %s was left behind; it is removed", self._user, DOTLOCK)
            self._remove_dotlock(found.st_ino)
            return False
        return True

    def _is_abandoned(self, found: os.stat_result) -> bool:
        changed = max(found.st_mtime, os.fstat(self._mailbox).st_mtime)
        return time.time() - changed > ABANDONED_SECONDS and not self._holder_lives()

    def _holder_lives(self) -> bool:
        """The dotlock names a process of this machine, and there is one."""
        with suppress(OSError):
            fd = durable.open_file(DOTLOCK, self._folder, os.O_RDONLY)
            try:
                named = _HOLDER.fullmatch(os.read(fd, 300))
            finally:
                os.close(fd)
            if named is None or named[2] not in (None, os.uname().nodename.encode()):
                return False
            return os.path.exists(f"/proc/{int(named[1])}")
        return False

    def _remove_dotlock(self, inode: int) -> None:
        """If it is still this one: another program may have taken it for abandoned."""
        with suppress(FileNotFoundError):
            if os.stat(DOTLOCK, dir_fd=self._folder, follow_symlinks=False).st_ino == inode:
                os.unlink(DOTLOCK, dir_fd=self._folder)
