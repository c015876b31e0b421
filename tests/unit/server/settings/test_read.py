"""Settings from four sources, checked once: what they say, and what is said about those that cannot
be."""

from __future__ import annotations

import itertools
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver import settings
from mailserver.settings import Settings, Unusable, toml_file
from mailserver.settings.kinds import Unfit
from mailserver.settings.tree import SETTINGS, Listening


def read(*arguments: str, command: str = "smtpmail", **environment: str) -> Settings:
    return settings.read(command, "what it does", list(arguments), environment)


def problems(data: Path, file: str | bytes = "", **environment: str) -> list[str]:
    """What a start with this file and this environment complains of."""
    octets = file.encode() if isinstance(file, str) else file
    (data / toml_file.NAME).write_bytes(octets)
    with pytest.raises(Unusable) as caught:
        read("25", "--data", str(data), **environment)
    return [line.replace(str(data / toml_file.NAME), "FILE") for line in caught.value.args]


def test_a_port_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket, "gethostname", lambda: "mail.example")
    listening = Listening(domains=("mail.example",))
    assert read("2525") == Settings(2525, tmp_path, listening)


@pytest.mark.parametrize("command", ["smtpmail", "popserver"])
def test_to_check_needs_no_port(command: str) -> None:
    assert read("--check", command=command).check
    assert not read("25", command=command).check


def test_each_source_beats_the_next(tmp_path: Path) -> None:
    file, variable, option = "error_limit = 2", {"MAILSERVER_ERROR_LIMIT": "3"}, "--error-limit=4"
    for in_file, in_environment, in_arguments in itertools.product((False, True), repeat=3):
        (tmp_path / toml_file.NAME).write_text(file if in_file else "")
        found = read(
            *("25", "--data", str(tmp_path), *([option] if in_arguments else [])),
            **(variable if in_environment else {}),
        )
        expected = 4 if in_arguments else 3 if in_environment else 2 if in_file else 20
        assert found.limits.error_limit == expected


def test_domains_beyond_ascii() -> None:
    found = read("25", "--domain", "Bücher.example", "--domain=straße.example")
    assert found.listening.domains == ("xn--bcher-kva.example", "xn--strae-oqa.example")
    for domain in ("bü cher.example", "\u2603\u200d.example", "ü..example", "-ü.example"):
        refused("25", f"--domain={domain}")


def test_lists_in_all_forms(tmp_path: Path) -> None:
    expected = ("a.example", "b.example")
    assert read("25", "--domain=a.example", "--domain", "b.example").listening.domains == expected
    for text in (
        "a.example b.example",
        " a.example,\tb.example, ",
        "a.example,a.example b.example",
    ):
        assert read("25", MAILSERVER_DOMAINS=text).listening.domains == expected
    (tmp_path / toml_file.NAME).write_text('domains = ["a.example",\n  "b.example"]')
    assert read("25", "--data", str(tmp_path)).listening.domains == expected


def test_no_limit_is_none() -> None:
    assert read("25", "--subject-limit=0").limits.subject_limit is None
    assert read("25", MAILSERVER_SUBJECT_LIMIT="0").limits.subject_limit is None


def test_an_empty_variable_counts_as_not_set() -> None:
    assert read("25", MAILSERVER_ERROR_LIMIT="").limits.error_limit == 20


def test_a_service_called_mailserver_is_no_setting() -> None:
    """Docker's links and Kubernetes put these into the environment."""
    assert read("25", MAILSERVER_PORT="tcp://10.0.0.1:25", MAILSERVER_SERVICE_HOST="10.0.0.1")


