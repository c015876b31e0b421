"""The operating system's calls, failing or killing at will, and what of it is not yet durable.

Only `os` is replaced: it stands for the disk. The calls are numbered as they come; a test lets the
first one fail, then the second, and so on until none is left, as SQLite's tests do.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from types import TracebackType
from typing import Any

from mailserver.store import journal

NAMES = (
    "open",
    "mkdir",
    "stat",
    "pread",
    "pwrite",
    "ftruncate",
    "fchmod",
    "fdatasync",
    "fsync",
    "rename",
    "link",
    "unlink",
)
_REAL: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in NAMES}


class Calls:
    """While it is entered, the calls of `os` go through here; `fault` is asked about each."""

    def __init__(self) -> None:
        self.fault: Fault | None = None
        self.disk = Disk()

    def __enter__(self) -> Calls:
        for name in NAMES:
            setattr(os, name, self._wrapped(name))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for name, real in _REAL.items():
            setattr(os, name, real)

    def _wrapped(self, name: str) -> Callable[..., Any]:
        real = _REAL[name]

        def call(*args: Any, **kwargs: Any) -> Any:
            if self.fault is None:
                return self.disk.do(name, args, kwargs)
            return self.fault.call(self.disk, name, args, kwargs)

        call.__name__ = real.__name__
        return call


class Disk:
    """What a power cut now could take: octets and names that were not synced since.

    A sync that failed has lost them for good, whatever later ones say, unless they are written
    again or the file is cut back behind them.
    """

    def __init__(self) -> None:
        self.images: dict[int, bytearray] = {}  # by inode: what is on stable storage
        self.writes: dict[int, list[tuple[int, bytes]]] = {}  # not synced yet
        self.lost: dict[int, list[tuple[int, bytes]]] = {}  # by a sync that failed
        self.sizes: set[int] = set()  # inodes of files that were cut, not synced
        self.names: set[tuple[int, str]] = set()  # inodes of folders, names in them
        self.renamed_unsynced: list[str] = []

    def do(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Do the call and note what it means."""
        made = name == "open" and self._makes(args, kwargs)
        if name == "rename":
            self._note_rename(args, kwargs)
        result = _REAL[name](*args, **kwargs)
        if made or name == "mkdir":
            self.names.add((_inode(kwargs.get("dir_fd")), str(args[0])))
        elif name == "pwrite":
            fd, octets, offset = args
            self._note_write(_inode(fd), offset, bytes(octets[:result]))
        elif name == "ftruncate":
            self._note_cut(_inode(args[0]), args[1])
        elif name in ("fdatasync", "fsync"):
            self._note_sync(_inode(args[0]))
        return result

    def sync_failed(self, fd: int) -> None:
        """What was not synced yet is lost."""
        inode = _inode(fd)
        self.lost.setdefault(inode, []).extend(self.writes.pop(inode, []))

    def _note_write(self, inode: int, start: int, octets: bytes) -> None:
        end = start + len(octets)
        self.writes.setdefault(inode, []).append((start, octets))
        self.lost[inode] = [
            one for one in self.lost.get(inode, []) if not start <= one[0] <= _end(one) <= end
        ]

    def _note_cut(self, inode: int, size: int) -> None:
        self.sizes.add(inode)
        for noted in (self.writes, self.lost):
            noted[inode] = [
                (at, octets[: size - at]) for at, octets in noted.get(inode, []) if at < size
            ]

    def _note_sync(self, inode: int) -> None:
        image = self.images.setdefault(inode, bytearray())
        for start, octets in self.writes.pop(inode, []):
            image.extend(bytes(max(0, start - len(image))))
            image[start : start + len(octets)] = octets
        self.sizes.discard(inode)
        self.names = {(folder, entry) for folder, entry in self.names if folder != inode}

    def _makes(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        if not args[1] & os.O_CREAT:
            return False
        try:
            _REAL["stat"](args[0], dir_fd=kwargs.get("dir_fd"), follow_symlinks=False)
        except FileNotFoundError:
            return True
        return False

    def _note_rename(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        source, target = args
        folder = kwargs["src_dir_fd"]
        found = _REAL["stat"](source, dir_fd=folder, follow_symlinks=False)
        if self._at_risk(found.st_ino):
            self.renamed_unsynced.append(str(target))
        self.names.discard((_inode(folder), str(source)))
        self.names.add((_inode(kwargs["dst_dir_fd"]), str(target)))

    def at_risk(self, data: str, user: str, file: str) -> list[str]:
        """What of a user's file a power cut could take."""
        folder = os.path.join(data, user)
        found = _REAL["stat"](os.path.join(folder, file))
        risks = []
        risks += self._at_risk(found.st_ino)
        if found.st_ino in self.sizes:
            risks.append("size not synced")
        if (_REAL["stat"](folder).st_ino, file) in self.names:
            risks.append("the file's name")
        if (_REAL["stat"](data).st_ino, user) in self.names:
            risks.append("the folder's name")
        if file in self.renamed_unsynced:
            risks.append("renamed before it was synced")
        return risks

    def _at_risk(self, inode: int) -> list[str]:
        risks = []
        for what, noted in (("not synced", self.writes), ("lost by a failed sync", self.lost)):
            for start, octets in noted.get(inode, []):
                if not self._is_promised(inode, start, octets):
                    risks.append(f"{len(octets)} octets at {start} {what}")
        return risks

    def _is_promised(self, inode: int, start: int, octets: bytes) -> bool:
        """Journals on stable storage have all of it: who starts writes it again."""
        puts = [
            (put, image[at : at + length])
            for image in self.images.values()
            for batch in journal.batches(bytes(image))
            for put, (at, length) in batch.puts
            if put.inode == inode and put.body != journal.APART
        ]
        newest = max((put.edition for put, _ in puts), default=0)  # the others were taken back
        promises = [
            (put.offset, b"%b%b\n" % (put.beginning, body))
            for put, body in puts
            if put.edition == newest
        ]
        at, end = start, start + len(octets)
        while at < end:
            covers = [one for one in promises if one[0] <= at < _end(one)]
            if not covers:
                return False
            offset, record = covers[-1]
            stop = min(end, offset + len(record))
            if record[at - offset : stop - offset] != octets[at - start : stop - start]:
                return False
            at = stop
        return True


def _end(write: tuple[int, bytes]) -> int:
    return write[0] + len(write[1])


def _inode(fd: int | None) -> int:
    return os.fstat(fd).st_ino if fd is not None else 0


class Fault:
    """Something that happens at one call, and at all later ones if it is persistent."""

    def __init__(self, at: int, *, persistent: bool = False) -> None:
        self.at = at  # 1: the first call
        self.persistent = persistent
        self.seen = 0
        self.happened: list[str] = []

    def call(self, disk: Disk, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.seen += 1
        if not self.due(name):
            return disk.do(name, args, kwargs)
        self.happened.append(name)
        return self.strike(disk, name, args, kwargs)

    def due(self, name: str) -> bool:
        return self.seen == self.at or (self.persistent and self.seen > self.at)

    def strike(self, disk: Disk, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        raise NotImplementedError


class Fails(Fault):
    """The call fails. Half of what a failing write had is written, as a full disk does it."""

    def __init__(self, at: int, code: int, *, persistent: bool = False) -> None:
        super().__init__(at, persistent=persistent)
        self.code = code

    def strike(self, disk: Disk, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if name in ("fdatasync", "fsync"):
            disk.sync_failed(args[0])
        if name == "pwrite" and self.code == errno.ENOSPC:
            _half(disk, args)
        raise OSError(self.code, os.strerror(self.code), name)


class Short(Fault):
    """A write writes half of what it should and says so; other calls are not touched."""

    def strike(self, disk: Disk, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if name == "pwrite":
            return _half(disk, args)
        return disk.do(name, args, kwargs)


class Kills(Fault):
    """The process is killed before the call, after it, or with half of it done."""

    def __init__(self, at: int, when: str) -> None:
        super().__init__(at)
        self.when = when

    def strike(self, disk: Disk, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            if self.when == "after":
                disk.do(name, args, kwargs)
            elif self.when == "half" and name == "pwrite":
                _half(disk, args)
        finally:
            os.kill(os.getpid(), signal.SIGKILL)


def _half(disk: Disk, args: tuple[Any, ...]) -> Any:
    fd, octets, offset = args
    return disk.do("pwrite", (fd, octets[: max(1, len(octets) // 2)], offset), {})
