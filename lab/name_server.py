#!/usr/bin/env python3
"""The DNS of the lab: answers from the zone files in a folder, and logs each question.

    name_server.py FOLDER [PORT]

A file FOLDER/<domain>.zone holds the records of one domain, such as `mailadmin dns` prints. Files
that come or change are taken up with the next question. For this server there is nothing else in
the world: any other name is NXDOMAIN. `name_server.py --check` asks the one on this machine, for
the container's health check.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.zone

UDP_OCTETS = 1232
TCP_SECONDS = 10
TTL = 10  # a lab changes often


class Zones:
    """The zone files, as they are now."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: dict[Path, tuple[int, int]] = {}
        self._zones: dict[dns.name.Name, dns.zone.Zone] = {}

    def look(self) -> None:
        """Take up what came, changed or went."""
        stats = {path: path.stat() for path in sorted(self._folder.glob("*.zone"))}
        seen = {path: (stat.st_mtime_ns, stat.st_size) for path, stat in stats.items()}
        if seen == self._seen:
            return
        self._seen = seen
        self._zones = {}
        for path in seen:
            origin = dns.name.from_text(path.stem)
            try:
                self._zones[origin] = dns.zone.from_text(
                    f"$TTL {TTL}\n{path.read_text()}", origin, relativize=False, check_origin=False
                )
            except (dns.exception.DNSException, ValueError) as fault:
                say(f"{path}: {fault}")
            else:
                say(f"{path.stem}: {len(self._zones[origin].nodes)} names")

    def answer(self, query: dns.message.Message) -> dns.message.Message:
        """RFC 1034 4.3.2, without aliases and delegations."""
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA | dns.flags.RA
        if query.opcode() != dns.opcode.QUERY or len(query.question) != 1:
            response.set_rcode(dns.rcode.NOTIMP)
            return response
        self.look()
        question = query.question[0]
        zone = next((z for o, z in self._zones.items() if question.name.is_subdomain(o)), None)
        names = zone.keys() if zone is not None else ()
        found = zone.get_rdataset(question.name, question.rdtype) if zone is not None else None
        if found is not None:
            rrset = dns.rrset.from_rdata_list(question.name, TTL, list(found))
            response.answer.append(rrset)
            return response
        if not any(name.is_subdomain(question.name) for name in names):
            response.set_rcode(dns.rcode.NXDOMAIN)
        soa = f"dns.lab. postmaster.dns.lab. 1 {TTL} {TTL} {TTL} {TTL}"
        origin = zone.origin if zone is not None else dns.name.root
        response.authority.append(dns.rrset.from_text(origin, TTL, "IN", "SOA", soa))
        return response


class Server(asyncio.DatagramProtocol):
    """Questions by UDP and TCP."""

    def __init__(self, zones: Zones) -> None:
        self._zones = zones
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        response = self._answer(data, addr[0], UDP_OCTETS)
        if response is not None and self._transport is not None:
            self._transport.sendto(response, addr)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One TCP connection (RFC 7766)."""
        peer = writer.get_extra_info("peername")[0]
        try:
            async with asyncio.timeout(TCP_SECONDS):
                while True:
                    (length,) = struct.unpack("!H", await reader.readexactly(2))
                    response = self._answer(await reader.readexactly(length), peer, 65535)
                    if response is None:
                        break
                    writer.write(struct.pack("!H", len(response)) + response)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            pass
        finally:
            writer.close()

    def _answer(self, octets: bytes, peer: str, limit: int) -> bytes | None:
        try:
            query = dns.message.from_wire(octets)
            if query.flags & dns.flags.QR:
                return None
            response = self._zones.answer(query)
        except (dns.exception.DNSException, ValueError):
            return None
        self._log(query, response, peer)
        return response.to_wire(max_size=limit, prefer_truncation=True)

    def _log(self, query: dns.message.Message, response: dns.message.Message, peer: str) -> None:
        if not query.question or peer == "127.0.0.1":  # the health check
            return
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True)
        kind = dns.rdatatype.to_text(question.rdtype)
        answers = ", ".join(rdata.to_text()[:100] for rrset in response.answer for rdata in rrset)
        code = dns.rcode.to_text(response.rcode())
        say(f"{peer} asks {name} {kind}: {answers or (code if response.rcode() else 'nothing')}")


def say(line: str) -> None:
    """To the log."""
    sys.stderr.write(f"dns: {line}\n")


async def serve(folder: Path, port: int) -> None:
    """Until SIGTERM."""
    zones = Zones(folder)
    zones.look()
    server = Server(zones)
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    everywhere = "0.0.0.0"  # noqa: S104 # on the lab's own network
    listening = await asyncio.start_server(server.talk, everywhere, port, family=socket.AF_INET)
    port = listening.sockets[0].getsockname()[1]
    transport, _ = await loop.create_datagram_endpoint(
        lambda: server, local_addr=(everywhere, port)
    )
    say(f"listening on port {port}, zones in {folder}")
    await stop.wait()
    transport.close()
    listening.close()


def check() -> None:
    """Raises unless the server of this machine answers."""
    dns.query.udp(dns.message.make_query("health.lab", "A"), "127.0.0.1", timeout=2)


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        check()
    else:
        asyncio.run(serve(Path(sys.argv[1]), int((sys.argv[2:] or ["53"])[0])))
