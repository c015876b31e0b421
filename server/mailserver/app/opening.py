"""The data folder and the certificate: opened for a start, or only looked at."""

from __future__ import annotations

import errno
import os
import resource
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from mailserver import durable
from mailserver.accounts.slowdown import Failures
from mailserver.accounts.users_file import AccountsUnusable, UsersFile, first_look
from mailserver.net.self_signed import CERTIFICATE, KEY, certificate_in
from mailserver.net.tls import CertificateUnusable, ServerTls
from mailserver.settings import Settings
from mailserver.store.files import OPEN_MAILBOXES, FileStore
from mailserver.store.mailbox_lock import Foreign

_TLS = "tls"
"""The folder of the certificate that is made here."""
_SYNCS_AT_ONCE = 8
"""Of mailbox files, in the background: the file system makes one of several that come together."""


class CannotStart(Exception):
    """Says what is wrong and what to do."""


def look(chosen: Settings) -> None:
    """What would keep the server from starting; nothing is made and nothing changed."""
    data = _data_folder(chosen)
    try:
        first_look(data)
    except AccountsUnusable as problem:
        raise CannotStart(str(problem)) from None
    own = data / durable.OWN_FOLDER
    for folder in (data, own):
        if folder.exists() and not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise CannotStart(f"{folder}: cannot be written{_must_be_writable(data)}")
    made = all((own / _TLS / name).exists() for name in (CERTIFICATE, KEY))
    if chosen.access.certificate or made:
        open_certificate(chosen)


def open_data(chosen: Settings) -> tuple[UsersFile, FileStore]:
    """Raises CannotStart."""
    data = _data_folder(chosen)
    try:
        access = chosen.access
        allowed = Failures(access.auth_failures, access.auth_failures_per_address)
        users = UsersFile(data, allowed=allowed)
        # five descriptors each, and two more while they wait for a sync
        open_mailboxes = min(OPEN_MAILBOXES, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 16)
        store = FileStore(
            data,
            time.time,
            open_mailboxes=open_mailboxes,
            memory_octets=chosen.limits.memory_limit,
            foreign=Foreign(chosen.storing.foreign_locks),
            background=ThreadPoolExecutor(_SYNCS_AT_ONCE, "sync"),
        )
        return users, store
    except AccountsUnusable as problem:
        raise CannotStart(str(problem)) from None
    except OSError as error:
        hint = ""
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            hint = _must_be_writable(data)
        what = f"{error.filename}: " if error.filename else ""
        raise CannotStart(f"{data}: {what}{error.strerror}{hint}") from None


def open_certificate(chosen: Settings, protocols: Sequence[bytes] = ()) -> ServerTls:
    """Made if there is none; raises CannotStart."""
    access, data = chosen.access, chosen.data
    try:
        if access.certificate:
            certificate = data / access.certificate
            key = data / access.key if access.key else certificate
        else:
            folder = data / durable.OWN_FOLDER / _TLS
            certificate, key = certificate_in(folder, chosen.listening.domains, datetime.now(UTC))
        return ServerTls(certificate, key, protocols)
    except CertificateUnusable as problem:
        raise CannotStart(str(problem)) from None
    except OSError as error:
        raise CannotStart(f"{data}: no certificate could be made: {error.strerror}") from None


def _data_folder(chosen: Settings) -> Path:
    if not chosen.data.is_dir():
        raise CannotStart(f"{chosen.data} is not a folder; name the data folder with --data DIR")
    return chosen.data


def _must_be_writable(data: Path) -> str:
    return f"; it must be writable: chown -R {os.getuid()}:{os.getgid()} {data}"
