"""What is remembered: bounded, private, and never in the way."""

from __future__ import annotations

import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from mailapp import drafts, state, summary
from mailapp.compose import Attachment, Draft
from mailapp.state import State, open_state, state_folder
from mailapp.summary import Summary


def test_it_is_there_the_next_time_and_for_nobody_else(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "mailclient"
    kept = open_state(folder)
    assert kept.is_kept
    kept.remember("alice", {"u1": "{}"})
    kept.mark("alice", "u1", "read")
    kept.close()
    again = open_state(folder)
    assert again.known("alice", ["u1", "u2"]) == {"u1": state.Known("read", "{}")}
    assert again.known("bob", ["u1"]) == {}
    again.forget("alice", ["u1"])
    assert again.known("alice", ["u1"]) == {}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "state.sqlite3").stat().st_mode) == 0o600


def test_what_cannot_be_kept_is_kept_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert not open_state(tmp_path / "file" / "mailclient").is_kept
    (tmp_path / "state.sqlite3").write_bytes(b"this is no database at all" * 100)
    broken = open_state(tmp_path)
    broken.mark("alice", "u1", "read")
    assert not broken.is_kept


def test_another_version_s_file_is_made_anew(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "state.sqlite3") as other:
        other.execute("CREATE TABLE message (x)")
        other.execute("PRAGMA user_version = 99")
    other.close()
    kept = open_state(tmp_path)
    kept.mark("alice", "u1", "read")
    assert kept.is_kept
    assert kept.known("alice", ["u1"])["u1"].status == "read"


def test_it_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "MAX_MESSAGES", 20)
    monkeypatch.setattr(state, "MAX_ADDRESSES", 20)
    monkeypatch.setattr(state, "MAX_DRAFTS", 3)
    kept = State()
    for number in range(30):
        kept.remember("alice", {f"u{number}": "{}"})
        kept.meet({f"a{number}@x": "A"})
        kept.save_draft("alice", str(number))
    known = kept.known("alice", [f"u{number}" for number in range(30)])
    assert len(known) <= 20
    assert "u29" in known
    assert "u0" not in known
    assert len(kept.addresses(limit=100)) <= 20
    assert [text for _, text in kept.drafts("alice")] == ["27", "28", "29"]


def test_servers() -> None:
    kept = State()
    assert not kept.offered_tls("h", 1)
    kept.remember_tls("H", 1)
    kept.trust("h", 1, "AB")
    assert kept.offered_tls("h", 1)
    assert kept.fingerprint("h", 1) == "AB"
    assert not kept.offered_tls("h", 2)


def test_addresses_by_beginning_and_name() -> None:
    kept = State()
    kept.meet({"Bob@x": "Bob the Builder", "carol@x": "C", "b%@x": "odd"})
    kept.meet({"bob2@x": "other"})
    assert kept.addresses("bo") == ["bob2@x", "bob@x"]
    assert kept.addresses("bob the") == ["bob@x"]
    assert kept.addresses("b%") == ["b%@x"]
    assert kept.addresses("' OR 1=1 --") == []


def test_drafts_come_back_whole() -> None:
    kept = State()
    attached = Attachment("a", "x/y", b"\0\xff")
    draft = Draft(
        "a@x", ("b@x",), "s\u00fc", ("one", ""), ("c@x",), ("d@x",), (attached,), "<1>", ("<0>",)
    )
    number = kept.save_draft("alice", drafts.to_text(draft))
    assert kept.save_draft("alice", drafts.to_text(draft), number) == number
    assert [(n, drafts.from_text(text)) for n, text in kept.drafts("alice")] == [(number, draft)]
    kept.drop_draft(number)
    assert kept.drafts("alice") == []
    for text in ("", "[]", "{}", '{"attachments": []}', "null"):
        assert drafts.from_text(text) is None


def test_any_thread_may_ask() -> None:
    kept = State()

    def work(name: str) -> None:
        for number in range(50):
            kept.remember(name, {f"u{number}": "{}"})

    threads = [threading.Thread(target=work, args=(f"a{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(len(kept.known(f"a{n}", [f"u{i}" for i in range(50)])) == 50 for n in range(4))


def test_a_summary_comes_back() -> None:
    line = summary.summarise(
        3,
        b"From: =?utf-8?q?B=C3=B6b?= <bob@x>\r\nSubject: s\r\nMessage-ID: <1@x>\r\n"
        b"References: <0@x>\r\nContent-Type: multipart/mixed\r\n\r\n",
    )
    assert summary.from_text(summary.to_text(line)) == Summary(**{**vars_of(line), "number": 0})
    assert line.has_attachment
    assert (line.sender, line.address) == ("B\u00f6b", "bob@x")
    assert (line.message_id, line.references) == ("<1@x>", ("<0@x>",))
    for text in ("", "[]", '{"x": 1}'):
        assert summary.from_text(text) is None


def vars_of(line: Summary) -> dict[str, object]:
    return {name: getattr(line, name) for name in Summary.__dataclass_fields__}


def test_the_folder_is_the_standard_s(tmp_path: Path) -> None:
    assert state_folder({"XDG_STATE_HOME": str(tmp_path)}) == tmp_path / "mailclient"
    for environment in ({}, {"XDG_STATE_HOME": "relative"}):
        assert state_folder(environment) == Path.home() / ".local/state/mailclient"
