"""DKIM between OpenDKIM and us, in both directions."""

from __future__ import annotations

import asyncio
import base64
import re
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from mailserver.trust import dkim
from mailserver.trust.dkim_keys import new_key
from mailserver.trust.dkim_sign import SigningKey, signature_fields

if TYPE_CHECKING:
    import docker

IMAGE = "mailserver-smtp-pop3-opendkim:e2e"
CONTENT = (
    b"From: Alice <alice@a.test>\r\nTo: bob@b.test,\r\n\tcarol@b.test\r\nSubject: tea \t and\r\n"
    b"  cake \r\nDate: Tue, 24 Nov 2026 03:00:00 +0000\r\nMessage-ID: <1@a.test>\r\n\r\n"
)
BODIES = {
    "plain": b"At five.\r\n",
    "empty": b"",
    "blank lines": b"\r\n\r\n\r\n",
    "spaces": b" a \t b  \r\n\t\r\n \r\nc\t\r\n \r\n\r\n",
    "long": b"From me to you\r\n" * 5000,
}


@pytest.fixture(scope="module")
def opendkim(engine: docker.DockerClient) -> str:
    """The image."""
    folder = Path(__file__).parent / "opendkim"
    subprocess.run(["docker", "build", "-q", "-t", IMAGE, folder], check=True, timeout=280)
    return IMAGE


def ask(image: str, settings: str, files: dict[str, bytes], message: bytes) -> str:
    """What OpenDKIM would add to this message."""
    parts = [
        f"base64 -d > {name} <<.\n{base64.b64encode(octets).decode()}\n.\n"
        for name, octets in {**files, "conf": settings.encode(), "m": message}.items()
    ]
    script = "umask 077\n" + "".join(parts) + "opendkim -x conf -vv -t m"
    done = subprocess.run(
        ["docker", "run", "--rm", "-i", "--network", "none", image, "sh"],
        input=script.encode(),
        capture_output=True,
        check=True,
        timeout=60,
    )
    return (done.stdout + done.stderr).decode()


@pytest.mark.parametrize("body", BODIES.values(), ids=list(BODIES))
def test_opendkim_believes_what_is_signed_here(body: bytes, opendkim: str) -> None:
    key = SigningKey("a.test", "s1", new_key("rsa"))
    header = (CONTENT[:-2]).replace(b"\r\n", b"\n")
    field = signature_fields([key], header, lambda: [body], time.time() - 60)
    message = field.replace(b"\n", b"\r\n") + CONTENT + body
    settings = "Mode v\nTestPublicKeys keys\nSocket inet:8891@localhost\n"
    keys = {"keys": f"{key.record_name} {key.record}\n".encode()}
    assert "dkim=pass (2048-bit key)" in ask(opendkim, settings, keys, message)
    changed = message.replace(b"cake", b"cakes")
    assert "dkim=fail" in ask(opendkim, settings, keys, changed)


class Zone:
    """Knows one key."""

    def __init__(self, key: SigningKey) -> None:
        self._key = key

    async def texts(self, name: str) -> tuple[bytes, ...]:
        return (self._key.record.encode(),) if name == self._key.record_name else ()


async def in_thread(call):  # type: ignore[no-untyped-def]
    return call()


@pytest.mark.parametrize("form", ["simple", "relaxed"])
@pytest.mark.parametrize("body", BODIES.values(), ids=list(BODIES))
def test_what_opendkim_signs_is_believed_here(body: bytes, form: str, opendkim: str) -> None:
    key = SigningKey("a.test", "s1", new_key("rsa"))
    pem = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    settings = (
        "Mode s\nDomain a.test\nSelector s1\nKeyFile key\nSocket inet:8891@localhost\n"
        f"Canonicalization {form}/{form}\n"
    )
    said = ask(opendkim, settings, {"key": pem}, CONTENT + body)
    found = re.search(r"hname='DKIM-Signature' hvalue='([^']*)'", said)
    assert found, said
    value = found[1].replace("\r\n", "\n")
    header = f"DKIM-Signature: {value}\n".encode() + CONTENT[:-2].replace(b"\r\n", b"\n")
    checks = dkim.verify(header, lambda: [body], Zone(key), in_thread, time.time())  # type: ignore[arg-type]
    (outcome,) = asyncio.run(checks)
    assert outcome.result is dkim.Result.PASS, (outcome, said)
