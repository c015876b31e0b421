"""What the client remembers, in one SQLite file under $XDG_STATE_HOME/mailclient.

Read and answered by unique id (POP3 has no such flags), the list's lines (so that a header is
fetched once), drafts, servers' certificates and whether they offered TLS, addresses for
completion. Everything is bounded; the oldest goes first. Where nothing can be written (a container
without a volume), the same is kept in memory as long as the client runs.

One connection behind a lock: a face may ask from any thread.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from mailapp.value import value

VERSION = 1
MAX_MESSAGES = 200_000
MAX_ADDRESSES = 5_000
MAX_DRAFTS = 50
LOCK_SECONDS = 5.0

_SCHEMA = """
CREATE TABLE message (
  account TEXT, unique_id TEXT, status TEXT NOT NULL DEFAULT 'old', summary TEXT,
  used INTEGER NOT NULL, PRIMARY KEY (account, unique_id)) WITHOUT ROWID;
CREATE INDEX message_by_use ON message (used);
CREATE TABLE server (
  host TEXT, port INTEGER, offered_tls INTEGER NOT NULL DEFAULT 0,
  fingerprint TEXT NOT NULL DEFAULT '', PRIMARY KEY (host, port)) WITHOUT ROWID;
CREATE TABLE address (address TEXT PRIMARY KEY, shown TEXT NOT NULL, used INTEGER NOT NULL);
CREATE TABLE draft (id INTEGER PRIMARY KEY, account TEXT NOT NULL, content TEXT NOT NULL);
CREATE TABLE counter (used INTEGER NOT NULL);
INSERT INTO counter VALUES (0);
CREATE TABLE last (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


def state_folder(environment: Mapping[str, str]) -> Path:
    """Where the XDG base directory specification has it."""
    home = environment.get("XDG_STATE_HOME", "")
    base = Path(home) if home.startswith("/") else Path.home() / ".local" / "state"
    return base / "mailclient"


@value(frozen=True)
class Known:
    """What is remembered of a message."""

    status: str  # `old`, `read` or `answered`; a message that is not known is new
    summary: str  # as it was given to `remember`; may be empty


class State:
    """All of it. `State()` is kept in memory, `open_state` on the disk."""

    def __init__(self, path: str = ":memory:") -> None:
        self._lock = threading.RLock()
        self._database = sqlite3.connect(
            path, timeout=LOCK_SECONDS, check_same_thread=False, isolation_level=None
        )
        weakref.finalize(self, self._database.close)
        self.is_kept = path != ":memory:"
        try:
            with self._changing() as database:
                (version,) = database.execute("PRAGMA user_version").fetchone()
                if version != VERSION:
                    _make_anew(database)
        except BaseException:
            self._database.close()
            raise

    def close(self) -> None:
        """Give the file back."""
        with self._lock:
            self._database.close()

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """All of a change or nothing of it."""
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    # Messages

    def known(self, account: str, unique_ids: Sequence[str]) -> dict[str, Known]:
        """What is remembered of these messages; the others are new."""
        with self._lock:
            rows = self._database.execute(
                "SELECT unique_id, status, summary FROM message"
                " WHERE account = ? AND unique_id IN (SELECT value FROM json_each(?))",
                (account, json.dumps(unique_ids)),
            )
            return {row[0]: Known(row[1], row[2] or "") for row in rows}

    def remember(self, account: str, summaries: Mapping[str, str]) -> None:
        """The list's lines by unique id: these messages are new no more."""
        with self._changing() as database:
            used = _next(database)
            database.executemany(
                "INSERT INTO message (account, unique_id, summary, used) VALUES (?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET summary = excluded.summary, used = excluded.used",
                [(account, unique_id, summaries[unique_id], used) for unique_id in summaries],
            )
            _bound(database, "message", MAX_MESSAGES)

    def mark(self, account: str, unique_id: str, status: str) -> None:
        """`old`, `read` or `answered`."""
        with self._changing() as database:
            database.execute(
                "INSERT INTO message (account, unique_id, status, used) VALUES (?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET status = excluded.status, used = excluded.used",
                (account, unique_id, status, _next(database)),
            )

    def forget(self, account: str, unique_ids: Iterable[str]) -> None:
        """Messages that were deleted."""
        with self._changing() as database:
            database.executemany(
                "DELETE FROM message WHERE account = ? AND unique_id = ?",
                [(account, unique_id) for unique_id in unique_ids],
            )

    # Servers

    def offered_tls(self, host: str, port: int) -> bool:
        """Whether this server ever offered TLS: it must not stop doing so unnoticed."""
        return bool(self._of_server("offered_tls", host, port))

    def remember_tls(self, host: str, port: int) -> None:
        """It offers TLS."""
        self._set_of_server("offered_tls", host, port, 1)

    def fingerprint(self, host: str, port: int) -> str:
        """Of the certificate that is trusted here although nobody vouches for it; may be empty."""
        return str(self._of_server("fingerprint", host, port) or "")

    def trust(self, host: str, port: int, fingerprint: str) -> None:
        """From now on this certificate and no other; empty: whatever the authorities sign."""
        self._set_of_server("fingerprint", host, port, fingerprint)

    def _of_server(self, column: str, host: str, port: int) -> object:
        with self._lock:
            row = self._database.execute(
                f"SELECT {column} FROM server WHERE host = ? AND port = ?",  # noqa: S608 - ours
                (host.lower(), port),
            ).fetchone()
        return row[0] if row else None

    def _set_of_server(self, column: str, host: str, port: int, value: int | str) -> None:
        with self._changing() as database:
            database.execute(
                f"INSERT INTO server (host, port, {column}) VALUES (?, ?, ?)"  # noqa: S608 - ours
                f" ON CONFLICT DO UPDATE SET {column} = excluded.{column}",
                (host.lower(), port, value),
            )

    # Addresses

    def meet(self, addresses: Mapping[str, str]) -> None:
        """Addresses that were written to or read: address to how it is shown."""
        with self._changing() as database:
            used = _next(database)
            database.executemany(
                "INSERT INTO address VALUES (?, ?, ?)"
                " ON CONFLICT DO UPDATE SET shown = excluded.shown, used = excluded.used",
                [(address.lower(), shown, used) for address, shown in addresses.items()],
            )
            _bound(database, "address", MAX_ADDRESSES)

    def addresses(self, beginning: str = "", limit: int = 20) -> list[str]:
        """Addresses that begin so, or whose name does; the one met last comes first."""
        pattern = "".join(f"\\{c}" if c in "%_\\" else c for c in beginning.lower()) + "%"
        with self._lock:
            rows = self._database.execute(
                "SELECT address FROM address"
                " WHERE address LIKE ? ESCAPE '\\' OR lower(shown) LIKE ? ESCAPE '\\'"
                " ORDER BY used DESC, address LIMIT ?",
                (pattern, pattern, limit),
            )
            return [str(row[0]) for row in rows]

    # Drafts

    def save_draft(self, account: str, content: str, number: int | None = None) -> int:
        """Keep a draft, a new one or in the place of an earlier; returns its number."""
        with self._changing() as database:
            done = database.execute(
                "INSERT OR REPLACE INTO draft (id, account, content) VALUES (?, ?, ?)",
                (number, account, content),
            )
            database.execute(
                "DELETE FROM draft WHERE id NOT IN (SELECT id FROM draft ORDER BY id DESC LIMIT ?)",
                (MAX_DRAFTS,),
            )
            return int(done.lastrowid or 0)

    def drafts(self, account: str) -> list[tuple[int, str]]:
        """Number and content, the oldest first."""
        with self._lock:
            rows = self._database.execute(
                "SELECT id, content FROM draft WHERE account = ? ORDER BY id", (account,)
            )
            return [(int(row[0]), str(row[1])) for row in rows]

    def drop_draft(self, number: int) -> None:
        """It was sent, or thrown away."""
        with self._changing() as database:
            database.execute("DELETE FROM draft WHERE id = ?", (number,))

    # What was used last

    def last(self, name: str) -> str:
        """Such as the account that was opened last; may be empty."""
        with self._lock:
            row = self._database.execute("SELECT value FROM last WHERE name = ?", (name,))
            found = row.fetchone()
        return str(found[0]) if found else ""

    def set_last(self, name: str, value: str) -> None:
        """For `last`."""
        with self._changing() as database:
            database.execute("INSERT OR REPLACE INTO last VALUES (?, ?)", (name, value))


def open_state(folder: Path) -> State:
    """The file in this folder, for nobody else to read; in memory where that cannot be."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / "state.sqlite3"
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        return State(str(path))
    except (OSError, sqlite3.Error):
        return State()


def _make_anew(database: sqlite3.Connection) -> None:
    """An empty state; of another version's nothing is kept."""
    tables = database.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    ).fetchall()
    for (name,) in tables:
        database.execute('DROP TABLE "{}"'.format(name.replace('"', '""')))
    for statement in _SCHEMA.split(";"):
        database.execute(statement)
    database.execute(f"PRAGMA user_version = {VERSION}")


def _next(database: sqlite3.Connection) -> int:
    """Order of use without a clock."""
    return int(database.execute("UPDATE counter SET used = used + 1 RETURNING used").fetchone()[0])


def _bound(database: sqlite3.Connection, table: str, most: int) -> None:
    (count,) = database.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - ours
    if count > most:
        key = "account, unique_id" if table == "message" else "address"
        database.execute(
            f"DELETE FROM {table} WHERE ({key}) IN"  # noqa: S608 - ours
            f" (SELECT {key} FROM {table} ORDER BY used LIMIT ?)",
            (count - most + most // 10,),
        )
