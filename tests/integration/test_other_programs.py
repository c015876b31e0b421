"""Programs that nobody here wrote send and fetch; mutt and Python open the file on the volume."""

from __future__ import annotations

import mailbox
import quopri
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest
from docker.types import Mount

if TYPE_CHECKING:
    import docker

    from .conftest import Machine, MailSystem

TOOLS = "mailserver-smtp-pop3-tools:e2e"
HERE = Path(__file__).parent

MESSAGE = "From: alice@mailserver\\nTo: bob@mailserver\\nSubject: {0}\\n\\n.a dot\\nFrom {0}\\n"

SENDERS = {
    "curl": "printf '{message}' | curl -sS --crlf smtp://mailserver:25/client"
    " --mail-from alice@mailserver --mail-rcpt bob@mailserver -T -",
    "swaks": "swaks --server mailserver --from alice@mailserver --to bob@mailserver"
    " --header 'Subject: swaks' --body 'From swaks'",
    "msmtp": "printf '{message}' | msmtp --host=mailserver --from=alice@mailserver bob@mailserver",
    "s-nail": "echo From s-nail | s-nail -s s-nail -S v15-compat -S mta=smtp://mailserver:25"
    " -S smtp-auth=none -S from=alice@mailserver bob@mailserver",
    "mutt": "echo From mutt | mutt -n -F /dev/null -e 'set smtp_url=smtp://mailserver:25'"
    " -e 'set from=alice@mailserver copy=no ssl_force_tls=no ssl_starttls=no'"
    " -s mutt bob@mailserver",
}

FETCHERS = {
    "curl": "curl -sS pop3://bob:builder@mailserver/1",
    "mpop": "mpop --host=mailserver --user=bob --passwordeval='echo builder' --auth=user --tls=off"
    " --keep=on --uidls-file=uidls --delivery=mbox,box >&2 && cat box",
    "fetchmail": "printf 'poll mailserver proto pop3 user bob password builder keep sslproto \"\"'"
    " > rc; printf ' mda \"cat >> box\"\\n' >> rc; chmod 600 rc; fetchmail -f rc >&2 && cat box",
    "getmail": "mkdir -p box/cur box/new box/tmp; printf '[retriever]\\ntype=SimplePOP3Retriever\\n"
    "server=mailserver\\nusername=bob\\npassword=builder\\n[destination]\\ntype=Maildir\\n"
    "path=~/box/\\n' > rc; getmail --getmaildir=. -r rc >&2 && cat box/new/*",
}


@pytest.fixture(scope="session")
def tools(images: object) -> str:
    """The image with those programs."""
    subprocess.run(["docker", "build", "-q", "-t", TOOLS, HERE / "tools"], check=True, timeout=280)
    return TOOLS


@pytest.fixture
def desk(mail_system: MailSystem, engine: docker.DockerClient, tools: str) -> Iterator[Machine]:
    """A machine with other people's programs, on the same network, the volume to be read only."""
    from .conftest import Machine

    project = mail_system.project
    container = engine.containers.run(
        tools,
        ["sleep", "infinity"],
        detach=True,
        init=True,
        labels={"com.docker.compose.project": project},
        mounts=[Mount("/data", f"{project}_mail", type="volume", read_only=True)],
        network=f"{project}_mail",
    )
    yield Machine(container)
    container.remove(force=True)


@pytest.mark.parametrize("program", SENDERS)
def test_sends(program: str, mail_system: MailSystem, desk: Machine) -> None:
    command = SENDERS[program].format(message=MESSAGE.format(program))
    desk.exec("bash", "-ec", command)
    session = mail_system.pop3("bob", "builder")
    content = b"\n".join(session.retr(1)[1])
    session.quit()
    assert f"\nSubject: {program}\n".encode() in content
    # some send `From ` as `=46rom `, so that no mailbox file on the way changes it
    assert f"\nFrom {program}".encode() in quopri.decodestring(content)


@pytest.mark.parametrize("program", FETCHERS)
def test_fetches(program: str, mail_system: MailSystem, desk: Machine) -> None:
    with mail_system.smtp() as server:
        text = "Subject: hello\r\n\r\n.dot\r\nFrom hello\r\n"
        server.sendmail("alice@mailserver", ["bob@mailserver"], text)
    fetched = desk.exec("bash", "-ec", FETCHERS[program]).stdout.replace(b"\r\n", b"\n")
    assert b"\nSubject: hello\n" in fetched
    assert b"\n.dot\n" in fetched
    assert b"From hello\n" in fetched


def test_mutt_and_python_open_the_file_on_the_volume(
    mail_system: MailSystem, desk: Machine
) -> None:
    subjects = ["first", "second", "third"]
    with mail_system.smtp() as server:
        for subject in subjects:
            text = f"Subject: {subject}\r\n\r\nFrom {subject}\r\n\r\nFrom the end\r\n"
            server.sendmail("alice@mailserver", ["bob@mailserver"], text)
    box = mailbox.mbox(mail_system.volume_copy("bob") / "mymailbox", create=False)
    assert [message["Subject"] for message in box] == subjects
    box.close()
    open_it = f"docker exec -it {desk.container.id} mutt -n -F /dev/null -R -f /data/bob/mymailbox"
    screen = pexpect.spawn(open_it, timeout=30, encoding="utf-8", dimensions=(24, 80))
    for subject in subjects:
        screen.expect_exact(subject)
    screen.send("\n")
    screen.expect("From first")
    screen.send("x")
    screen.send("x")
    screen.expect(pexpect.EOF)
