"""A mail server that misbehaves, in another way at each of its addresses. Runs in a container.

    odd_peer.py WAY=ADDRESS …

    later-N   refuses for now at step N (0: greeting, EHLO, MAIL, RCPT, DATA, 5: final dot), once
    never-N   refuses for good at step N, always
    cut-5     takes a message, and cuts the line behind the final dot, once
    slow-0    greets when all other addresses have brought a message to its end

What it keeps stands in its output: "took WAY: SUBJECT".
"""

from __future__ import annotations

import fcntl
import socket
import struct
import sys
import threading
from typing import BinaryIO

GOOD = (b"220 hi", b"250 hi", b"250 sender", b"250 recipient", b"354 go", b"250 taken")
CONTENT, END = 4, 5
SECONDS = 60.0
_SIOCSIFADDR = 0x8916


class Peer:
    """All of its addresses."""

    def __init__(self, ways: dict[str, str]) -> None:
        """`ways`: by address."""
        self._ways = ways
        self._open = set(ways.values())
        """Ways that have brought no message to its end."""
        self._was_odd: set[str] = set()
        self._change = threading.Condition()

    def serve(self) -> None:
        """For ever."""
        for number, address in enumerate(self._ways):
            _add_address(f"eth0:{number}", address)
        listening = socket.create_server(("", 25))
        print("listening", flush=True)
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(SECONDS)
        with connection, connection.makefile("rb") as lines:
            if self._talk(connection, lines, self._ways[connection.getsockname()[0]]):
                for _ in lines:  # RSET, QUIT
                    connection.sendall(b"250 well\r\n")

    def _talk(self, connection: socket.socket, lines: BinaryIO, way: str) -> bool:
        """One message, or none; False: the line is cut."""
        kind, _, step = way.partition("-")
        subject = ""
        for number, good in enumerate(GOOD):
            reply = good
            if number == int(step) and way not in self._was_odd:
                if kind == "slow":
                    self._wait_for_others(way)
                elif kind == "never":
                    self._end(way)
                    reply = b"552 5.2.2 mailbox full"
                else:
                    self._was_odd.add(way)
                    if kind == "cut":
                        print(f"took {way}: {subject}", flush=True)
                        return False
                    reply = b"452 4.3.1 full"
            elif number == END:
                print(f"took {way}: {subject}", flush=True)
                self._end(way)
            connection.sendall(reply + b"\r\n")
            if reply[:1] in b"45" or number == END:
                break
            subject = _subject(lines) if number == CONTENT else lines.readline().decode()
        return True

    def _end(self, way: str) -> None:
        with self._change:
            self._open.discard(way)
            self._change.notify_all()

    def _wait_for_others(self, way: str) -> None:
        with self._change:
            self._change.wait_for(lambda: self._open == {way}, SECONDS)


def _subject(lines: BinaryIO) -> str:
    """Reads up to the final dot."""
    found = ""
    while (line := lines.readline()) not in (b".\r\n", b""):
        if line.startswith(b"Subject: "):
            found = line[9:].decode().strip()
    return found


def _add_address(label: str, address: str) -> None:
    """As `ip address add` would, which is not there."""
    family_port_address = struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFADDR, label.encode().ljust(16, b"\0") + family_port_address)


if __name__ == "__main__":
    Peer(dict(word.split("=")[::-1] for word in sys.argv[1:])).serve()
