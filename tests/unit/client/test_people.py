"""Address lists, replies and forwards; senders that pretend."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailapp import answering, people
from mailapp.compose import MAX_SUBJECT_CHARACTERS
from mailapp.headers import Headers, read_headers
from mailapp.people import Person, looks_like, warnings


def headers(*lines: str) -> Headers:
    return read_headers(f"{line}\r\n".encode() for line in lines)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        (",,", []),
        ("bob@x", [("", "bob@x")]),
        ("Bob <bob@x>, carol@x", [("Bob", "bob@x"), ("", "carol@x")]),
        ('"Builder, Bob" <bob@x>', [("Builder, Bob", "bob@x")]),
        ('"a\\"b" <bob@x>', [('a"b', "bob@x")]),
        ("bob@x (a comment, (nested) with a comma)", [("", "bob@x")]),
        ("team: bob@x, carol@x;, dave@x", [("", "bob@x"), ("", "carol@x"), ("", "dave@x")]),
        ("undisclosed-recipients:;", []),
        ("=?utf-8?q?B=2C_=C3=B6?= <bob@x>", [("B, ö", "bob@x")]),
        ('<"a b"@x>', [("", '"a b"@x')]),
        ("Bob <bob@x", [("Bob", "bob@x")]),
        ('"Bob <bob@x>', [("", "Bob <bob@x>")]),
    ],
)
def test_lists(text: str, found: list[tuple[str, str]]) -> None:
    assert people.people(text) == [Person(*one) for one in found]


@given(st.text(alphabet='ab@<>"\\(),;: ', max_size=60))
def test_any_text_is_a_list(text: str) -> None:
    people.people(text)


def test_hostile_lists_take_no_time() -> None:
    before = time.process_time()
    for text in ("(" * 100_000, '"' * 100_001, "a," * 100_000, "<" * 100_000):
        assert len(people.people(text)) <= people.MAX_PEOPLE
    assert time.process_time() - before < 2


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        (["From: Bob <bob@x>"], ""),
        (['From: "boss@bank.example" <eve@evil.example>'], "shows the address boss@bank.example"),
        (['From: "eve@evil.example" <eve@evil.example>'], ""),
        (["From: boss＠bank.example <eve@evil.example>"], "shows the address boss@bank.example"),
        (["From: a@x", "From: b@x"], "more than one"),
        (["From: a@x, b@x"], "more than one"),
        (["From: b\u043eb@friend.example"], "looks like bob@friend.example"),
        (["From: b0b@friend.example"], "looks like bob@friend.example"),
        (["From: bob@fricnd.example"], ""),
        (["From: x@\u0440aypal.example"], "imitate others: x@xn--"),
    ],
)
def test_senders_that_pretend(lines: list[str], word: str) -> None:
    found = " ".join(warnings(headers(*lines), ["bob@friend.example", "carol@x"]))
    assert word in found
    assert bool(found) == bool(word)


def test_who_is_known_looks_like_nobody() -> None:
    assert looks_like("bob@x", ["b0b@x", "bob@x"]) == ""
    assert looks_like("rnary@x", ["mary@x"]) == "mary@x"


ASKED = (
    "From: Bob <bob@x>",
    "To: alice@x, Carol <carol@x>",
    "Cc: dave@x, not an address, ALICE@X",
    "Date: Mon, 23 Nov 2026 14:05:09 +0000",
    "Subject: Lab 3",
    "Message-ID: <2@x>",
    "References: <0@x> <1@x>",
)


def test_a_reply() -> None:
    draft = answering.reply("alice@x", headers(*ASKED), ["one\n> two\n", "\x1b[2Jthree"])
    assert (draft.sender, draft.recipients, draft.cc) == ("alice@x", ("bob@x",), ())
    assert draft.subject == "Re: Lab 3"
    assert draft.body[:2] == ("", "On Mon, 23 Nov 2026 14:05:09 +0000, Bob wrote:")
    assert draft.body[2:] == ("> one", ">> two", "> [2Jthree", "")
    assert draft.in_reply_to == "<2@x>"
    assert draft.references == ("<0@x>", "<1@x>", "<2@x>")


def test_a_reply_to_all_leaves_oneself_out() -> None:
    draft = answering.reply("alice@x", headers(*ASKED), [], to_all=True)
    assert (draft.recipients, draft.cc) == (("bob@x",), ("carol@x", "dave@x"))


def test_reply_to_is_obeyed_and_own_mail_is_answered_to_oneself() -> None:
    asked = headers(*ASKED, "Reply-To: list@x")
    assert answering.reply("alice@x", asked, []).recipients == ("list@x",)
    assert answering.reply("bob@x", headers("From: bob@x"), []).recipients == ("bob@x",)
    assert answering.reply("bob@x", headers("From: nobody"), []).recipients == ()


@pytest.mark.parametrize("subject", ["Re: s", "RE[2]: s", "aw: s"])
def test_one_re_is_enough(subject: str) -> None:
    assert answering.reply("a@x", headers(f"Subject: {subject}"), []).subject == subject


def test_long_subjects_threads_and_texts_are_bounded() -> None:
    references = " ".join(f"<{n}@x>" for n in range(100))
    asked = headers("Subject: " + "x" * 200, f"References: {references}", "Message-ID: <n@x>")
    draft = answering.reply("a@x", asked, ["line\n"] * 10_000 + ["y" * 100_000])
    assert len(draft.subject) == MAX_SUBJECT_CHARACTERS
    assert len(draft.references) == answering.MAX_REFERENCES
    assert (draft.references[0], draft.references[-1]) == ("<0@x>", "<n@x>")
    assert len(draft.body) == answering.MAX_QUOTED_LINES + 4


def test_forwards() -> None:
    draft = answering.forward("alice@x", headers(*ASKED), ["text\n"])
    assert draft.subject == "Fwd: Lab 3"
    assert draft.recipients == ()
    assert "From: Bob <bob@x>" in draft.body
    assert draft.body[-1] == "text"
    whole = answering.forward_whole("alice@x", headers(*ASKED), b"Subject: s\r\n\r\n")
    assert whole.attachments[0].content_type == "message/rfc822"


@pytest.mark.parametrize(
    ("name", "word"),
    [("P\u0430ypal Service", "P\u0430ypal"), ("Анна Ivanova", ""), ("Zoë 漢字", ""), ("Bob", "")],
)
def test_a_word_of_two_alphabets(name: str, word: str) -> None:
    assert people.mixed_word(name) == word
    found = people.warnings(read_headers([f"From: {name} <a@x>\r\n".encode()]))
    assert [text.partition(" ")[0] for text in found] == [word] * bool(word)
