"""$XDG_CONFIG_HOME/mailclient/config.toml: accounts by name.

[accounts.work]
server = "mail.example"
smtp_port = 587
pop3_port = 995
user = "alice"
address = "alice@example"             # what stands in From
tls = "auto"                          # auto, require, off, implicit
ca_file = "/etc/ssl/our-own.pem"
password_command = "pass show work"   # or password = "…", where nobody else can read the file
"""

from __future__ import annotations

import stat
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from mailapp.link import Tls
from mailapp.value import value

MAX_OCTETS = 1_000_000


class ConfigProblem(Exception):
    """What is wrong with the file, and where."""


@value(frozen=True)
class AccountConfig:
    """One table. Only the first three must be there."""

    server: str
    smtp_port: int
    pop3_port: int
    user: str = ""
    address: str = ""
    tls: str = Tls.AUTO
    ca_file: str = ""
    password: str = ""
    password_command: str = ""


def config_path(environment: Mapping[str, str]) -> Path:
    """Where the XDG base directory specification has it."""
    home = environment.get("XDG_CONFIG_HOME", "")
    base = Path(home) if home.startswith("/") else Path.home() / ".config"
    return base / "mailclient" / "config.toml"


def read_config(path: Path) -> dict[str, AccountConfig]:
    """The accounts in their order; none without a file. Raises ConfigProblem."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(path.stat().st_mode)
            table = tomllib.loads(file.read(MAX_OCTETS).decode())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigProblem(f"{path}: {error}") from error
    accounts = table.get("accounts", {})
    if not isinstance(accounts, dict) or set(table) - {"accounts"}:
        raise ConfigProblem(f"{path}: only tables named [accounts.NAME] are known")
    found = {name: _account(path, name, one) for name, one in accounts.items()}
    if mode & 0o077 and any(one.password for one in found.values()):
        raise ConfigProblem(
            f"{path} holds a password and others may read it: chmod 600, or use password_command"
        )
    return found


def _account(path: Path, name: str, table: object) -> AccountConfig:
    where = f"{path}: accounts.{name}"
    if not isinstance(table, dict):
        raise ConfigProblem(f"{where} is no table")
    kinds = {
        field.name: int if field.name.endswith("port") else str for field in fields(AccountConfig)
    }
    for key, found in table.items():
        if key not in kinds:
            raise ConfigProblem(f"{where}.{key} is not known; there is {', '.join(kinds)}")
        if type(found) is not kinds[key]:
            raise ConfigProblem(f"{where}.{key} must be a {kinds[key].__name__}")
    for key in ("server", "smtp_port", "pop3_port"):
        if key not in table:
            raise ConfigProblem(f"{where}.{key} is missing")
    account = AccountConfig(**table)
    if not all(1 <= port <= 65535 for port in (account.smtp_port, account.pop3_port)):
        raise ConfigProblem(f"{where}: a port is a number from 1 to 65535")
    if account.tls not in set(Tls):
        raise ConfigProblem(f"{where}.tls is {account.tls!r}; it may be {', '.join(Tls)}")
    return account
