"""mailadmin check: what it says, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.contract import post

from mailserver.admin import command
from mailserver.store.files import FileStore


@pytest.fixture
def mailbox(tmp_path: Path) -> Path:
    store = FileStore(tmp_path, lambda: 0.0, reserve_octets=0)
    post.deliver(store, "bob")
    store.close()
    return tmp_path / "bob" / "mymailbox"


def run(data: Path, *options: str) -> int:
    return command.main(["--data", str(data), "check", *options])


def test_all_is_well(mailbox: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path) == 0
    assert capsys.readouterr().out == f"bob: 1 messages, {mailbox.stat().st_size} octets: ok\n"


def test_found_and_repaired(
    mailbox: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    size = mailbox.stat().st_size
    with mailbox.open("ab") as file:
        file.write(bytes(100))
    assert run(tmp_path) == 1
    told = capsys.readouterr()
    assert told.out.startswith(
        f"bob: 1 messages, {size + 100} octets: NOT OK\n"
        f"  octets {size} to {size + 100}: zeros; --repair: moved to .mailserver/lost+found/bob-"
    )
    assert "--repair" in told.err
    assert run(tmp_path, "--repair", "--json") == 0
    [report] = map(json.loads, capsys.readouterr().out.splitlines())
    assert report["repaired"]
    assert [problem["octet"] for problem in report["problems"]] == [size]
    assert (tmp_path / report["kept_in"]).read_bytes() == bytes(100)
    assert run(tmp_path) == 0


def test_what_cannot_be_looked_at(
    mailbox: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mailbox.unlink()
    mailbox.mkdir()
    assert run(tmp_path, "--repair") == 1
    told = capsys.readouterr()
    assert "Is a directory" in told.out
    assert "could not be looked at" in told.err
