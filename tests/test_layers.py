"""The house keeps its layers: read from the code's own imports.

L5  app, workers, settings, health, commands     observe may be imported from here and from L4
    missing
L4  net
L3  delivery, relay, trust                  of L2 only the interfaces and durable
L2  store, accounts, durable, threads, counts, shared_rows
L1  smtp | pop3                             these do not see each other; both see auth
    auth
L0  wire | message
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SERVER = ROOT / "server"
CLIENT = ROOT / "client"

LEVEL = {
    "wire": 0,
    "message": 0,
    "smtp": 1,
    "pop3": 1,
    "auth": 1,
    "durable": 2,
    "counts": 2,
    "shared_rows": 2,
    "threads": 2,
    "store": 2,
    "accounts": 2,
    "delivery": 3,
    "relay": 3,
    "trust": 3,
    "net": 4,
    "settings": 5,
    "admin": 5,
    "app": 5,
    "workers": 5,
    "health": 5,
    "missing": 5,
    "": 5,  # the commands, and what stands in the package itself
}
INTERFACES_ONLY = {"store": "mailserver.store.base", "accounts": "mailserver.accounts.base"}
SEEN_SIBLINGS = {("message", "wire"), ("smtp", "auth"), ("pop3", "auth")}
NO_WORLD = {"asyncio", "socket", "ssl", "os", "time", "logging"}

Import = tuple[str, int]
"""A module's dotted name, and the line where it is imported."""


def imports(source: str) -> Iterator[Import]:
    """All modules that a source names, also inside functions and under TYPE_CHECKING."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide their layer"
            module = node.module or ""
            for alias in node.names:
                yield f"{module}.{alias.name}", node.lineno


def part_of(module: str) -> str:
    """The part of the server a dotted name belongs to; "" for the package and the commands."""
    words = module.split(".")
    return words[1] if len(words) > 1 and words[1] in LEVEL else ""


def server_faults(path: str, source: str) -> list[str]:
    """What a server file imports that its layer may not see. `path` is relative to server/."""
    own = part_of(path.removesuffix(".py").replace("/", "."))
    level = LEVEL[own]
    faults = []
    for module, line in imports(source):
        where = f"{path}:{line} imports {module}"
        top = module.split(".")[0]
        if top in {"mailapp", "mailclient"}:
            faults.append(f"{where}: the server knows nothing of the client")
        elif level <= 1 and top in NO_WORLD:
            faults.append(f"{where}: a protocol is a value, without I/O and clock")
        elif module.startswith("mailserver.observe"):
            if level < 4 and own != "observe":
                faults.append(f"{where}: only net and app are observed")
        elif top == "mailserver" and (module != "mailserver.__version__"):
            faults += [f"{where}: {why}" for why in _upward(own, level, module)]
    return faults


def _upward(own: str, level: int, module: str) -> Iterator[str]:
    other = part_of(module)
    if other == "" and module.split(".")[1:2] not in ([], ["app"], ["settings"], ["health"]):
        raise AssertionError(f"{module} has no layer yet: give it a row in LEVEL")
    if other == own:
        return
    if LEVEL[other] > level:
        yield f"{own} (L{level}) is below {other} (L{LEVEL[other]})"
    elif LEVEL[other] == level and level in (0, 1, 3) and (own, other) not in SEEN_SIBLINGS:
        yield f"{own} and {other} are siblings"
    elif level == 2 and LEVEL[other] == 1:
        yield "what lies on the disk knows no protocol"
    elif level == 3 and LEVEL[other] == 1:
        yield "delivery knows no protocol"
    elif level in (3, 4) and other in INTERFACES_ONLY:
        base = INTERFACES_ONLY[other]
        if not (module == base or module.startswith(base + ".")):
            yield f"only {base} may be seen from here"


def server_files() -> list[Path]:
    return sorted(p for p in SERVER.rglob("*.py") if "build" not in p.relative_to(SERVER).parts)


def relative(path: Path) -> str:
    return path.relative_to(SERVER).as_posix()


def test_every_part_of_the_server_has_a_layer() -> None:
    parts = {p.name.removesuffix(".py") for p in (SERVER / "mailserver").iterdir()}
    parts = {p for p in parts if not p.startswith((".", "__"))} - {"observe", "py.typed"}
    assert parts <= LEVEL.keys()
    assert {"wire", "smtp", "store", "net", "app"} <= parts


@pytest.mark.parametrize("path", server_files(), ids=relative)
def test_imports_only_from_layers_below(path: Path) -> None:
    assert server_faults(relative(path), path.read_text()) == []


def test_the_client_knows_nothing_of_the_server() -> None:
    files = sorted(CLIENT.rglob("*.py"))
    seen = {module.split(".")[0] for path in files for module, _ in imports(path.read_text())}
    assert "__future__" in seen
    assert not seen & {"mailserver", "smtpmail", "popserver"}


def test_only_durable_syncs() -> None:
    syncing = {
        relative(path)
        for path in server_files()
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Attribute) and node.attr in {"fsync", "fdatasync", "sync"})
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    }
    named = {
        relative(path)
        for path in server_files()
        for module, _ in imports(path.read_text())
        if module in {"os.fsync", "os.fdatasync", "os.sync"}
    }
    assert syncing | named == {"mailserver/durable.py"}


@pytest.mark.parametrize(
    ("path", "planted"),
    [
        ("mailserver/wire/dots.py", "from mailserver.smtp import replies"),
        ("mailserver/wire/dots.py", "from mailserver.message.envelope import Client"),
        ("mailserver/wire/dots.py", "import asyncio"),
        ("mailserver/message/trace.py", "import time"),
        ("mailserver/smtp/session.py", "import os.path"),
        ("mailserver/smtp/session.py", "from socket import socket"),
        ("mailserver/smtp/session.py", "from mailserver.pop3 import replies"),
        ("mailserver/smtp/session.py", "from mailserver.store.base import Staging"),
        ("mailserver/auth/sasl.py", "from mailserver.smtp import replies"),
        ("mailserver/auth/sasl.py", "from secrets import token_urlsafe\nimport time"),
        ("mailserver/accounts/users_file.py", "from mailserver.auth import sasl"),
        ("mailserver/pop3/session.py", "def f():\n    import logging"),
        ("mailserver/store/files.py", "from mailserver.delivery.accept import Policy"),
        ("mailserver/store/files.py", "from mailserver.smtp import replies"),
        ("mailserver/store/files.py", "from mailserver.observe import log"),
        ("mailserver/durable.py", "from mailserver.net.stream import ByteStream"),
        ("mailserver/delivery/accept.py", "from mailserver.store.files import FileStore"),
        ("mailserver/delivery/accept.py", "from mailserver.store import files"),
        ("mailserver/delivery/accept.py", "from mailserver.accounts.users_list import parse"),
        ("mailserver/net/smtp_driver.py", "from mailserver.store.files import FileStore"),
        ("mailserver/net/listener.py", "from mailserver import app"),
        ("mailserver/net/listener.py", "import mailserver.settings"),
        ("mailserver/app/smtp.py", "from mailapp import pop3"),
    ],
)
def test_an_upward_import_is_found(path: str, planted: str) -> None:
    assert server_faults(path, planted) != []


def test_a_downward_import_is_no_fault() -> None:
    good = "from mailserver.store.base import Maildrop\nfrom mailserver.smtp import replies\n"
    assert server_faults("mailserver/smtp/session.py", "from mailserver.auth import sasl\n") == []
    assert server_faults("mailserver/net/smtp_driver.py", good) == []
