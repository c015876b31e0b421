"""Tab where a path is asked, and what then becomes of the file."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.client_pty.face import Face

Start = Callable[..., Face]
MESSAGE = b"""\
Subject: with a file
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain

x
--b
Content-Disposition: attachment; filename=plan.txt

hello
--b--
"""


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (40, 10)])
def test_attaching(face: Start, tmp_path: Path, columns: int, rows: int) -> None:
    home = tmp_path / "home"
    (home / "notes").mkdir(parents=True)
    for number, name in enumerate(("alpha.txt", "alpine.txt", "odd \x1b[2J\nname")):
        (home / "notes" / name).write_text("x" * (number + 1))
    client = face(columns, rows, HOME=str(home))
    client.waits_for("Manage Mail")
    client.types("2")
    client.waits_for(">To:")
    client.types("Ctrl-A", "~", "Tab", "Tab")
    client.waits_for("Attach the file: ~/notes/\n", "Tab complete")
    client.types("a", "Tab")
    client.waits_for("2 fit: alpha.txt  alpine.txt\n Attach the file: ~/notes/alp\n")
    client.types("x", "Tab")
    client.waits_for("Nothing fits.\n Attach the file: ~/notes/alpx\n")
    client.types("\x7f", "i", "Tab")
    client.waits_for("alpine.txt\n", without="fit")
    client.types("Enter")
    client.waits_for("-- attached: alpine.txt (2 B)")
    client.types("Ctrl-A", "~/notes/o", "Tab")
    client.waits_for("odd ^[[2J^Jname\n")
    client.types("Enter")
    client.waits_for("(3 B)" if columns == 80 else "-- attached: alpine.txt (2 B), odd")
    client.types("Ctrl-A", "~/missing/", "Tab")
    client.waits_for("No such file or directory:", "home/missing.")
    client.types("Ctrl-U", "~nobody.here/x", "Enter")
    client.waits_for("No such file or directory:", "~nobody.here/x.\n")


def test_saving_and_exporting(mailserver: Any, face: Start, tmp_path: Path) -> None:
    folder = tmp_path / "into here"
    folder.mkdir()
    mailserver.deliver(MESSAGE)
    client = face(columns=200)
    begun = f"{tmp_path}/into"
    client.waits_for("Manage Mail")
    client.types("1")
    client.waits_for("with a file")
    client.types("E", "Ctrl-U", begun, "Tab")
    client.waits_for(f"Save what is listed as: {folder}/\n")
    client.types("all", "Enter")
    client.waits_for("1 message saved as")
    client.types("Enter")
    client.waits_for("Message 1")
    client.types("s", "Home", begun, "Tab")
    client.waits_for(f"Save the message as: {folder}/message-1.eml\n")
    client.types("Enter")
    client.waits_for("Saved as")
    client.types("v", "s", "Ctrl-U", begun, "Tab")
    client.waits_for(f"Save as: {folder}/\n")
    client.types("Enter")
    client.waits_for("Saved as", "plan.txt.")
    assert sorted(one.name for one in folder.iterdir()) == ["all", "message-1.eml", "plan.txt"]


def test_where_nothing_can_be_written_a_temporary_path_is_offered(
    mailserver: Any, face: Start, client_command: list[str], tmp_path: Path
) -> None:
    """As in a container whose root is read-only."""
    here, temporary = tmp_path / "here", tmp_path / "temporary"
    here.mkdir()
    temporary.mkdir()
    mount = 'mount --bind "$0" "$0"; mount -o remount,bind,ro "$0"; cd "$0"; exec "$@"'
    read_only = ["unshare", "-Urm", "/bin/sh", "-ec", mount, str(here)]
    if subprocess.run([*read_only, "true"], capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    mailserver.deliver(b"Subject: s\n\ntext\n")
    client = face(140, program=[*read_only, *client_command], TMPDIR=str(temporary))
    client.waits_for("Manage Mail")
    client.types("1", "E")
    client.waits_for(f"Save what is listed as: {temporary}/mail.mbox")
    client.types("Enter")
    client.waits_for("1 message saved as")
    client.types("Enter", "s")
    client.waits_for(f"Save the message as: {temporary}/message-1.eml")
    client.types("Enter")
    client.waits_for(f"Saved as {temporary}/message-1.eml")
    client.types("q", "q", "q")
    assert client.ends() == 0
    lines = face(140, program=[*read_only, *client_command, "--plain"], TMPDIR=str(temporary))
    lines.waits_for("Choose")
    lines.types("1", "Enter")
    lines.waits_for("Mail>")
    lines.types("save 1", "Enter")
    lines.waits_for(f"Saved as {temporary}/s.eml")
    assert {one.name for one in temporary.iterdir()} == {"mail.mbox", "message-1.eml", "s.eml"}
