"""Each dialog, fed to the real session in every way a network may cut it."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.dialogs import dialog as dialogs
from tests.dialogs.dialog import Dialog
from tests.dialogs.machine import Chunks, Machine, locked

DIALOGS = dialogs.all_dialogs()
Fresh = Callable[[], Path]


@pytest.fixture
def fresh() -> Iterator[Fresh]:
    """Makes a new, empty data folder each time; in memory where there is such a place, because the
    disk is not what is looked at here."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        numbers = itertools.count()
        yield lambda: Path(folder, str(next(numbers)))


def play(dialog: Dialog, data: Path, chunks: list[bytes]) -> None:
    """Run one dialog with its client's octets cut into these chunks, and compare everything."""
    machine = Machine(
        data,
        dialog.users,
        domain=dialog.domain,
        service=dialog.service(),
        encrypted=dialog.encrypted,
        subject_limit=dialog.subject,
        settings=tuple(dialog.settings),
        clear_passwords=dialog.clear_passwords,
        login_delay=dialog.login_delay,
    )
    if dialog.recent_login:
        machine.note_login(dialog.recent_login)
    try:
        for user, content in dialog.mailboxes:
            machine.deliver(user, bytes(content))
        source = Chunks(chunks)
        with locked(machine, dialog.locked):
            stream = (machine.smtp if dialog.protocol == "smtp" else machine.pop3)(source)
        answer = bytes(stream.sent)
        if not dialog.says(answer):
            # for its readable difference; unique ids are the only thing that may differ
            assert answer.decode("latin-1") == dialog.server.decode("latin-1")
        assert source.exhausted is not dialog.closes, "who closed the connection?"
        for user, count in dialog.counts.items():
            assert len(machine.messages(user)) == count
        for user, octets in dialog.files.items():
            assert machine.mailbox(user) == octets.replace(b"\r\n", b"\n")
    finally:
        machine.close()


@pytest.mark.parametrize("dialog", DIALOGS, ids=lambda dialog: dialog.name)
def test_dialog_in_one_piece(dialog: Dialog, fresh: Fresh) -> None:
    play(dialog, fresh(), [dialog.client])


@pytest.mark.parametrize("dialog", DIALOGS, ids=lambda dialog: dialog.name)
def test_dialog_byte_by_byte(dialog: Dialog, fresh: Fresh) -> None:
    play(dialog, fresh(), [bytes((octet,)) for octet in dialog.client])


@pytest.mark.parametrize("dialog", DIALOGS, ids=lambda dialog: dialog.name)
def test_dialog_split_at_every_position(dialog: Dialog, fresh: Fresh) -> None:
    for position in range(1, len(dialog.client)):
        around = dialog.client[max(0, position - 9) : position + 9]
        if len(around) == 18 and len(set(around)) == 1:
            continue  # inside a long run of one octet all places are alike
        play(dialog, fresh(), [dialog.client[:position], dialog.client[position:]])


def test_there_are_dialogs_for_both_protocols() -> None:
    assert len(DIALOGS) >= 45
    assert {dialog.protocol for dialog in DIALOGS} == {"smtp", "pop3"}
