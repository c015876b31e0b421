"""Reaching a server, and saying in a few words why it did not work."""

from __future__ import annotations

import socket

_REASONS: tuple[tuple[type[OSError], str], ...] = (
    (ConnectionRefusedError, "connection refused; is the server running?"),
    (ConnectionResetError, "the server broke the connection off"),
    (BrokenPipeError, "the server broke the connection off"),
    (TimeoutError, "no answer in time"),
    (socket.gaierror, "this host name is not known"),
)


class Unreachable(Exception):
    """No connection could be made; the text names host, port and why."""

    verb = "cannot reach"

    def __init__(self, protocol: str, host: str, port: int, why: str) -> None:
        super().__init__(f"{self.verb} the {protocol} server at {host} port {port}: {why}")
        self.protocol = protocol
        self.host = host
        self.port = port


def connect(protocol: str, host: str, port: int, seconds: float) -> socket.socket:
    """A connected socket; raises Unreachable within so many seconds for each address tried."""
    try:
        return socket.create_connection((host, port), seconds)
    except OSError as error:
        raise Unreachable(protocol, host, port, reason(error)) from error
    except UnicodeError:  # a label that IDNA cannot take
        raise Unreachable(protocol, host, port, "this is no valid host name") from None


def reason(error: OSError) -> str:
    """The error in plain words."""
    for kind, words in _REASONS:
        if isinstance(error, kind):
            return words
    return error.strerror or str(error) or type(error).__name__
