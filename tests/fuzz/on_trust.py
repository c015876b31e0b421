"""What tells where mail comes from: signatures and chains in messages, records in the DNS."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from tests.fuzz.target import Target
from tests.unit.server.trust.zone import Data, Zone

from mailserver.trust import arc, dkim, dmarc, spf_record
from mailserver.trust.author import NoAuthor, author_domain
from mailserver.trust.canonical import fields_of
from mailserver.trust.dkim_record import KeyFault, read_key
from mailserver.trust.results import Finding, passed_author, results_field, without_ours

_DATA = Path(__file__).parents[1] / "unit/server/trust"
_SIGNED, _SEALED = (
    json.loads((_DATA / name).read_text())
    for name in ("signed_by_dkimpy.json", "sealed_by_dkimpy.json")
)
_ZONE: Data = {name: [{"TXT": key}] for name, key in (_SIGNED["keys"] | _SEALED["keys"]).items()}
_FIELD = re.compile(rb"Authentication-Results: [ -~]+(?:\n\t[ -~]+)*\n")


class Authenticated(Target):
    """A message that others signed and sealed, with something wrong: RFC 6376, 8617, 8601."""

    share = 4.0
    seeds = tuple(
        one.encode("latin-1")
        for one in (*_SIGNED["messages"].values(), *(m for m, _ in _SEALED["messages"].values()))
    )
    words = (
        *(b"DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=rsa; h=from; bh=AA==; b=AA==",),
        *(
            b"ARC-Seal: i=1; a=rsa-sha256; cv=none; d=hop0.example; s=s0; b=AA==",
            b"i=50;",
            b"i=51;",
        ),
        *(b"ARC-Authentication-Results: i=1; a; dmarc=pass header.from=b", b"From: a@b.test"),
        *(b"ARC-Message-Signature: i=1; a=rsa-sha256; d=hop0.example; s=s0; h=from; bh=; b=",),
        *(b"Authentication-Results: mailserver; dmarc=pass", b" folded;", b'"', b"(", b")", b"\\"),
    )
    end = b"\r\n"

    @cached_property
    def authors(self) -> set[str]:
        """Who wrote what is signed."""
        return {author_domain(fields_of(_header(one))) for one in self.seeds}

    @cached_property
    def runner(self) -> asyncio.Runner:
        return self.stack.enter_context(asyncio.Runner())

    def check(self, data: bytes) -> None:
        with self.aside():
            self.runner.get_loop()
        header, body = _header(data), data.partition(b"\r\n\r\n")[2]
        fields = fields_of(header)
        found = self.runner.run(self._verified(header, body))
        author = ""
        with suppress(NoAuthor):
            author = author_domain(fields)
        passed = any(one.result.value == "pass" for one in found)
        assert not (passed and author) or author in self.authors, "signed, and by another author"
        findings = [
            Finding("x", one.result.value, one.reason, (("header.from", author),)) for one in found
        ]
        assert _FIELD.fullmatch(results_field("mailserver", findings))
        cleaned = without_ours(header, fields, {"mailserver"})
        assert without_ours(cleaned, fields_of(cleaned), {"mailserver"}) == cleaned
        passed_author(header.decode("utf-8", "replace"))

    async def _verified(self, header: bytes, body: bytes) -> list[dkim.Outcome | arc.Outcome]:
        zone = Zone(_ZONE)
        signed = await dkim.verify(header, lambda: [body], zone, self.hash_aside, 0.0)
        return [*signed, await arc.verify(header, lambda: [body], zone, self.hash_aside, 0.0)]


class Records(Target):
    """What the DNS has of SPF, DKIM and DMARC: RFC 7208 12, RFC 6376 3.6.1, RFC 9989 4.8."""

    seeds = (
        *(key.encode() for key in _SIGNED["keys"].values()),
        b"v=spf1 a:a.test/24//64 mx include:%{d2} ip4:192.0.2.0/24 ?exists:%{ir}.b.test -all",
        b"v=DMARC1; p=reject; sp=quarantine; np=none; adkim=s; aspf=r; psd=n; t=y; rua=mailto:a@b",
    )
    words = (
        b"v=spf1",
        b"v=DMARC1;",
        b"v=DKIM1;",
        b"p=",
        b"redirect=",
        b"%{s}",
        b"ip6:::/0",
        b"~all",
    )
    end = b" "

    def check(self, data: bytes) -> None:
        with suppress(KeyFault):
            read_key(data)
        with suppress(spf_record.RecordFault):
            spf_record.parse(data)
        record = dmarc.parse(data)
        assert record is None or record == dmarc.parse(data + b";")


def _header(content: bytes) -> bytes:
    """As it is staged: LF line ends, no other CR."""
    return content.partition(b"\r\n\r\n")[0].replace(b"\r", b"") + b"\n"
