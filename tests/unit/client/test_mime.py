"""Structure and text together: what a person sees of a message."""

from __future__ import annotations

import base64
import io
import quopri
import resource
import tempfile
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailapp import content, message_view, mime
from mailapp.charset import decode_bytes
from mailapp.mailbox import Message
from mailapp.render import visible


def seen(raw: str | bytes) -> str:
    """The view without its first line and without the message's own header lines."""
    octets = raw.encode() if isinstance(raw, str) else raw
    octets = octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    view = "".join(message_view.pieces(Message(1, io.BytesIO(octets))))
    return view.removeprefix("\nMessage 1\n")


def mixed(*parts: str, kind: str = "mixed") -> str:
    inside = "".join(f"--b\n{part}\n" for part in parts)
    return f"Content-Type: multipart/{kind}; boundary=b\n\npreamble\n{inside}--b--\nepilogue\n"


def test_headers_and_text() -> None:
    assert seen("To: b@x\nX-No: y\nfrom: a@x\nSubject: =?utf-8?q?=C3=BC?=\n\nHi\nthere\n") == (
        "From: a@x\nTo: b@x\nSubject: ü\n\nHi\nthere\n"
    )


def test_a_text_without_last_newline_gets_one() -> None:
    assert seen("Subject: s\n\nHi").endswith("\n\nHi\n")


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("quoted-printable", quopri.encodestring("Grüße =\n.dots.\n".encode())),
        ("base64", base64.encodebytes("Grüße =\n.dots.\n".encode())),
        ("BASE64", base64.b64encode("Grüße =\n.dots.\n".encode()).rstrip(b"=") + b"\n*!\n"),
        ("8bit", "Grüße =\n.dots.\n".encode()),
        ("x-unknown", "Grüße =\n.dots.\n".encode()),
    ],
)
def test_transfer_encodings(name: str, body: bytes) -> None:
    head = f"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: {name}\n\n"
    assert seen(head.encode() + body) == "\nGrüße =\n.dots.\n"


