"""Files that go along with a draft."""

from __future__ import annotations

import mimetypes
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mailapp.compose import Attachment, Draft, FieldProblem

MAX_OCTETS = 35_000_000  # all of them, before base64: what a server with 50 MB takes


def attach(draft: Draft, paths: Sequence[Path]) -> Draft:
    """The draft with these files. Raises OSError, or FieldProblem when it gets too large."""
    attachments = draft.attachments
    for path in paths:
        room = MAX_OCTETS - sum(len(one.content) for one in attachments)
        with path.open("rb") as file:
            content = file.read(room + 1)
        if len(content) > room:
            raise FieldProblem(
                f"{path.name}: the attachments are larger than {MAX_OCTETS:,} octets"
            )
        kind, encoding = mimetypes.guess_type(path.name)
        known = kind if kind and not encoding else "application/octet-stream"
        if known.startswith(("message/", "multipart/")):
            known = "application/octet-stream"
        name = "".join(c if c.isprintable() else "_" for c in path.name)
        attachments = (*attachments, Attachment(name, known, content))
    return replace(draft, attachments=attachments)
