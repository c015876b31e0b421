"""`python client/mailclient.py` on a terminal, before `pip install`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pexpect

CLIENT = Path(__file__).parents[2] / "client" / "mailclient.py"


def test_the_full_screen_says_in_a_line_what_it_needs(tmp_path: Path) -> None:
    words = ["-S", str(CLIENT), "127.0.0.1", "2525", "1110"]  # -S: no installed packages
    environment = {**os.environ, "TERM": "xterm", "XDG_STATE_HOME": str(tmp_path)}
    client: pexpect.spawn[str] = pexpect.spawn(
        sys.executable, words, env=environment, encoding="utf-8", timeout=30
    )
    client.expect(pexpect.EOF)
    client.close()
    assert client.before == (
        "mailclient: Python has no module prompt_toolkit for the full screen: "
        "--plain does without it, pip install ./client gets it\r\n"
    )
    assert client.exitstatus == os.EX_UNAVAILABLE