@pytest.mark.parametrize(
    ("charset", "octets", "text"),
    [
        ("iso-8859-1", b"K\xf6ln", "Köln"),
        ("koi8-r", "Москва".encode("koi8-r"), "Москва"),
        ("iso-2022-jp", "漢字".encode("iso-2022-jp"), "漢字"),
        ("us-ascii", "ü".encode(), "ü"),
        ("nonsense", "ü".encode(), "ü"),
        ("unicode_escape", rb"\x1b[2J", r"\x1b[2J"),
        ("zlib", b"abc", "abc"),
        ("utf-8", b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_charsets(charset: str, octets: bytes, text: str) -> None:
    assert (
        seen(f"Content-Type: text/plain; charset={charset}\n\n".encode() + octets) == f"\n{text}\n"
    )


def test_the_plain_alternative_is_shown() -> None:
    plain = "Content-Type: text/plain\n\nplain"
    rich = "Content-Type: text/html\n\n<p>rich</p>"
    assert seen(mixed(plain, rich, kind="alternative")) == "\nplain\n"
    assert seen(mixed(rich, kind="alternative")) == "\nrich\n"
    assert seen(mixed(plain, rich)) == "\nplain\n\nrich\n"


def test_attachments_are_listed() -> None:
    pdf = (
        "Content-Type: application/pdf\nContent-Transfer-Encoding: base64\n"
        "Content-Disposition: attachment; filename*0*=utf-8''%C3%BC%; filename*1=b.pdf\n\n"
        + base64.encodebytes(b"x" * 5700).decode()
    )
    text = 'Content-Type: text/plain; name="../../.bashrc"\nContent-Disposition: ATTACHMENT\n\nx'
    assert seen(mixed("\nHi", pdf, text)) == (
        "Attachment 1: ü%b.pdf (application/pdf, about 5.7 KB)\n"
        "Attachment 2: .bashrc (text/plain, about 1 B)\n\nHi\n"
    )


def test_a_name_cannot_turn_the_line_around() -> None:
    part = "Content-Type: image/png; name*=utf-8''a%E2%80%AE%1B%0Agnp.exe\n\nx"
    assert "a<U+202E>^[^Jgnp.exe (image/png" in seen(mixed(part))


def test_an_attached_message_has_its_own_head() -> None:
    inner = "Content-Type: message/rfc822\n\nFrom: c@x\nSubject: inner\n\nwithin"
    assert seen(mixed("\nHi", inner)) == (
        "Attachment 1: (no name) (message/rfc822, about 35 B)\n"
        "\nHi\n\n--- Attached message ---\nFrom: c@x\nSubject: inner\n\nwithin\n"
    )


def test_a_digest_holds_messages() -> None:
    view = seen(mixed("\nSubject: one\n\nfirst", "\nSubject: two\n\nsecond", kind="digest"))
    assert view.index("Subject: one") < view.index("first") < view.index("Subject: two")


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "\n",
        "no header at all\n",
        "Subject",
        "Content-Type: multipart/mixed; boundary=b\n",
        "Content-Type: multipart/mixed; boundary=b\n\n--b",
        "Content-Type: multipart/mixed; boundary=b\n\n--b--",
        "Content-Type: multipart/mixed\n\nno boundary\n",
        'Content-Type: multipart/mixed; boundary=""\n\n--\n\nx\n----\n',
        "Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\n--b\nX",
        "Content-Type: ;;;;=\n\nx\n",
        "Content-Type: message/rfc822\n",
        "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nQUJD\n",
    ],
)
def test_broken_messages_open(raw: str) -> None:
    assert seen(raw).endswith("\n")


def test_a_boundary_used_again_inside_hides_nothing() -> None:
    inner = "Content-Type: multipart/mixed; boundary=b\n\n--b\n\ninner\n--b--"
    assert seen(mixed(inner, "\nouter")) == "\ninner\n\nouter\n"


def test_the_line_end_before_a_delimiter_belongs_to_it() -> None:
    part = "Content-Type: x/y\n\n123"
    assert seen(mixed(part, part)).count("about 3 B") == 2


@pytest.mark.parametrize("before", ["", "x", "xx"])
def test_a_long_line_of_quoted_printable_is_not_cut_in_a_character(before: str) -> None:
    head = (
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n"
    )
    assert seen(head + before + "=C3=A9" * 50_000) == "\n" + before + "é" * 50_000 + "\n"


PARTS = ["--b\n", "--b--\n", "--c\n", "\n", "x\n", "Content-Type: multipart/mixed; boundary=c\n"]
PARTS += ["Content-Type: message/rfc822\n", "Content-Type: text/html\n", "<p", "&amp", "=\n", "\r"]


@given(st.lists(st.sampled_from(PARTS)))
def test_any_structure_opens(lines: list[str]) -> None:
    seen("Content-Type: multipart/alternative; boundary=b\n\n" + "".join(lines))


@given(st.binary())
def test_any_octets_open(octets: bytes) -> None:
    seen(octets)
    seen(b"Content-Type: text/html; charset=utf-16\n\n" + octets)


@given(st.lists(st.binary(max_size=9)), st.sampled_from(["base64", "quoted-printable", "7bit"]))
def test_chunks_do_not_matter(chunks: list[bytes], encoding: str) -> None:
    whole = b"".join(content._transfer_decoded([b"".join(chunks)], encoding))
    assert b"".join(content._transfer_decoded(chunks, encoding)) == whole


def test_twenty_thousand_recipients_are_summed_up() -> None:
    view = seen("To: someone@example.org\n" * 20_000 + "Subject: end\n\nbody\n")
    assert "(and 19,900 more lines) (headers shows them all)\nSubject: end\n\nbody\n" in view


def test_a_line_of_100000_octets_is_shown_whole() -> None:
    assert "x" * 100_000 + "\n" in seen("Subject: s\n\n" + "x" * 100_000 + "\n")


@pytest.mark.parametrize(
    ("depth", "end"),
    [
        (2000, "\ninnermost\n"),
        (100_000, f"\n(This message has more than {mime.MAX_PARTS:,} parts; "),
    ],
)
def test_nesting_is_no_recursion(depth: int, end: str) -> None:
    levels = (f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(depth))
    view = seen("".join(levels) + "\ninnermost\n")
    assert end in view


def test_fifty_megabytes_in_bounded_memory_and_time() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryFile() as file:
        file.write(b"Subject: s\r\n\r\n")
        for _ in range(50):
            file.write(b"x" * 1_000_000)
        started = time.monotonic()
        shown = sum(len(visible(piece)) for piece in message_view.pieces(Message(1, file)))
        assert shown > 50_000_000
        assert time.monotonic() - started < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # kilobytes


CHARSETS = ["ascii", "utf-7", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252", "cp932"]
CHARSETS += ["gb18030", "hz", "big5", "euc-jp", "euc-kr", "shift_jis", "iso-2022-jp", "iso-2022-kr"]


@given(st.sampled_from(CHARSETS), st.lists(st.binary(max_size=9)))
def test_no_charset_raises(charset: str, chunks: list[bytes]) -> None:
    text = "".join(content._characters(chunks, charset))
    assert bool(text) <= bool(b"".join(chunks))
    decode_bytes(b"".join(chunks), charset)


@given(st.lists(st.sampled_from(["\r", "\n", "\r\n", "a", "b\r"])))
def test_line_ends_in_two_chunks(chunks: list[str]) -> None:
    assert "".join(content.newlines(chunks)) == "".join(chunks).replace("\r\n", "\n")


HEAD = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_delimiter_is_found_wherever_it_stands(end: bytes) -> None:
    for size in [*range(505, 520), *range(1530, 1545), 16_384, 70_000]:
        for body in (b"x" * size, (b"-\n" * size)[-size:-1] + b"x"):
            message = HEAD + body + end + b"--b--" + end
            first = mime.read_structure(io.BytesIO(message)).parts[1]
            assert message[first.start : first.end] == body


def test_lines_of_a_body_are_not_read_one_by_one() -> None:
    class Counting(io.BytesIO):
        lines = 0

        def readline(self, size: int | None = -1, /) -> bytes:
            self.lines += 1
            return super().readline(size)

    for head in (b"Subject: s\r\n\r\n", HEAD):
        message = Counting(head + b"a line\r\n" * 100_000)
        assert mime.read_structure(message).parts[-1].end == len(message.getvalue())
        assert message.lines < 10
