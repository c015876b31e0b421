"""Ctrl-Z: the client stops for the shell, and is there again after `fg`."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from tests.client_pty.face import Face
from tests.client_pty.relay import Relay

Start = Callable[..., Face]
ALTERNATE, ORDINARY = "\x1b[?1049h", "\x1b[?1049l"  # the two screens of a terminal


@pytest.fixture
def in_a_shell(client_command: list[str]) -> list[str]:
    """A shell with job control: it says what became of the client, and Enter wakes it."""
    script = '"$@"; echo "stopped by $(($? - 128)) $(stty -a | grep -o .icanon)"; read; fg'
    return ["/bin/bash", "--norc", "-ic", script, "bash", *client_command]


def test_while_a_password_is_typed(face: Start, in_a_shell: list[str]) -> None:
    client = face(signs_in=False, program=in_a_shell)
    client.waits_for("User name:", "Password:")
    client.types("alice", "Enter", "wonder")
    client.waits_for("Password:  ******")
    client.types("Ctrl-Z")
    client.waits_for("stopped by 20 ", without="-icanon")
    assert client.raw.index(ORDINARY) < client.raw.index("stopped by")
    client.child.setwinsize(10, 40)
    client.screen.resize(10, 40)
    client.types("Enter")
    client.waits_for("Password:  ******", "Enter go on  Ctrl-C quit", without="stopped")
    assert client.raw.count(ALTERNATE) == 2
    client.types("land", "Enter")
    client.waits_for("Welcome, alice")
    client.types("3")
    client.ends()
    assert "wonder" not in client.raw


def test_in_the_middle_of_a_job(
    mailserver: Any, relay: Relay, face: Start, in_a_shell: list[str]
) -> None:
    mailserver.deliver(b"Subject: large\n\nfirst line\n" + b"y" * 70 + b"\n" * 500_000)
    mailserver.pop3_port = relay.port
    client = face(program=in_a_shell)
    client.waits_for("Manage Mail")
    client.types("1")
    client.waits_for("large")
    relay.hold_after(200_000)
    client.types("Enter")
    client.waits_for("Fetching the message", "Ctrl-C cancels")
    client.types("Ctrl-Z")
    client.waits_for("stopped by 20")
    relay.go_on()
    client.types("Enter")
    client.waits_for("Message 1", "first line", without="stopped")


def test_without_a_shell_it_says_so(face: Start) -> None:
    client = face()
    client.waits_for("Welcome, alice")
    client.types("Ctrl-Z")
    client.waits_for("Not suspended: there is no shell to come back from.")
    client.types("2")
    client.waits_for("0/50", without="Not suspended")
    client.types("Ctrl-A", "note", "Ctrl-Z")
    client.waits_for("Not suspended", "Attach the file: note\n")
    client.types("Esc")
    client.waits_for("Ctrl-D send", without="Not suspended")
    assert client.raw.count(ALTERNATE) == 1


def test_in_lines_it_says_so_and_asks_again(terminal: Start) -> None:
    client = terminal()
    client.expect_exact("User name: ")
    client.send("half\x1a")
    client.expect_exact("Not suspended: there is no shell to come back from.\r\nUser name: ")
    client.sendline("alice")
    client.expect_exact("Password: ")
    client.send("\x1a")
    client.expect_exact("come back from.\r\nPassword: ")
    client.sendline("wonderland")
    client.expect_exact("Welcome, alice")


def test_in_lines_under_an_init_it_does_not_stop(face: Start, client_command: list[str]) -> None:
    """As in a container: the init gave the client a group that can stop, and wakes nobody."""
    init = ["unshare", "-Urpf", "--mount-proc"]
    if subprocess.run([*init, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no namespace of processes can be had here")
    script = ["/bin/bash", "-mc", '"$@"; echo "stopped by $(($? - 128))"', "bash"]
    client = face(signs_in=False, program=[*init, *script, *client_command, "--plain"])
    client.waits_for("User name:")
    client.types("Ctrl-Z")
    client.waits_for("Not suspended: there is no shell to come back from.", without="stopped")
    client.types("alice", "Enter", "wonderland", "Enter")
    client.waits_for("Welcome, alice")
