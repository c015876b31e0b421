"""Where a password comes from: a file, the environment's file, the configuration, a command.

Never from the command line, where every user of the machine could read it.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

from mailapp.config import AccountConfig, ConfigProblem

VARIABLE = "MAILCLIENT_PASSWORD_FILE"
MAX_OCTETS = 4096
COMMAND_SECONDS = 60.0


def password(
    file: str, environment: Mapping[str, str], account: AccountConfig | None
) -> str | None:
    """The first source that is there; None: ask the person. Raises ConfigProblem."""
    if path := file or environment.get(VARIABLE, ""):
        return _from_file(path)
    if account and account.password:
        return account.password
    if account and account.password_command:
        return _from_command(account.password_command)
    return None


def _from_file(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return _first_line(file.read(MAX_OCTETS), path)
    except OSError as error:
        raise ConfigProblem(f"the password file {path}: {error.strerror}") from error


def _from_command(command: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - the person's own words, and no shell reads them
            shlex.split(command), stdout=subprocess.PIPE, timeout=COMMAND_SECONDS, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise ConfigProblem(f"password_command cannot be run: {error}") from error
    if done.returncode:
        raise ConfigProblem(f"password_command ended with status {done.returncode}")
    return _first_line(done.stdout[:MAX_OCTETS], "password_command")


def _first_line(octets: bytes, where: str) -> str:
    try:
        return octets.decode().split("\n", 1)[0].removesuffix("\r")
    except UnicodeDecodeError:
        raise ConfigProblem(f"the password of {os.path.basename(where)} is not UTF-8") from None
