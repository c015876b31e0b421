"""A resolver over zone data in the form of the openspf test suite."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

from mailserver.trust.dns import Address, DnsTrouble

Data = dict[str, list[Any]]
"""Name to its records: `{"A": "192.0.2.1"}`, `{"MX": [10, "mail.example.org"]}`, `{"TXT": …}` (SPF
means the same, unless there is TXT). "TIMEOUT": whatever else is asked of the name times out."""


class Zone:
    """Answers from memory, and keeps what it was asked."""

    def __init__(self, data: Data) -> None:
        self._data = {name.lower(): list(_records(one)) for name, one in data.items()}
        self.asked: list[tuple[str, str]] = []

    async def texts(self, name: str) -> tuple[bytes, ...]:
        found = self._find(name, "TXT")
        whole = ("".join(one) if isinstance(one, list) else one for one in found)
        return tuple(text.encode("latin-1") for text in whole)

    async def addresses(self, name: str, version: int) -> tuple[Address, ...]:
        return tuple(map(ip_address, self._find(name, "A" if version == 4 else "AAAA")))

    async def exchangers(self, name: str) -> tuple[str, ...]:
        return tuple(host for _, host in sorted(self._find(name, "MX")))

    async def names(self, address: Address) -> tuple[str, ...]:
        return tuple(self._find(address.reverse_pointer, "PTR"))

    async def exists(self, name: str) -> bool:
        self.asked.append((name, "ANY"))
        return any(one == name or one.endswith(f".{name}") for one in self._data)

    def _find(self, name: str, kind: str, aliases: int = 0) -> list[Any]:
        self.asked.append((name, kind))
        records = self._data.get(name.lower().rstrip("."), [])
        for one, value in records:
            if one == "CNAME":
                return self._find(value, kind, aliases + 1) if aliases < 8 else []
        found = [value for one, value in records if one == kind]
        if "TIMEOUT" in found or (not found and ("TIMEOUT", "") in records):
            raise DnsTrouble(f"{name} {kind}: no answer")
        return found


def _records(entries: list[Any]) -> Iterator[tuple[str, Any]]:
    has_txt = any("TXT" in one for one in entries if isinstance(one, dict))
    for entry in entries:
        if entry == "TIMEOUT":
            yield "TIMEOUT", ""
            continue
        for kind, value in entry.items():
            if value != "NONE" and not (kind == "SPF" and has_txt):
                yield ("TXT" if kind == "SPF" else kind), value
