"""Keys and a number each, in a small file that all processes over one data folder share.

The file grows to a fixed size, as rows are written. A key belongs into one of many buckets; where
that is full, the row with the smallest number makes room. Keys stand there as keyed digests, so
that nobody can choose keys that meet in one bucket, or read them. What a crash loses is lost:
nothing is synced.

A process calls this from one thread: a lock on a range of a file holds between processes.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import secrets
import struct
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mailserver import durable

log = logging.getLogger(__name__)

BUCKETS = 1024
"""In a table, unless it is to be a larger one."""
ROWS = 8
"""In a bucket."""
SECRET = "secret"
_SECRET_OCTETS = 32

_ROW = struct.Struct("<8sd")
_BUCKET_OCTETS = ROWS * _ROW.size

Key = bytes


class SharedFile:
    """Some tables in one file."""

    def __init__(
        self, name: str, folder: int, tables: int, secret: bytes, buckets: int = BUCKETS
    ) -> None:
        """`secret` and `buckets`: the same for all who share the file. Raises OSError."""
        self.secret = secret
        self.descriptor = durable.open_file(name, folder, os.O_RDWR | os.O_CREAT)
        weakref.finalize(self, os.close, self.descriptor)
        octets = buckets * _BUCKET_OCTETS
        self.tables = [SharedRows(self, at * octets, buckets) for at in range(tables)]

    def key(self, *words: str) -> Key:
        """Of these words, which have no NUL."""
        return hashlib.blake2b(
            "\0".join(words).encode(), digest_size=12, key=self.secret, usedforsecurity=False
        ).digest()


def open_in(data: Path, name: str, tables: int, buckets: int = BUCKETS) -> SharedFile:
    """A file for what all servers over a data folder count together, under the secret that they
    have in common; it is made once. Raises OSError, also if it is not what was made."""
    parent = durable.open_folder(os.fspath(data))
    try:
        own = durable.open_folder(durable.OWN_FOLDER, parent, create=True)
    finally:
        os.close(parent)
    path = data / durable.OWN_FOLDER / SECRET
    try:
        if not path.exists():
            durable.create_once(SECRET, own, [secrets.token_bytes(_SECRET_OCTETS)])
        secret = path.read_bytes()
        if len(secret) != _SECRET_OCTETS:
            said = f"not the {_SECRET_OCTETS} octets that were made; without it, new ones are"
            raise OSError(errno.EINVAL, said, f"{durable.OWN_FOLDER}/{SECRET}")
        return SharedFile(name, own, tables, secret, buckets)
    finally:
        os.close(own)


class SharedRows:
    """One table. A disk that fails is told in the log, and counts nothing: it must not keep
    anybody out."""

    def __init__(self, file: SharedFile, offset: int, buckets: int) -> None:
        self._fd = file.descriptor
        self._offset = offset
        self._buckets = buckets

    def get(self, key: Key) -> float | None:
        """The key's number; None: it has none."""
        try:
            bucket, place = self._read(key)
        except OSError as error:
            _tell(error)
            return None
        return None if place is None else _number(bucket, place)

    def change(self, key: Key, change: Callable[[float | None], float]) -> None:
        """Give the key the number that is made of its present one; nobody changes it meanwhile."""
        try:
            with self._locked(key):
                bucket, place = self._read(key)
                after = change(None if place is None else _number(bucket, place))
                if place is None:
                    whole = bucket.ljust(_BUCKET_OCTETS, b"\0")
                    numbers = [number for _, number in _ROW.iter_unpack(whole)]
                    place = numbers.index(min(numbers)) * _ROW.size
                os.pwrite(self._fd, _ROW.pack(key[4:], after), self._start(key) + place)
        except OSError as error:
            _tell(error)

    def _read(self, key: Key) -> tuple[bytes, int | None]:
        """The key's bucket, and where in it the key's row begins."""
        bucket = os.pread(self._fd, _BUCKET_OCTETS, self._start(key))
        place = bucket.find(key[4:])
        while place % _ROW.size:  # in the middle of another row, or -1
            if place < 0:
                return bucket, None
            place = bucket.find(key[4:], place + 1)
        return bucket, place

    def _start(self, key: Key) -> int:
        return self._offset + int.from_bytes(key[:4]) % self._buckets * _BUCKET_OCTETS

    @contextmanager
    def _locked(self, key: Key) -> Iterator[None]:
        bucket = _BUCKET_OCTETS, self._start(key)
        fcntl.lockf(self._fd, fcntl.LOCK_EX, *bucket)
        try:
            yield
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN, *bucket)


def _number(bucket: bytes, place: int) -> float:
    number: float = _ROW.unpack_from(bucket, place)[1]
    return number


def _tell(error: OSError) -> None:
    log.error("what clients do cannot be counted: %s", error.strerror)
