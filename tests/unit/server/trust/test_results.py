"""Authentication-Results: ours can be read, and nobody else's passes for ours."""

from __future__ import annotations

import pytest

from mailserver.trust.canonical import fields_of
from mailserver.trust.results import Finding, results_field, without_ours

OWN = {"mailserver", "example.org"}


def cleaned(block: str) -> str:
    return without_ours(block.encode(), fields_of(block.encode()), OWN).decode()


def test_the_field() -> None:
    found = [
        Finding("spf", "pass", properties=(("smtp.mailfrom", "example.org"),)),
        Finding(
            "dkim",
            "fail",
            "the body was changed",
            (("header.d", "example.org"), ("header.s", "s1"), ("header.b", "ab+/cd==")),
        ),
        Finding("dmarc", "fail", "", (("header.from", "example.org"), ("policy.dmarc", "reject"))),
    ]
    assert results_field("mailserver", found).decode() == (
        "Authentication-Results: mailserver;\n"
        "\tspf=pass smtp.mailfrom=example.org;\n"
        "\tdkim=fail\n"
        '\t reason="the body was changed"\n'
        "\t header.d=example.org\n"
        "\t header.s=s1\n"
        '\t header.b="ab+/cd==";\n'
        "\tdmarc=fail header.from=example.org policy.dmarc=reject\n"
    )
    assert results_field("mailserver", []) == b"Authentication-Results: mailserver;\n\tnone\n"


@pytest.mark.parametrize("text", ['a"; dkim=pass', "a\nTo: b", "a\r\n\r\nb", "é\x1b[2J", "a" * 999])
def test_nothing_breaks_out_of_a_value(text: str) -> None:
    field = results_field("m", [Finding("spf", "fail", text)])
    assert field.count(b"\n") == 2
    assert field.isascii()
    assert len(field) < 300
    assert field.replace(b'\\"', b"").count(b'"') == 2


@pytest.mark.parametrize(
    "forged",
    [
        "Authentication-Results: mailserver; spf=pass\n",
        "AUTHENTICATION-RESULTS : MAILSERVER 1;\n\tdkim=pass\n",
        "Authentication-Results:\n\t(hi (there))\n mailserver ; spf=pass\n",
        'Authentication-Results: "mail\\server"; spf=pass\n',
        "Authentication-Results: example.org.; spf=pass\n",
        "Authentication-Results: ; spf=pass\n",
        "Authentication-Results: (mailserver; spf=pass\n",
    ],
)
def test_what_pretends_to_be_ours_goes(forged: str) -> None:
    kept = "X-Authentication-Results: mailserver; spf=pass\nSubject: tea\n"
    assert cleaned(forged) == ""
    assert cleaned("From: a@b\n" + forged + kept + forged) == "From: a@b\n" + kept


def test_what_others_found_stays() -> None:
    block = "Authentication-Results: mx.example.net; spf=pass\nSubject: mailserver\n"
    assert cleaned(block) == block
