"""The same systems with TLS and logins: one certificate with a P-256 key for all of them.

Ours offers STARTTLS and STLS on the port of `systems`, TLS at once on the one that the server's
`tls_port` names; so do the peers. Postfix asks Dovecot whether a password is right.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

from bench.mailbox import Mailbox
from bench.systems import (
    CLEAR,
    PASSWORD,
    PEERS,
    RUN,
    SOURCE,
    USERS,
    Server,
    dovecot_house,
    dovecot_in,
    empty_run_folder,
    ours,
    postfix_house,
    serving,
)

_CERTIFICATE = "certificate.pem"
_SECONDS_FOR_A_COMMAND = 60.0
_TLS_PORTS = {"smtpmail": ("submissions_port", 2465), "popserver": ("pop3s_port", 2995)}
"""Its setting, and where it is."""
_ARGON2, _SCRAM = range(2)
"""What stands behind a user's name, in this order."""


def _certificate(folder: Path) -> None:
    """Key and certificate in one file of the folder."""
    path = folder / _CERTIFICATE
    if not Path("/data", _CERTIFICATE).exists():
        made = RUN / "made"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt"]
        command += ["ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=mailserver"]
        command += ["-keyout", f"{made}.key", "-out", f"{made}.pem"]
        subprocess.run(command, check=True, capture_output=True, timeout=_SECONDS_FOR_A_COMMAND)
        both = Path(f"{made}.key").read_bytes() + Path(f"{made}.pem").read_bytes()
        Path("/data", _CERTIFICATE).write_bytes(both)
    shutil.copy(Path("/data", _CERTIFICATE), path)


def _hashed(folder: Path) -> None:
    """The passwords in this folder's users.txt become argon2id hashes and SCRAM keys."""
    command: list[str | Path] = [
        sys.executable,
        SOURCE / "server" / "mailadmin.py",
        "--data",
        folder,
    ]
    command += ["users", "hash"]
    subprocess.run(command, check=True, capture_output=True, timeout=_SECONDS_FOR_A_COMMAND)


def _ours(
    name: str, port: int, content: Mailbox, *, hashed: bool = False
) -> AbstractContextManager[Server]:
    setting, tls_port = _TLS_PORTS[name]

    def prepare(data: Path) -> None:
        if hashed:
            _hashed(data)
        _certificate(data)
        settings = f'certificate = "{_CERTIFICATE}"\n{setting} = {tls_port}\n'
        (data / "mailserver.toml").write_text(settings)

    return ours(f"{name}.py", port, content, prepare, tls_port)


def smtpmail_tls(content: Mailbox) -> AbstractContextManager[Server]:
    return _ours("smtpmail", 2525, content)


def popserver_tls(content: Mailbox) -> AbstractContextManager[Server]:
    return _ours("popserver", 1110, content)


def popserver_hashed(content: Mailbox) -> AbstractContextManager[Server]:
    """Its users have argon2id hashes and SCRAM keys."""
    return _ours("popserver", 1110, content, hashed=True)


def postfix_tls(content: Mailbox) -> AbstractContextManager[Server]:
    """With Dovecot's processes for the logins, which count as Postfix's own."""
    empty_run_folder()
    house = postfix_house()
    (dovecot_house(content) / "more.conf").write_text((PEERS / "dovecot-sasl.conf").read_text())
    _certificate(house)
    for name in ("main.cf", "master.cf"):
        with (house / "etc" / name).open("a") as file:
            file.write((PEERS / f"{name}.tls").read_text())
    both = (
        f"/usr/sbin/dovecot -F -c {PEERS}/dovecot.conf & /usr/sbin/postfix -c {house}/etc start-fg"
    )
    return serving(["sh", "-c", f"{both} & wait"], 2600, f"{house}/mail/{{user}}", tls_port=2610)


def _passwords(place: int) -> dict[str, str]:
    """What stands at this place behind the names in a hashed users.txt of ours."""
    path = RUN / "users.txt"
    path.write_text("".join(f"{user} {PASSWORD}\n" for user in USERS))
    _hashed(RUN)
    rows = (line.split(" ") for line in path.read_text().splitlines())
    return {row[0]: row[1 + place] for row in rows}


def _dovecot(
    content: Mailbox, *, place: int | None = None, reused: bool = True
) -> AbstractContextManager[Server]:
    empty_run_folder()
    passwords = CLEAR if place is None else _passwords(place)
    house = dovecot_house(content, passwords)
    _certificate(house)
    more = (PEERS / "dovecot-tls.conf").read_text()
    more += (PEERS / "dovecot-reused.conf").read_text() if reused else ""
    (house / "more.conf").write_text(more)
    return dovecot_in(house, tls_port=2611)


def dovecot_tls(content: Mailbox) -> AbstractContextManager[Server]:
    return _dovecot(content, reused=False)


def dovecot_tls_reused(content: Mailbox) -> AbstractContextManager[Server]:
    return _dovecot(content)


def dovecot_scram(content: Mailbox) -> AbstractContextManager[Server]:
    """Reused processes; its users have SCRAM keys, of as many iterations as ours."""
    return _dovecot(content, place=_SCRAM)


def dovecot_argon2(content: Mailbox) -> AbstractContextManager[Server]:
    """Reused processes; its users have the same kind of hash as ours, and it has a cache."""
    return _dovecot(content, place=_ARGON2)
