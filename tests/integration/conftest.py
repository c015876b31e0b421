"""Two real machines for each test: the containers of docker-compose.yml under a project name of
their own, on ports of their own, so that tests neither meet nor wait for each other.

Compose is asked by its command (the SDK has no Compose), everything else through the SDK. All that
a test made carries its project's label and is removed by it, whatever became of the test.
"""

from __future__ import annotations

import contextlib
import os
import poplib
import smtplib
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container

CHECKOUT = Path(__file__).parents[2]
TAG = os.environ.get("MAIL_TAG", "e2e")
LABEL = "com.docker.compose.project"
SERVER = "mailserver"
PORTS = {
    "SMTP_PORT": 25,
    "POP3_PORT": 110,
    "SUBMISSION_PORT": 587,
    "SUBMISSIONS_PORT": 465,
    "POP3S_PORT": 995,
}
"""The container's ports, by the variable that says where on 127.0.0.1 each is published."""
LOG_LINES_SHOWN = 200


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is in this folder needs an engine, and the time that building images takes."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.integration)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(300))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A failed test shows what its servers said."""
    report = yield
    arguments = getattr(item, "funcargs", {})
    system = next((one for one in arguments.values() if hasattr(one, "logs")), None)
    if report.when == "call" and report.failed and system is not None:
        try:
            report.sections.append(("log of the containers", system.logs()))
        except (OSError, subprocess.SubprocessError, docker.errors.DockerException) as error:
            report.sections.append(("log of the containers", f"not to be had: {error}"))
    return report


class GaveUp(AssertionError):
    """A wait that ended without what it waited for."""


