"""What outlives a session: drafts, addresses for completion, exported messages."""

from __future__ import annotations

import io
import mailbox as standard_mailbox
import stat
from pathlib import Path

import pytest

from mailapp import message_view
from mailapp.completing import offers
from mailapp.compose import Attachment, Draft
from mailapp.exporting import export
from mailapp.mailbox import Message
from mailapp.outbox import KeptDraft, Outbox
from mailapp.state import State

DRAFT = Draft("a@x", ("b@x",), "s", ("Hi",), attachments=(Attachment("n", "x/y", b"\0\xff"),))


def test_drafts_are_kept_by_account(tmp_path: Path) -> None:
    path = str(tmp_path / "state")
    state = State(path)
    first = Outbox(state, "alice").keep(DRAFT)
    assert Outbox(state, "bob").drafts() == []
    state.close()
    state = State(path)
    outbox = Outbox(state, "alice")
    assert outbox.drafts() == [KeptDraft(first, DRAFT)]
    outbox.keep(Draft("a@x", (), "", ()), first)
    assert [kept.draft.subject for kept in outbox.drafts()] == [""]
    outbox.drop(first)
    assert outbox.drafts() == []
    state.close()


def test_what_is_no_draft_any_more_is_left_out() -> None:
    state = State()
    state.save_draft("alice", "{}")
    assert Outbox(state, "alice").drafts() == []


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("bo", ["bob@y", "bob@x"]),
        ("carol@x, bo", ["carol@x, bob@y", "carol@x, bob@x"]),
        ("bob@x, bo", ["bob@x, bob@y"]),
        ("", []),
        ("bo, ", []),
        ("zz", []),
        ("\udcff", []),
    ],
)
def test_the_last_address_is_completed(typed: str, offered: list[str]) -> None:
    state = State()
    state.meet({"bob@x": "Bob"})
    state.meet({"bob@y": "Bob too"})
    assert offers(state, typed) == offered


def test_an_mbox_that_other_programs_read(tmp_path: Path) -> None:
    octets = (
        b"From: Bob <bob@x>\r\nDate: Mon, 23 Nov 2026 14:05:09 +0000\r\nSubject: s\r\n\r\n"
        b"From here\r\n>From there\r\nFromage\r\n" + b"x" * 70_000 + b"From \r\n\r\nlast"
    )
    messages = [Message(1, io.BytesIO(octets)), Message(2, io.BytesIO(b"\r\nFrom x\r\n"))]
    path = export(iter(messages), tmp_path, "a/../mail.mbox")
    assert path == tmp_path / "mail.mbox"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert all(message.content.closed for message in messages)
    text = path.read_bytes()
    assert text.startswith(b"From bob@x Mon Nov 23 ")
    assert b"\n>From here\n>>From there\nFromage\n" in text
    assert text.endswith(b"\n\nFrom MAILER-DAEMON Thu Jan  1 00:00:00 1970\n\n>From x\n\n")
    assert b"\r" not in text
    read = standard_mailbox.mbox(path)
    assert [one["Subject"] for one in read] == ["s", None]
    read.close()


@pytest.mark.parametrize("at", [65_534, 65_535, 65_536])
def test_line_ends_at_the_edge_of_a_piece(tmp_path: Path, at: int) -> None:
    content = b"\r\n" + b"x" * (at - 2) + b"\r\nFrom y\r\n"
    path = export([Message(1, io.BytesIO(content))], tmp_path)
    assert path.read_bytes().endswith(b"x\n>From y\n\n")
    shown = "".join(message_view.source(Message(1, io.BytesIO(content))))
    assert shown == content.decode().replace("\r\n", "\n")


def test_the_source_of_a_message_is_text_whatever_it_holds() -> None:
    shown = "".join(
        message_view.source(Message(1, io.BytesIO(b"A: K\xc3\xb6ln\r\n\r\n\xff\0\r\n")))
    )
    assert shown == "A: Köln\n\n\\xff\0\n"
