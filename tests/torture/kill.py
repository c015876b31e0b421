"""SIGKILL for the real containers while people send, read and delete; then all start again."""

from __future__ import annotations

import os
import random
import signal
import tempfile
from contextlib import suppress
from pathlib import Path

import docker
from tests.integration.conftest import MailSystem, compose
from tests.torture.crowd import Crowd, Heard, Place, fingerprint_of, judge
from tests.torture.oracle import Violation
from tests.torture.reading import by_python

ACCOUNTS = {"alice": "wonderland", "bob": "builder", "carol": "choir"}


def missing() -> str:
    """What this machine lacks, or nothing."""
    try:
        docker.from_env().close()
    except docker.errors.DockerException as problem:
        return f"no Docker engine answers: {problem}"
    return "" if os.geteuid() == 0 else "killing others' processes needs root"


def rounds(seed: int, count: int) -> str:
    """So many kills; what was done. Raises Violation."""
    dice = random.Random(seed)
    heard = Heard()
    compose(("docker", "compose", "build", "--quiet", "mailserver"), seconds=900)
    with tempfile.TemporaryDirectory() as folder:
        system = MailSystem(docker.from_env(timeout=60), Path(folder))
        try:
            system.up()
            system.container.update(restart_policy={"Name": "no"})  # it waits longer each time
            for number in range(count):
                try:
                    _round(system, heard, random.Random(dice.random()))
                except Violation as problem:
                    problem.add_note(f"round {number}; the log:\n{system.logs()}")
                    raise
            _judge_files(system, heard, dice)
        finally:
            system.remove()
    return (
        f"{count} kills, {heard.stored} messages stored, {heard.deleted} copies deleted,"
        f" seed {seed}"
    )


def _round(system: MailSystem, heard: Heard, dice: random.Random) -> None:
    place = Place(system.smtp_port, system.pop3_port, ACCOUNTS)
    place.wait_ready()
    judge(place, heard, dice)
    crowd = Crowd(place, heard, dice)
    crowd.start()
    try:
        crowd.work_until(dice.randint(1, 60))
        _kill(system, dice.choice(["", "", "smtpmail", "popserver"]))
    finally:
        crowd.stop()
    system.container.wait(timeout=30)
    system.container.start()


def _kill(system: MailSystem, process: str) -> None:
    """One of the two servers, upon which the other is told to stop; or everything at once."""
    if not process:
        system.container.kill(signal.SIGKILL)
        return
    table = system.container.top()
    column = table["Titles"].index("PID")
    for row in table["Processes"]:
        if f"/{process}" in row[-1]:
            with suppress(ProcessLookupError):  # the other one of its kind was killed before
                os.kill(int(row[column]), signal.SIGKILL)


def _judge_files(system: MailSystem, heard: Heard, dice: random.Random) -> None:
    """Python's mailbox sees what POP3 sees."""
    place = Place(system.smtp_port, system.pop3_port, ACCOUNTS)
    place.wait_ready()
    judge(place, heard, dice)
    data = system.volume_copy()
    for user in heard.oracle.users:
        contents = by_python(data, user)
        found = [fingerprint_of(content.split(b"\r\n")[:-1]) for content in contents]
        heard.oracle.judge_copies(user, found)