def wait_until(
    condition: Callable[[], object],
    what: str,
    *,
    seconds: float = 30,
    fatal: Callable[[], str] = lambda: "",
) -> None:
    """Ask again and again until `condition` holds.

    `fatal` says why it never will (the container died); then there is no point in waiting for the
    `seconds` to pass. Raises GaveUp in both cases.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if reason := fatal():
            raise GaveUp(f"waiting for {what}: {reason}")
        if time.monotonic() > deadline:
            raise GaveUp(f"waiting for {what}: nothing after {seconds:g} s")
        time.sleep(0.05)


@dataclass(frozen=True)
class Machine:
    """One running container."""

    container: Container

    def exec(
        self,
        *command: str,
        user: str = "",
        environment: dict[str, str] | None = None,
        check: bool = True,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command in it to its end; its status has to be 0 when `check`.

        Not through the SDK, which loses what the engine sends at once with its answer's header.
        """
        options = ["--user", user] if user else []
        for name, value in (environment or {}).items():
            options += ["--env", f"{name}={value}"]
        docker_exec = ["docker", "exec", *options, str(self.container.id), *command]
        done = subprocess.run(
            docker_exec, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        if check:
            # the exception's own text has no output in it, and that is what one wants to read
            assert done.returncode == 0, (
                f"{command}: status {done.returncode}\n{done.stdout!r}\n{done.stderr!r}"
            )
        return done

    def python(self, source: str, *arguments: str) -> str:
        """Run a Python program there; returns what it printed."""
        return self.exec("python3", "-c", source, *arguments).stdout.decode()


class MailSystem:
    """MailServer and its clients, as one Compose project."""

    def __init__(self, engine: docker.DockerClient, folder: Path) -> None:
        self.project = f"mailtest-{uuid.uuid4().hex[:12]}"
        self._engine = engine
        self._folder = folder

    # --- Compose --------------------------------------------------------------------------------

    def compose(
        self, *arguments: str, text: str | None = None, check: bool = True, seconds: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """`docker compose` with these arguments; `text` is its standard input."""
        command = ("docker", "compose", "--ansi", "never", "-p", self.project, *arguments)
        return compose(command, text=text, check=check, seconds=seconds)

    def up(self) -> None:
        """Start MailServer, or start it again; returns when it is healthy."""
        up = ("up", "--detach", "--wait", "--wait-timeout", "60", "--no-build", SERVER)
        if self.compose(*up, check=False).returncode:
            raise GaveUp(f"MailServer does not start:\n{self.logs()}")

    def down(self) -> None:
        """Stop and remove the containers and the network; the volume stays."""
        self.compose("--profile", "*", "down")

    def logs(self) -> str:
        """The last lines of all containers."""
        return self.compose(
            "--profile", "*", "logs", "--no-color", "--tail", str(LOG_LINES_SHOWN), check=False
        ).stdout

    # --- MailServer -----------------------------------------------------------------------------

    @property
    def container(self) -> Container:
        """The MailServer container, as it is now."""
        filters = {"label": [f"{LABEL}={self.project}", f"com.docker.compose.service={SERVER}"]}
        (container,) = self._engine.containers.list(all=True, filters=filters)
        return container

    def exec(
        self, *command: str, user: str = "", check: bool = True
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command on MailServer."""
        return Machine(self.container).exec(*command, user=user, check=check)

    @property
    def smtp_port(self) -> int:
        """On 127.0.0.1. It changes with each start, for it is any free one."""
        return self.published(25)

    @property
    def pop3_port(self) -> int:
        """On 127.0.0.1, as above."""
        return self.published(110)

    def published(self, port: int) -> int:
        """Where one of the container's ports is, likewise."""
        return int(self.container.ports[f"{port}/tcp"][0]["HostPort"])

    @property
    def certificate(self) -> Path:
        """A copy of the one that the servers made for themselves."""
        return self.volume_copy(".mailserver/tls/certificate.pem")

    def smtp(self, seconds: float = 30) -> smtplib.SMTP:
        """A connection of the standard library's client."""
        return smtplib.SMTP("127.0.0.1", self.smtp_port, timeout=seconds)

    def pop3(self, user: str, password: str, seconds: float = 30) -> poplib.POP3:
        """A session that is logged in."""
        session = poplib.POP3("127.0.0.1", self.pop3_port, timeout=seconds)
        session.user(user)
        session.pass_(password)
        return session

    def restart(self) -> None:
        """Stop in good order, start again."""
        before = self._started()
        self.container.restart(timeout=15)
        self.wait_ready(after=before)

    def kill(self, process: str = "") -> None:
        """SIGKILL everything there at once, or one process (`smtpmail`); wait for the restart.

        It is done from the inside: the engine does not restart what was killed through it.
        """
        before = self._started()
        if process:
            # the brackets keep the search from finding itself
            name = f"/[{process[0]}]{process[1:]}"
            find = f"cd /proc; for p in [0-9]*; do grep -qa '{name}' $p/cmdline && echo $p; done"
            pids = self.exec("bash", "-c", find, check=False).stdout.decode().split()
            assert pids, f"no process {process} runs there"
            self.exec("bash", "-c", f"kill -KILL {' '.join(pids)}")
        else:
            # all but the first process; with none left, that one ends too
            self.exec("bash", "-c", "kill -KILL -1", check=False)
        self.wait_ready(after=before)

    def wait_ready(self, *, after: str = "") -> None:
        """Healthy, and started since `after`."""
        restarts = self.container.attrs["RestartCount"]

        def is_ready() -> bool:
            state = self._state()
            health = state.get("Health", {}).get("Status")
            return bool(state["StartedAt"] != after and health == "healthy")

        def is_lost() -> str:
            if self.container.attrs["RestartCount"] > restarts + 2:
                return f"it ends again and again:\n{self.logs()}"
            return "the container is dead" if self._state()["Status"] == "dead" else ""

        wait_until(is_ready, "MailServer to be healthy", fatal=is_lost)

    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = self.container.attrs["State"]
        return state

    def _started(self) -> str:
        return str(self._state()["StartedAt"])

    def volume_copy(self, path: str = ".") -> Path:
        """A copy of what is under /data/`path` at this moment."""
        copy = self._folder / f"volume-{uuid.uuid4().hex[:8]}"
        source = f"{self.container.id}:/data/{path}"
        subprocess.run(["docker", "cp", source, copy], check=True, capture_output=True)
        return copy

    # --- clients --------------------------------------------------------------------------------

    def run_client(
        self, typed: str, *command: str, seconds: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """`docker compose run client` with its input from a pipe, in a container of its own."""
        command = command or ("mailclient", SERVER, "25", "110")
        return self.compose(
            "run", "--rm", "-T", "client", *command, text=typed, check=False, seconds=seconds
        )

    def client_container(self) -> Machine:
        """A client machine that stays until the test ends, to run programs on."""
        # the last line: Compose may tell about the services it started first
        answer = self.compose("run", "--detach", "-T", "client", "sleep", "infinity").stdout
        return Machine(self._engine.containers.get(answer.split()[-1]))

    def remove(self) -> None:
        """Everything that has this project's label."""
        filters = {"label": f"{LABEL}={self.project}"}
        for container in self._engine.containers.list(all=True, filters=filters):
            with contextlib.suppress(docker.errors.NotFound):  # `run --rm` was faster
                container.remove(force=True, v=True)
        for network in self._engine.networks.list(filters=filters):
            network.remove()
        for volume in self._engine.volumes.list(filters=filters):
            volume.remove(force=True)


def compose(
    command: tuple[str, ...], *, text: str | None = None, check: bool = True, seconds: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run it in the checkout, with the tests' settings and none of the person's own. There is a
    domain with a dot because some programs send to no other."""
    theirs = {name: value for name, value in os.environ.items() if not name.startswith("COMPOSE_")}
    ours = dict.fromkeys(PORTS, "0") | {"MAIL_TAG": TAG, "HEALTH_INTERVAL": "1s"}
    done = subprocess.run(
        command,
        cwd=CHECKOUT,
        env=theirs | ours | {"MAIL_DOMAIN": "mailserver mailserver.example"},
        input=text,
        stdin=subprocess.DEVNULL if text is None else None,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        timeout=seconds,
        check=False,
    )
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)}: status {done.returncode}\n{done.stderr}")
    return done


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """The Docker engine."""
    try:
        client = docker.from_env(timeout=60)
        client.ping()
    except docker.errors.DockerException as error:
        pytest.fail(f"no Docker engine answers (`make e2e` prepares one): {error}", pytrace=False)
    yield client
    client.close()


@pytest.fixture(scope="session")
def images(engine: docker.DockerClient) -> dict[str, docker.models.images.Image]:
    """Both images of this checkout, built once; what did not change comes from the cache."""
    command = ("docker", "compose", "--profile", "*", "build", "--quiet")
    compose(command, seconds=900)
    names = {"mailserver": "mailserver-smtp-pop3", "client": "mailclient-smtp-pop3"}
    return {service: engine.images.get(f"{name}:{TAG}") for service, name in names.items()}


@pytest.fixture
def mail_system(
    engine: docker.DockerClient, images: object, tmp_path: Path
) -> Iterator[MailSystem]:
    """MailServer, healthy, with the seed's users and an empty volume."""
    with _running(engine, tmp_path) as system:
        yield system


@pytest.fixture(scope="module")
def shared_system(
    engine: docker.DockerClient, images: object, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MailSystem]:
    """One for the tests of a module that leave nothing behind to trip over."""
    with _running(engine, tmp_path_factory.mktemp("system")) as system:
        yield system


@contextlib.contextmanager
def _running(engine: docker.DockerClient, folder: Path) -> Iterator[MailSystem]:
    system = MailSystem(engine, folder)
    try:
        system.up()
        yield system
    finally:
        system.remove()