@pytest.mark.parametrize(
    ("file", "line", "said"),
    [
        ("\nconections = 5", 2, "there is no setting 'conections'; did you mean connections?"),
        ("[zzz]\nx = 1", 1, "there is no setting 'zzz'; docs/settings.md lists those there are"),
        ("zzz.y = 1", 1, "there is no setting 'zzz'; docs/settings.md lists those there are"),
        (
            '# connections = 1\nhost = "a"\n  "connections"\t= "many"',
            3,
            "connections cannot be 'many'; it is a whole number from 1 to 1000000",
        ),
        (
            "connections = 0",
            1,
            "connections cannot be 0; it is a whole number from 1 to 1000000",
        ),
        (
            "connections = true",
            1,
            "connections cannot be True; it is a whole number from 1 to 1000000",
        ),
        (
            "subject_limit = -1",
            1,
            "subject_limit cannot be -1; it is a whole number from 1 to 1000000; 0: no limit",
        ),
        (
            "subject_limit = 0.0",
            1,
            "subject_limit cannot be 0.0; it is a whole number from 1 to 1000000; 0: no limit",
        ),
        (
            'domains = "a.example"',
            1,
            (
                "domains cannot be 'a.example'; it is a list of domain names, "
                'each such as "example.org"'
            ),
        ),
        (
            '[aliases]\nstaff = ["alice"]\ncatch_all = "bob"',
            3,
            "catch_all is a setting; put it above [aliases]",
        ),
        ("host = 1\nhost = 2", 2, "Cannot overwrite a value (column 9)"),
        ("\n\nhost = ", 3, "Invalid value (column 8)"),
        (b"\nhost = \xff", 2, "is not UTF-8"),
    ],
)
def test_what_is_wrong_in_the_file(file: str | bytes, line: int, said: str, tmp_path: Path) -> None:
    assert problems(tmp_path, file) == [f"FILE:{line}: {said}"]


@pytest.mark.parametrize(
    ("file", "line", "why"),
    [
        ("aliases = 5", 1, ""),
        ("[aliases]\nx = 5", 2, "'x' needs a name or a list of names"),
        ("[aliases]\nx = []", 2, "'x' needs a name or a list of names"),
        ("[aliases]\n\nx = [5]", 3, "'5' is no name of a user or an alias here"),
        (
            "[aliases]\nx = 'bob@example.org, carol@example.org'",
            2,
            "'bob@example.org, carol@example.org' is no name of a user or an alias",
        ),
        ("[aliases]\n'x y' = 'bob'", 2, "'x y' is no name of an alias"),
        ("[aliases]\nv = 'w'\nw = 'V'", 2, "a loop: v -> w -> v"),
    ],
)
def test_aliases_that_cannot_be(file: str, line: int, why: str, tmp_path: Path) -> None:
    (said,) = problems(tmp_path, file)
    assert said.startswith(f"FILE:{line}: aliases cannot be ")
    assert why in said


def test_aliases_lead_to_addresses_too(tmp_path: Path) -> None:
    """A name in lower case; an address keeps its own."""
    text = """[aliases]\nStaff = ["Alice", "Bob.B@Example.ORG", '"a b"@example.org']\n"""
    (tmp_path / toml_file.NAME).write_text(text)
    chosen = read("25", "--data", str(tmp_path))
    members = ("alice", "Bob.B@Example.ORG", '"a b"@example.org')
    assert chosen.delivery.aliases == (("staff", members),)


def test_aliases_in_all_forms(tmp_path: Path) -> None:
    expected = (("staff", ("alice", "bob")), ("info", ("carol",)))
    text = "Staff=alice,bob  info=Carol"
    assert read("25", MAILSERVER_ALIASES=text).delivery.aliases == expected
    assert read("25", "--aliases", text).delivery.aliases == expected
    for file in (
        '[aliases]\nstaff = ["Alice", "bob", "alice"]\ninfo = "carol"',
        'aliases = { staff = ["alice", "bob"], info = ["carol"] }',
    ):
        (tmp_path / toml_file.NAME).write_text(file)
        assert read("25", "--data", str(tmp_path)).delivery.aliases == expected


@pytest.mark.parametrize("text", ["staff", "staff=", "=bob", "staff=bob,,alice", "a=b b=a"])
def test_aliases_as_text_that_cannot_be(text: str) -> None:
    with pytest.raises(Unusable):
        read("25", MAILSERVER_ALIASES=text)


def test_flags_as_text() -> None:
    for text, value in (("true", True), ("YES", True), ("1", True), ("off", False), ("no", False)):
        assert read("25", MAILSERVER_PLUS_ADDRESSES=text).delivery.plus_addresses is value
    with pytest.raises(Unusable):
        read("25", MAILSERVER_PLUS_ADDRESSES="perhaps")


