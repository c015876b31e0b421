"""The person's own editor for a text."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from mailapp.network import reason


class EditorProblem(Exception):
    """Nothing was changed; why, in words."""


def name() -> str:
    """$VISUAL, $EDITOR or vi."""
    return os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"


def is_found() -> bool:
    """Whether there is such a program."""
    try:
        return shutil.which(shlex.split(name())[0]) is not None
    except (ValueError, IndexError):  # a quote without its end; only spaces
        return False


def edited(text: str) -> str:
    """The text as the person leaves it. Raises EditorProblem."""
    if not is_found():
        raise EditorProblem(f"There is no editor {name()} here; VISUAL or EDITOR sets another.")
    descriptor, file_name = tempfile.mkstemp(prefix="mail-", suffix=".txt")
    path = Path(file_name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
        done = subprocess.run([*shlex.split(name()), file_name], check=False)  # noqa: S603 - the person's own words
        if done.returncode:
            raise EditorProblem(f"The editor ended with status {done.returncode}.")
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise EditorProblem(f"The editor cannot be used: {reason(error)}.") from error
    finally:
        path.unlink(missing_ok=True)
