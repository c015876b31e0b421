"""mailadmin queue: what waits and why, and orders with and without a server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailserver.admin import command, queue
from mailserver.message.envelope import MailParameters, Recipient
from mailserver.message.outcome import Fate, Outcome
from mailserver.relay.entry import Entry, Tried
from mailserver.relay.spool import Spool
from mailserver.wire.address import ForwardPath, Mailbox, ReversePath

NOW = 1_795_442_709.0
LATER = Outcome(Fate.TEMPORARY, "4.2.2", "452 4.2.2 full", "mx.b.test")


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    made = Spool(tmp_path)
    for number, name in enumerate(("first", "second")):
        recipients = tuple(
            Recipient(ForwardPath(Mailbox(who, "b.test"))) for who in ("bob", "carol")
        )
        sender = ReversePath(Mailbox("alice", "a.test"))
        entry = Entry(name, NOW + number, sender, MailParameters(), recipients, 6)
        made.hold(entry, [b"text\r\n"]).release()
        made.obeyed("new", name)
    made.note("first", Tried(NOW + 60, (0,), LATER, 4e9))
    yield made
    made.close()


def run(data: Path, *options: str) -> int:
    return command.main(["--data", str(data), "queue", *options])


def test_list(spool: Spool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "list") == 0
    assert capsys.readouterr().out == (
        "first  2026-11-23T14:05:09Z  6 octets  from <alice@a.test>\n"
        "  <bob@b.test>  temporary, 1 tries, at 2026-11-23T14:06:09Z: mx.b.test said "
        "452 4.2.2 full; next try 2096-10-02T07:06:40Z\n"
        "  <carol@b.test>  not tried yet\n"
        "second  2026-11-23T14:05:10Z  6 octets  from <alice@a.test>\n"
        "  <bob@b.test>  not tried yet\n"
        "  <carol@b.test>  not tried yet\n"
    )


def test_json(spool: Spool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "list", "--json") == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["recipients"][0] == {
        "to": "bob@b.test",
        "state": "temporary",
        "tries": 1,
        "last_try": NOW + 60,
        "next_try": 4e9,
        "status": "4.2.2",
        "reason": "452 4.2.2 full",
        "said_by": "mx.b.test",
    }
    assert second["recipients"][1]["state"] == "waiting"
    assert run(tmp_path, "show", "--json", "first") == 0
    assert json.loads(capsys.readouterr().out) == first


def test_show(spool: Spool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "show", "second") == 0
    assert capsys.readouterr().out.startswith("id        second\narrived   2026-11-23T14:05:10Z\n")
    for name in ("third", "../users.txt"):
        assert run(tmp_path, "show", name) == 1
        assert "is not in the queue" in capsys.readouterr().err


def test_orders_without_a_server(
    spool: Spool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "hold", "first") == 0
    assert spool.load("first").held
    assert run(tmp_path, "list") == 0
    assert "from <alice@a.test>  HELD\n" in capsys.readouterr().out
    assert run(tmp_path, "release", "--all") == 0
    assert not spool.load("first").held
    assert run(tmp_path, "retry", "first") == 0
    assert spool.load("first").progress[0].next_try == 0
    assert run(tmp_path, "delete", "second") == 0
    assert spool.ids() == ["first"]
    assert spool.orders() == []


@pytest.mark.parametrize("options", [("delete",), ("delete", "--all", "first"), ("hold", "third")])
def test_orders_that_make_no_sense(spool: Spool, tmp_path: Path, options: tuple[str, ...]) -> None:
    assert run(tmp_path, *options) == 1
    assert len(spool.ids()) == 2


def test_orders_are_left_for_the_server(
    spool: Spool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert spool.own()  # as a server

    def obey() -> None:
        while not (orders := spool.orders()):
            pass
        for order in orders:
            spool.obeyed(*order)

    server = threading.Thread(target=obey)
    server.start()
    assert run(tmp_path, "hold", "first") == 0
    server.join()
    monkeypatch.setattr(queue, "SERVER_SECONDS", 0.1)
    assert run(tmp_path, "delete", "first") == 1
    assert "has not done it yet, but will: first" in capsys.readouterr().err
    assert spool.orders() == [("delete", "first")]
    assert "first" in spool.ids()


def test_a_folder_without_a_queue_stays_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "list") == 1
    assert "there is no queue" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
