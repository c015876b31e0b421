"""A list of tags and values (RFC 6376 3.2), as signatures, keys and policies are written."""

from __future__ import annotations

import re

_TAG = re.compile(r"\s*([A-Za-z][A-Za-z0-9_]*)\s*=(.*)", re.DOTALL)
_SPACE = re.compile(r"\s+")
TAG_LIMIT = 64
"""Tags in one list."""


class TagFault(ValueError):
    """The list breaks the grammar; says where."""


def read_tags(text: str) -> dict[str, str]:
    """Values by tag, without the space around them. Raises TagFault, also for a tag that is there
    twice."""
    tags: dict[str, str] = {}
    parts = text.split(";", TAG_LIMIT + 1)
    if len(parts) > TAG_LIMIT + 1:
        raise TagFault("too many tags")
    if not parts[-1].strip():
        parts.pop()
    for part in parts:
        found = _TAG.fullmatch(part)
        if found is None:
            raise TagFault(f"{part.strip()[:40]!a} is no tag")
        if found[1] in tags:
            raise TagFault(f"{found[1]}= is there twice")
        tags[found[1]] = found[2].strip()
    return tags


def without_space(value: str) -> str:
    """Base64 and lists may be folded anywhere."""
    return _SPACE.sub("", value)