def test_a_long_value_is_cut(tmp_path: Path) -> None:
    (said,) = problems(tmp_path, f'connections = "{"x" * 1000}"')
    assert len(said) < 200


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    assert problems(
        tmp_path,
        "a = 1\nerror_limit = 0",
        MAILSERVER_ERRORLIMIT="5",
        MAILSERVER_IDLE_TIMEOUT="10m",
        PATH="",
    ) == [
        "FILE:1: there is no setting 'a'; docs/settings.md lists those there are",
        "FILE:2: error_limit cannot be 0; it is a whole number from 1 to 10000",
        (
            "environment: there is no setting 'MAILSERVER_ERRORLIMIT'; "
            "did you mean MAILSERVER_ERROR_LIMIT?"
        ),
        (
            "environment: MAILSERVER_IDLE_TIMEOUT cannot be '10m'; "
            "it is a whole number from 1 to 86400"
        ),
    ]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / toml_file.NAME).mkdir()
    with pytest.raises(Unusable, match="Is a directory"):
        read("25", "--data", str(tmp_path))


def test_a_file_that_is_too_big(tmp_path: Path) -> None:
    assert problems(tmp_path, b"#" * (toml_file.FILE_LIMIT + 1)) == [
        f"FILE: more than {toml_file.FILE_LIMIT} octets"
    ]


def test_a_file_that_is_too_deep(tmp_path: Path) -> None:
    (said,) = problems(tmp_path, "x = " + "[" * 100_000)
    assert said.startswith("FILE")


@given(
    st.text(max_size=60)
    | st.sampled_from(sorted(SETTINGS)).flatmap(
        lambda name: st.text(max_size=30).map(lambda text: f"{name} = {text}")
    )
)
def test_any_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, file: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text(file, newline="")
    values, said = toml_file.read(path)
    assert values.keys() <= SETTINGS.keys()
    assert all(line.startswith(str(path)) for line in said)


# -- the command line ------------------------------------------------------------------------------


def refused(*arguments: str) -> None:
    with pytest.raises(SystemExit) as caught:
        read(*arguments)
    assert caught.value.code == 2


def test_the_pop3_server_takes_no_options_of_smtp() -> None:
    with pytest.raises(SystemExit):
        read("110", "--message-limit", "5", command="popserver")
    assert read("110", command="popserver", MAILSERVER_MESSAGE_LIMIT="5").limits.message_limit == 5


def test_no_port(capsys: pytest.CaptureFixture[str]) -> None:
    refused("--host", "127.0.0.1")
    assert "the port is missing" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["", "x", "-1", "65536", "1e3", "0x19", "٢٥", "99999999999"])
def test_a_bad_port(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    refused(port)
    assert "smtpmail: error: " in capsys.readouterr().err


@pytest.mark.parametrize("port", ["0", "25", "65535"])
def test_a_good_port(port: str) -> None:
    assert read(port).port == int(port)


@pytest.mark.parametrize(
    "domain", ["", ".", "a b", "-a", "a-", "a..b", "a.", "a/b", "a\nb", "a" * 256]
)
def test_a_bad_domain(domain: str) -> None:
    refused("25", f"--domain={domain}")
    with pytest.raises(Unfit):
        SETTINGS["domains"].kind.check([domain])


@pytest.mark.parametrize(
    "option",
    [
        *("--connections=0", "--connections=x", "--connections=", "--connections=1.5"),
        *("--message-limit=0", "--message-limit=-5", "--message-limit=9999999999999"),
        *("--subject-limit=-1", "--subject-limit=x", "--recipient-limit=99", "--nonsense"),
    ],
)
def test_a_bad_option(option: str) -> None:
    refused("25", option)


@pytest.mark.parametrize(
    ("machine", "name"), [("mail.example", "mail.example"), ("a_b", "localhost"), ("", "localhost")]
)
def test_the_default_domain_is_the_machine(
    machine: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: machine)
    assert read("25").listening.domains == (name,)
