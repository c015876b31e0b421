"""What the crowd of the kills believes that it was shown."""

from __future__ import annotations

import poplib
import socket
import threading

import pytest
from tests.torture.crowd import listing

ANSWERS = (
    b"+OK hello\r\n",
    b"+OK\r\n1 a\r\n.\r\n",
    b"+OK\r\nSubject: x\r\n\r\nFrom here\r\n..",  # of a line "..\r\n"
)


def test_a_message_that_was_cut_off_was_not_shown() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                for answer in ANSWERS:
                    connection.sendall(answer)
                    if answer != ANSWERS[-1]:
                        connection.recv(100)

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        session = poplib.POP3("127.0.0.1", server.getsockname()[1], timeout=10)
        with pytest.raises(poplib.error_proto):
            listing(session)
        session.close()
        serving.join(10)
