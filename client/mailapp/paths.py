"""Paths as a person types them: `~` is a home, and what is begun can be completed."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def expanded(typed: str) -> Path:
    """With a home in the place of `~` or `~user`. Raises OSError for what can be no path."""
    if "\0" in typed:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), typed)
    return Path(os.path.expanduser(typed))  # Path.expanduser fails where there is no such user


def completions(typed: str) -> list[str]:
    """The path with each name that fits in the place of its last one; a folder's ends in `/`.

    Hidden files fit only where a dot is typed. Raises OSError when the folder cannot be read.
    """
    before, slash, beginning = typed.rpartition("/")
    is_home = not slash and beginning.startswith("~") and expanded(typed).is_dir()
    if is_home or beginning == "..":
        return [f"{typed}/"]
    folder = expanded(before + slash)
    made = []
    for name in sorted(os.listdir(folder)):
        if name.startswith(beginning) and (beginning or not name.startswith(".")):
            is_no_home = not slash and name.startswith("~")
            end = "/" if os.path.isdir(folder / name) else ""
            made.append(f"{before}{slash}{'./' if is_no_home else ''}{name}{end}")
    return made
