"""A message in pieces, as the checks want it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tests.unit.server.trust.zone import Data, Zone

from mailserver.trust import dkim

T = TypeVar("T")

NOW = 1_795_491_402.0


def in_thread(call: Callable[[], T]) -> Awaitable[T]:
    return asyncio.to_thread(call)


def split(content: bytes, cut: int = 1 << 20) -> tuple[bytes, dkim.Body]:
    """The header block with LF line ends, and the body in pieces of this many octets."""
    header, _, body = content.partition(b"\r\n\r\n")
    pieces = [body[at : at + cut] for at in range(0, len(body), cut)]
    return header.replace(b"\r\n", b"\n") + b"\n", lambda: pieces


def verified(
    content: bytes, zone: Data, now: float = NOW, cut: int = 1 << 20
) -> tuple[dkim.Outcome, ...]:
    header_block, body = split(content, cut)
    return asyncio.run(dkim.verify(header_block, body, Zone(zone), in_thread, now))


def results(content: bytes, zone: Data, now: float = NOW, cut: int = 1 << 20) -> list[str]:
    """The results alone, with their reasons."""
    return [f"{one.result.value} {one.reason}".strip() for one in verified(content, zone, now, cut)]
