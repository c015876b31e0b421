"""Puts the sources of settings together: defaults < mailserver.toml < environment < arguments."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import fields, replace

from mailserver.settings import command_line, toml_file
from mailserver.settings.kinds import DOMAIN, Unfit
from mailserver.settings.problems import fault, unknown
from mailserver.settings.setting import PREFIX, Values
from mailserver.settings.tree import GROUPS, SETTINGS, Settings

# What Docker's links and Kubernetes say about a service that is itself called mailserver.
_OF_A_SERVICE = re.compile(rf"{PREFIX}(SERVICE_.*|PORT|PORT_.*|NAME|ENV_.*)")
_BY_VARIABLE = {row.variable: row for row in SETTINGS.values()}


class Unusable(Exception):
    """Settings that make no sense; each argument is a line: where, what, and what is allowed."""


def read(
    command: str,
    what: str,
    arguments: list[str] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Settings:
    """All settings of a command; raises Unusable. `--help` and a command line that makes no sense
    end the process, with status 0 and 2."""
    told, from_arguments = command_line.read(command, what, arguments)
    from_file, in_file = toml_file.read(told.data / toml_file.NAME)
    from_environment, in_environment = _environment(environment)
    if in_file or in_environment:
        raise Unusable(*in_file, *in_environment)
    values = from_file | from_environment | from_arguments
    values["domains"] = values.get("domains") or (_own_name(),)
    groups = {
        name: group(**{one.name: values[one.name] for one in fields(group) if one.name in values})
        for name, group in GROUPS.items()
    }
    return replace(told, **groups)


def _environment(environment: Mapping[str, str]) -> tuple[Values, list[str]]:
    """Values, and what is wrong; an empty variable counts as not set."""
    values: Values = {}
    problems = []
    for variable, text in environment.items():
        if not variable.startswith(PREFIX) or not text or _OF_A_SERVICE.fullmatch(variable):
            continue
        row = _BY_VARIABLE.get(variable)
        if row is None:
            problems.append(f"environment: {unknown(variable, _BY_VARIABLE)}")
            continue
        try:
            values[row.name] = row.kind.check(row.kind.from_text(text))
        except Unfit as reason:
            problems.append(f"environment: {fault(variable, text, row, reason)}")
    return values, problems


def _own_name() -> str:
    name = socket.gethostname()
    return name if DOMAIN.fullmatch(name) else "localhost"
