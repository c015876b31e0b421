"""Paths as they are typed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mailapp.paths import completions, expanded

NAMES = ("alpha", "alpine", ".hidden", "two words ", "new\nline", "~root", "~odd")
LATIN = os.fsdecode(b"caf\xe9")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home and the folder that one is in; there are some files and one folder."""
    for name in (*NAMES, LATIN):
        (tmp_path / name).touch()
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to("sub")
    (tmp_path / "broken").symlink_to("nowhere")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "fit"),
    [
        ("al", ["alpha", "alpine"]),
        ("./alph", ["./alpha"]),
        ("alpha", ["alpha"]),
        ("zz", []),
        ("sub/", []),
        ("su", ["sub/"]),
        ("li", ["link/"]),
        ("br", ["broken"]),
        (".h", [".hidden"]),
        ("two", ["two words "]),
        ("new", ["new\nline"]),
        ("caf", [LATIN]),
        ("~", ["~/"]),
        ("~/su", ["~/sub/"]),
        ("~root", ["~root/"]),
        ("~od", ["./~odd"]),
        ("..", ["../"]),
        ("sub/..", ["sub/../"]),
    ],
)
def test_completions(home: Path, typed: str, fit: list[str]) -> None:
    assert completions(typed) == fit


def test_whatever_is_offered_is_there(home: Path) -> None:
    for typed in ("", ".", "~/", f"{home}/"):
        names = {expanded(one).name for one in completions(typed)}
        hidden = {".hidden"} if typed == "." else set()
        assert names == hidden or names == {one.name for one in home.iterdir()} - {".hidden"}
        assert all(os.path.lexists(expanded(one)) for one in completions(typed))


def test_a_folder_that_cannot_be_read(home: Path) -> None:
    for typed in ("nowhere/x", "alpha/x", "~nobody.here/x", "a\0b/c"):
        with pytest.raises(OSError, match=r"No such|Not a|Invalid"):
            completions(typed)


def test_a_home_that_nobody_has_is_a_name() -> None:
    assert expanded("~nobody.here/x") == Path("~nobody.here/x")
    with pytest.raises(OSError, match="Invalid"):
        expanded("a\0")
