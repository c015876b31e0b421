"""Security row 48: forty ways to write an address that another server would take for its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.dialogs.machine import Machine

ELSEWHERE = [
    "<bob@elsewhere.example>",
    "<bob@mailserver.elsewhere.example>",
    "<bob@sub.mailserver>",
    "<bob@mailserver.>",
    "<bob@.mailserver>",
    "<bob@xmailserver>",
    "<bob@mailserverx>",
    "<bob@mail-server>",
    "<bob@localhost>",
    "<bob@localhost.localdomain>",
    "<bob@127.0.0.1>",
    "<bob@[127.0.0.1]>",
    "<bob@[192.0.2.7]>",
    "<bob@[IPv6:::1]>",
    "<bob@[IPv6:::ffff:127.0.0.1]>",
    "<bob@[mailserver]>",
    "<bob@2130706433>",
    "<bob%elsewhere.example@mailserver>",
    "<bob%elsewhere.example%mailserver@mailserver>",
    "<elsewhere.example!bob@mailserver>",
    "<mailserver!elsewhere.example!bob>",
    "<bob@elsewhere.example@mailserver>",
    "<bob@mailserver@elsewhere.example>",
    '<"bob@elsewhere.example"@mailserver>',
    '<"bob@elsewhere.example">',
    '<"bob%elsewhere.example"@mailserver>',
    '<"elsewhere.example!bob"@mailserver>',
    '<""@mailserver>',
    "<@mailserver:bob@elsewhere.example>",
    "<@elsewhere.example,@mailserver:bob@elsewhere.example>",
    "<@mailserver:bob%elsewhere.example@mailserver>",
    "<@mailserver>",
    "<bob@elsewhere.example,bob@mailserver>",
    "<bob@mailserver,bob@elsewhere.example>",
    "<bob@mailserver>,<bob@elsewhere.example>",
    "<bob@mailserver> <bob@elsewhere.example>",
    "bob@elsewhere.example",
    "<bob@elsewhere.example",
    "<bob(comment)@elsewhere.example>",
    "<bob@elsewhere.example(mailserver)>",
    "<bob@elsewhere.example\\@mailserver>",
    "<bob+@elsewhere.example>",
    "<postmaster@elsewhere.example>",
    "<bob=elsewhere.example@mailserver>",
    "<bob@m\u0430ilserver>",
    "<bob@mailserver\uff0eelsewhere.example>",
    "<bob\uff20elsewhere.example@mailserver>",
    "<bob@\uff4dailserver.elsewhere>",
]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path, {"alice": "wonderland", "bob": "builder"})
    yield made
    made.close()


@pytest.mark.parametrize("utf8", ["", " SMTPUTF8"])
@pytest.mark.parametrize("sender", ["<>", "<alice@mailserver>", "<bob@elsewhere.example>"])
def test_no_address_leads_elsewhere(machine: Machine, sender: str, utf8: str) -> None:
    assert len(ELSEWHERE) >= 40
    for address in ELSEWHERE:
        said = f"EHLO c\r\nMAIL FROM:{sender}{utf8}\r\nRCPT TO:{address}\r\nDATA\r\n.\r\n"
        answer = bytes(machine.smtp([said.encode()]).sent).decode().split("\r\n")
        rcpt, data = [line for line in answer if line[:1] != "2"][:2]
        assert rcpt[:3] in ("501", "550", "553"), (address, rcpt)
        assert data.startswith("503 "), (address, data)
    assert machine.messages("bob") == []
    assert not any((machine.data / ".mailserver").glob("queue/*"))
