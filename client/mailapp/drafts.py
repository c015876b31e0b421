"""A draft as text for the state, and back."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict

from mailapp.compose import Attachment, Draft


def to_text(draft: Draft) -> str:
    """JSON in ASCII."""
    kept = asdict(draft)
    for attachment in kept["attachments"]:
        attachment["content"] = base64.b64encode(attachment["content"]).decode()
    return json.dumps(kept)


def from_text(text: str) -> Draft | None:
    """None for what is no draft (any more)."""
    try:
        kept = json.loads(text)
        attachments = tuple(
            Attachment(one["name"], one["content_type"], base64.b64decode(one["content"]))
            for one in kept.pop("attachments")
        )
        lists = {name: tuple(value) for name, value in kept.items() if isinstance(value, list)}
        return Draft(**(kept | lists), attachments=attachments)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
