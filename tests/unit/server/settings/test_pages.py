"""The pages about settings are what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomli

from mailserver.settings import pages, toml_file
from mailserver.settings.tree import SETTINGS

DOCS = Path(__file__).parents[4] / "docs"


@pytest.mark.parametrize("name", ["settings.md", "mailserver.toml"])
def test_the_pages_are_not_behind(name: str, tmp_path: Path) -> None:
    for page in ("settings.md", "mailserver.toml"):
        (tmp_path / page).write_text((DOCS / page).read_text())
    pages.main(tmp_path)
    assert (tmp_path / name).read_text() == (DOCS / name).read_text(), "say: make docs"


def test_a_page_behind_is_brought_up(tmp_path: Path) -> None:
    (tmp_path / "settings.md").write_text(f"before\n{pages.BEGIN}\nold\n{pages.END}\nafter\n")
    pages.main(tmp_path)
    made = (tmp_path / "settings.md").read_text()
    assert made.startswith("before\n")
    assert made.endswith("after\n")
    assert "\nold\n" not in made
    assert all(f"| `{name}` |" in made for name in SETTINGS)


def test_the_example_has_the_defaults(tmp_path: Path) -> None:
    """With each # taken away it is a file that works, and changes nothing."""
    lines = pages.example().replace("\n#", "\n# ").replace("\n#  ", "\n# ").splitlines()
    settings = "\n".join(line[2:] for line in lines if line[2:].split(" = ")[0] in SETTINGS)
    assert tomli.loads(settings) == {name: row.default for name, row in SETTINGS.items()}
    (tmp_path / toml_file.NAME).write_text(settings)
    values, said = toml_file.read(tmp_path / toml_file.NAME)
    assert said == []
    assert values == {name: row.kind.check(row.default) for name, row in SETTINGS.items()}


def test_every_setting_has_one_sentence() -> None:
    for row in SETTINGS.values():
        assert row.sentence[0].isupper(), row.name
        assert row.sentence.endswith("."), row.name
        assert row.kind.allowed
