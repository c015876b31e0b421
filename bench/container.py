"""The peers' image and container: built, run with a time limit, and always removed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

IMAGE = "mailserver-bench-peers"
PYTHON = "/opt/mail/bin/python"
"""In the container: it has the libraries that ours needs."""
_INSTALL = f'cp -r /src /data && cd /data/src && {PYTHON} -m compileall -q . && exec "$@"'
"""As an installation does it: no start is measured that compiles."""
SECONDS_FOR_THE_IMAGE = 900.0
SECONDS_FOR_REMOVAL = 60.0


class NoContainer(Exception):
    """The image or the container could not be made."""


def build_image(checkout: Path) -> None:
    """Builds the image of `bench/peers`; quick when nothing has changed."""
    dockerfile = checkout / "bench" / "peers" / "Dockerfile"
    command = ["docker", "build", "--quiet", "--tag", IMAGE, f"--file={dockerfile}", str(checkout)]
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS_FOR_THE_IMAGE
        )
    except FileNotFoundError as error:
        raise NoContainer("docker is not installed: lab/prepare.sh installs it") from error
    if result.returncode:
        tail = (result.stderr or result.stdout)[-2000:]
        raise NoContainer(f"the peers' image was not built (is lab/prepare.sh done?):\n{tail}")


@contextmanager
def lines_of(checkout: Path, command: list[str], seconds: float) -> Iterator[Iterator[str]]:
    """Runs a command in a new container without a network; yields its output line by line.

    Only `bench/` and `server/` of the checkout are seen there, and can't be written. The
    container and its volumes are removed at the end of the block, whatever happens, and after
    so many seconds at the latest. Raises NoContainer when the command fails.
    """
    name = f"{IMAGE}-{os.getpid()}"
    mounts = [f"--volume={checkout / part}:/src/{part}:ro" for part in ("bench", "server")]
    # SYS_PTRACE: to read the memory maps of processes of other users.
    options = ["--rm", f"--name={name}", "--network=none", "--cap-add=SYS_PTRACE", *mounts]
    # What is in a queue is written by its own code.
    options += ["--env=PYTHONPATH=/data/src/server"]
    # Or the peers look at /etc/localtime for every line that has a time in it.
    options += ["--env=TZ=UTC"]
    # A session of its own: Ctrl-C comes to us alone, and we remove the container.
    process = subprocess.Popen(
        ["docker", "run", *options, IMAGE, "sh", "-c", _INSTALL, "sh", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=sys.stderr,
        text=True,
        start_new_session=True,
    )
    limit = threading.Timer(seconds, _remove, [name])
    limit.daemon = True
    limit.start()
    try:
        assert process.stdout is not None
        yield iter(process.stdout)
        if process.wait(SECONDS_FOR_REMOVAL):
            raise NoContainer(
                f"the container ended with status {process.returncode} (137: time limit)"
            )
    finally:
        limit.cancel()
        _remove(name)
        process.wait(SECONDS_FOR_REMOVAL)


def _remove(name: str) -> None:
    """Removes the container and its anonymous volumes; says nothing when it is gone already."""
    subprocess.run(
        ["docker", "rm", "--force", "--volumes", name],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=SECONDS_FOR_REMOVAL,
        check=False,
    )
