"""The lab's name server, asked by a real resolver over UDP and TCP."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.query
import dns.rcode
import pytest
from tests.sockets.conftest import SECONDS

SCRIPT = Path(__file__).parents[2] / "lab" / "name_server.py"
LONG = " ".join(f'"{"x" * 250}"' for _ in range(6))


class NameServer:
    """One running, over a folder of zones."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(folder), "0"], stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        self.log = self.process.stderr
        while not (found := re.search(r"listening on port (\d+)", self.log.readline())):
            assert self.process.poll() is None
        self.port = int(found[1])

    def ask(self, name: str, kind: str, *, tcp: bool = False) -> str:
        """The answers' texts, or the code that says why there is none."""
        query = dns.message.make_query(name, kind)
        ask = dns.query.tcp if tcp else dns.query.udp
        response = ask(query, "127.0.0.1", SECONDS, port=self.port)
        if response.rcode() or not response.answer:
            assert response.authority, "how long it may be kept"
            return dns.rcode.to_text(response.rcode())
        return "; ".join(rdata.to_text() for rrset in response.answer for rdata in rrset)

    def stop(self) -> None:
        self.process.terminate()
        assert self.process.wait(SECONDS) == 0
        self.log.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.test.zone").write_text(
        f"a.test. IN MX 10 a.test.\na.test. IN A 192.0.2.1\ns._domainkey.a.test. IN TXT {LONG}\n"
    )
    return tmp_path


@pytest.fixture
def server(folder: Path) -> Iterator[NameServer]:
    one = NameServer(folder)
    yield one
    one.stop()


@pytest.mark.parametrize("tcp", [False, True])
def test_answers(server: NameServer, tcp: bool) -> None:
    assert server.ask("a.test", "MX", tcp=tcp) == "10 a.test."
    assert server.ask("A.Test", "A", tcp=tcp) == "192.0.2.1"
    assert server.ask("a.test", "AAAA", tcp=tcp) == "NOERROR"
    assert server.ask("_domainkey.a.test", "TXT", tcp=tcp) == "NOERROR"
    assert server.ask("b.a.test", "A", tcp=tcp) == "NXDOMAIN"
    assert server.ask("example.org", "MX", tcp=tcp) == "NXDOMAIN"


def test_what_is_too_long_for_udp_comes_by_tcp(server: NameServer) -> None:
    query = dns.message.make_query("s._domainkey.a.test", "TXT")
    response, by_tcp = dns.query.udp_with_fallback(query, "127.0.0.1", SECONDS, port=server.port)
    assert by_tcp
    assert response.answer[0][0].to_text() == LONG


def test_zones_that_come_change_and_break_while_it_runs(server: NameServer, folder: Path) -> None:
    assert server.ask("b.test", "A") == "NXDOMAIN"
    zone = folder / "b.test.zone"
    zone.write_text("b.test. IN A 192.0.2.2\n")
    assert server.ask("b.test", "A") == "192.0.2.2"
    zone.write_text("b.test. IN A 192.0.2.22\n")
    assert server.ask("b.test", "A") == "192.0.2.22"
    zone.write_text("b.test. IN A somewhere\n")
    assert server.ask("b.test", "A") == "NXDOMAIN"
    assert server.ask("a.test", "A") == "192.0.2.1"
