"""The question whether both servers are well."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mailserver import health


@contextmanager
def speaking(*answers: bytes) -> Iterator[int]:
    """A port where each line is answered with the next of these; the first is the greeting."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection, connection.makefile("rb") as commands:
                for answer in answers:
                    connection.sendall(answer)
                    commands.readline()

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        thread.join()


SMTP = b"220 x\r\n", b"250-x\r\n250 HELP\r\n"
POP3 = b"+OK\r\n", b"+OK\r\n"


def test_two_good_servers() -> None:
    with speaking(*SMTP, b"250 x\r\n", b"221 x\r\n") as one, speaking(*POP3) as two:
        assert health.main([str(one), str(two)]) == 0


def test_one_that_is_unwell(capsys: pytest.CaptureFixture[str]) -> None:
    with speaking(b"421 x\r\n") as one, speaking(*POP3) as two:
        assert health.main([str(one), str(two)]) == 1
    assert capsys.readouterr().err == f"port {one} answered b'421 x\\r\\n' to b''\n"


def test_one_that_cannot_store_mail(capsys: pytest.CaptureFixture[str]) -> None:
    with speaking(*SMTP, b"451 4.3.0 x\r\n") as one, speaking(*POP3) as two:
        assert health.main([str(one), str(two)]) == 1
    assert "451 4.3.0" in capsys.readouterr().err


def test_a_full_disk_is_no_illness() -> None:
    with speaking(*SMTP, b"452 x\r\n", b"221 x\r\n") as one, speaking(*POP3) as two:
        assert health.main([str(one), str(two)]) == 0


def test_one_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with speaking(*POP3) as two:
        assert health.main([str(port), str(two)]) == 1
    assert f"port {port}: " in capsys.readouterr().err
