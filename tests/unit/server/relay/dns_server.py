"""A DNS server on loopback, small and real: it answers from a table, by UDP."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Iterable

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

SOA = "ns.test. root.test. 1 60 60 60 60"


Zone = dict[str, list[tuple[str, str]]]


class DnsServer:
    """`zone`: name to records, such as ("MX", "10 mx.b.test."); a name that is missing is NXDOMAIN.
    ("FAIL", kind): SERVFAIL to questions of that kind. `insecure`: names, and all below them, of
    which DNSSEC knows nothing; it vouches for the others."""

    def __init__(self, zone: Zone, insecure: Iterable[str] = (), ttl: int = 60) -> None:
        self.zone = zone
        self._insecure = tuple(insecure)
        self._ttl = ttl
        self.asked: Counter[tuple[str, str]] = Counter()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._socket.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            octets, peer = self._socket.recvfrom(4096)
            if not octets:
                return
            self._socket.sendto(self.answer(octets), peer)

    def answer(self, octets: bytes) -> bytes:
        query = dns.message.from_wire(octets)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True), question.rdtype.name
        self.asked[name, kind] += 1
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA | dns.flags.RA
        seen: set[str] = set()
        while name not in seen:
            seen.add(name)
            records = self.zone.get(name.lower())
            if records is None:
                response.set_rcode(dns.rcode.NXDOMAIN)
                break
            if ("FAIL", kind) in records:
                response.set_rcode(dns.rcode.SERVFAIL)
                break
            found = [text for record, text in records if record == kind]
            if found:
                response.answer.append(
                    dns.rrset.from_text(f"{name}.", self._ttl, "IN", kind, *found)
                )
                break
            alias = [text for record, text in records if record == "CNAME"]
            if not alias:
                break
            response.answer.append(
                dns.rrset.from_text(f"{name}.", self._ttl, "IN", "CNAME", *alias)
            )
            name = alias[0].rstrip(".")
        if query.flags & dns.flags.AD and not any(map(self._is_insecure, seen)):
            response.flags |= dns.flags.AD  # RFC 6840 5.8
        if not response.answer:
            response.authority.append(dns.rrset.from_text("test.", 60, "IN", "SOA", SOA))
        return response.to_wire()

    def _is_insecure(self, name: str) -> bool:
        return any(name == one or name.endswith(f".{one}") for one in self._insecure)
