"""Mail between domains that find one another by MX: three of ours, one of which greylists, a
Postfix, and a server that misbehaves."""

from __future__ import annotations

import email
import email.policy
import re
import subprocess
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from .conftest import TAG, wait_until
from .internet import ADDRESSES, DNS, HERE, LATER, NEVER, OURS, WAYS, Internet

if TYPE_CHECKING:
    from email.message import EmailMessage

    import docker

PEERS = {"alfa": "bob", "bravo": "bob", "postfix": "carol"}
"""Who gets mail there; to charlie it takes a while."""

KILLS = 3
CONNECTIONS = 20
"""To one destination, with a message each under way, at most."""

REACHES = """
import socket, sys
from concurrent.futures import ThreadPoolExecutor
def reaches(place):
    host, port = place.split(":")
    try:
        socket.create_connection((host, int(port)), 2).close()
    except OSError:
        return False
    return True
places = sys.argv[1:]
with ThreadPoolExecutor(len(places)) as several:
    print(*(place for place, there in zip(places, several.map(reaches, places)) if there))
"""

FETCH = """
import poplib, sys
client = poplib.POP3(sys.argv[1])
client.user("alice")
client.pass_("wonderland")
for number in range(1, client.stat()[0] + 1):
    sys.stdout.buffer.write(b"\\n".join(client.retr(number)[1]) + b"\\0")
"""

SUBMIT_UNTIL_IT_ENDS = """
import smtplib, sys
from itertools import count
server, mark, *recipients = sys.argv[1:]
try:
    with smtplib.SMTP(server, 25) as client:
        client.starttls()
        client.login("alice", "wonderland")
        for number in count():
            token = f"{mark}-{number}"
            print("asked", token, flush=True)
            text = f"Subject: {token}\\r\\n\\r\\ntext\\r\\n"
            client.sendmail(f"alice@{server}", recipients, text)
            print("taken", token, flush=True)
except (OSError, smtplib.SMTPException):
    pass
"""


@pytest.fixture(scope="module")
def internet(engine: docker.DockerClient, images: object) -> Iterator[Internet]:
    command = ["docker", "build", "-q", "-t", f"mailserver-relay-postfix:{TAG}", "postfix"]
    subprocess.run(command, cwd=HERE, check=True, capture_output=True, timeout=300)
    made = Internet(engine)
    try:
        made.start()
        yield made
    finally:
        made.remove()


def test_a_client_sees_its_own_mail_server_alone(internet: Internet) -> None:
    others = [f"{DNS}:53", *(f"{address}:25" for address in ADDRESSES.values())]

    def sees(name: str) -> None:
        own = [f"{name}.test:25", f"{name}.test:110"]
        seen = internet.machine(f"{name}-client").python(REACHES, *own, *others)
        assert seen.split() == own
        assert internet.machine(name).python(REACHES, *others).split() == others

    with ThreadPoolExecutor() as several:
        list(several.map(sees, OURS))


def test_from_one_of_ours_to_another(internet: Internet) -> None:
    """Past bravo's better server, which is down."""
    internet.submit("alfa", "bob@bravo.test")
    found = internet.arrives("bravo", "bob", "Subject: across")
    assert "Return-Path: <alice@alfa.test>" in found
    assert re.search(
        r"Received: from alfa\.test \(\[10\.53\.27\.11\]\) by bravo\.test with ESMTPS", found
    )
    assert "spf=pass smtp.mailfrom=alfa.test" in found
    assert "\n.text\n" in found
    assert internet.queue("alfa") == ""


def test_to_postfix_inside_tls(internet: Internet) -> None:
    internet.submit("alfa", "carol@postfix.test")
    found = internet.arrives("postfix", "carol", "Subject: across")
    assert re.search(r"using TLSv1\.[23]", found)
    assert "Return-Path: <alice@alfa.test>" in found


def test_from_postfix_inside_tls(internet: Internet) -> None:
    internet.submit_to_postfix("bob@alfa.test", "from afar")
    found = internet.arrives("alfa", "bob", "Subject: from afar")
    assert "by alfa.test with ESMTPS id" in found
    assert "spf=pass smtp.mailfrom=postfix.test" in found


@pytest.mark.parametrize(
    ("sender", "recipient"),
    [("bravo", "alfa"), ("bravo", "postfix"), ("postfix", "bravo")]
    + [("charlie", other) for other in PEERS],
)
def test_in_the_other_directions(internet: Internet, sender: str, recipient: str) -> None:
    mark = uuid.uuid4().hex
    user = PEERS[recipient]
    if sender == "postfix":
        internet.submit_to_postfix(f"{user}@{recipient}.test", mark)
    else:
        internet.submit(sender, f"{user}@{recipient}.test", subject=mark)
    found = internet.arrives(recipient, user, f"Subject: {mark}")
    above = found[: found.index(mark)].rpartition("Return-Path: ")[2]
    assert re.search(r"using TLSv1\.[23]|with ESMTPS id", above)


def test_a_machine_for_which_dockers_dns_has_an_address_and_no_mx(internet: Internet) -> None:
    internet.submit("alfa", "bob@bravo", subject="by its bare name")
    internet.arrives("bravo", "bob", "Subject: by its bare name")


def test_a_peer_that_greylists_gets_its_mail_later(internet: Internet) -> None:
    internet.submit("alfa", "bob@charlie.test")
    refused = r"to=<bob@charlie\.test> temporary: mx\.charlie\.test said 451 "
    wait_until(lambda: re.search(refused, internet.log("alfa")), "the first try")
    internet.arrives("charlie", "bob", "From: alice@alfa.test")
    wait_until(lambda: internet.queue("alfa") == "", "an empty queue")
    internet.submit("alfa", "bob@charlie.test", subject="known by now")
    internet.arrives("charlie", "bob", "Subject: known by now")
    assert internet.mailbox("charlie", "bob").count("From: alice@alfa.test") == 2


def test_postfix_is_greylisted_too(internet: Internet) -> None:
    internet.submit_to_postfix("bob@charlie.test", "patient")
    internet.arrives("charlie", "bob", "Subject: patient")
    assert re.search(r"status=deferred .* 451 ", internet.log("postfix"))


def reports(internet: Internet, name: str) -> list[EmailMessage]:
    """Those that alice finds at her client, as Python reads them."""
    fetched = internet.machine(f"{name}-client").python(FETCH, f"{name}.test").split("\0")[:-1]
    found = [email.message_from_string(text, policy=email.policy.default) for text in fetched]
    assert all(one.get_content_type() == "multipart/report" for one in found)
    assert not any(one.defects for one in found)
    return found  # type: ignore[return-value]


def test_every_way_of_a_peer_to_misbehave(internet: Internet) -> None:
    """All in one message. What is refused for good comes back, the rest arrives; what is slow holds
    up nobody; and what was cut behind the final dot is there twice, for nobody could know."""
    mark = uuid.uuid4().hex
    internet.submit("alfa", *(f"bob@{way}.odd.test" for way in WAYS), subject=mark)
    wait_until(lambda: internet.queue("alfa") == "", "an empty queue")
    taken = Counter(re.findall(rf"took (\S+): {mark}", internet.log("odd")))
    assert taken == dict.fromkeys((*LATER, "slow-0"), 1) | {"cut-5": 2}
    log = internet.log("alfa")
    for way in LATER:
        assert f"to=<bob@{way}.odd.test> temporary: mx.{way}.odd.test said 452 4.3.1 full" in log
    told = {}
    for report in reports(internet, "alfa"):
        words, status, original = report.get_payload()  # type: ignore[misc]
        assert mark in original.get_content()
        assert f"Subject: {mark}" in words.get_content()
        for fields in status.get_payload()[1:]:
            _, _, address = fields["Final-Recipient"].partition("; ")
            told[address] = (fields["Action"], fields["Status"], fields["Diagnostic-Code"])
            assert f"<{address}>" in words.get_content()
    outcome = ("failed", "5.2.2", "smtp; 552 5.2.2 mailbox full")
    assert told == {f"bob@{way}.odd.test": outcome for way in NEVER}


def test_what_postfix_refuses_goes_back_and_a_person_reads_it(internet: Internet) -> None:
    internet.submit("bravo", "nosuch@postfix.test", "carol@postfix.test", subject="to two")
    internet.arrives("bravo", "alice", "multipart/report")
    (report,) = reports(internet, "bravo")
    _, status, _ = report.get_payload()  # type: ignore[misc]
    _, recipient = status.get_payload()
    assert recipient["Final-Recipient"] == "rfc822; nosuch@postfix.test"
    assert recipient["Action"] == "failed"
    assert recipient["Remote-MTA"] == "dns; mx.postfix.test"
    assert "550 5.1.1" in recipient["Diagnostic-Code"]
    internet.arrives("postfix", "carol", "Subject: to two")
    read = "printf '%s\\n' alice wonderland 1 1 q 3 | mailclient bravo.test 25 110"
    shown = internet.machine("bravo-client").exec("sh", "-c", read).stdout.decode()
    print(shown)
    for words in (
        "Your message could not be delivered",
        "Subject: to two",
        "Is the address spelled",
    ):
        assert words in shown


def test_what_we_refuse_goes_back_by_postfix(internet: Internet) -> None:
    internet.submit_to_postfix("nobody@alfa.test", "lost")
    found = internet.arrives("postfix", "carol", "multipart/report")
    assert re.search(r"550 5\.1\.1 <?.*No such user|550 5\.1\.1 No such user", found)


def test_a_peer_that_is_away_gets_its_mail_later(internet: Internet) -> None:
    postfix = internet.machine("postfix")
    marks = {uuid.uuid4().hex for _ in range(3)}
    postfix.exec("touch", "/away")
    postfix.exec("postfix", "stop")
    for mark in marks:
        internet.submit("alfa", "carol@postfix.test", subject=mark)
    wait_until(lambda: "no connection" in internet.queue("alfa"), "the reason why it waits")
    postfix.exec("rm", "/away")
    there = lambda: set(re.findall("Subject: (.*)", internet.mailbox("postfix", "carol")))  # noqa: E731
    wait_until(lambda: marks <= there(), "all three messages")
    wait_until(lambda: internet.queue("alfa") == "", "an empty queue")


def test_a_sender_that_is_killed_again_and_again_loses_nothing(internet: Internet) -> None:
    """What was answered with 250 arrives at both destinations, what was not at both or at none;
    twice only what was under way at a kill."""
    alfa, client = internet.machines["alfa"], internet.machine("alfa-client")
    mark = uuid.uuid4().hex

    def arrived(name: str) -> Counter[str]:
        return Counter(re.findall(f"Subject: ({mark}.*)", internet.mailbox(name, PEERS[name])))

    said = ""
    with ThreadPoolExecutor(1) as beside:
        for number in range(KILLS):
            goal = arrived("bravo").total() + 5
            words = (f"{mark}-{number}", "carol@postfix.test", "bob@bravo.test")
            sending = beside.submit(client.python, SUBMIT_UNTIL_IT_ENDS, "alfa.test", *words)
            wait_until(lambda goal=goal: arrived("bravo").total() >= goal, "mail under way")
            alfa.kill("SIGKILL")
            said += sending.result()
            alfa.start()
            wait_until(lambda: internet.greets("alfa"), "alfa to answer")
    wait_until(lambda: internet.queue("alfa") == "", "an empty queue")
    listed = lambda: internet.machine("postfix").exec("postqueue", "-p").stdout  # noqa: E731
    wait_until(lambda: b"Mail queue is empty" in listed(), "Postfix to be done")
    asked, taken = (set(re.findall(f"{word} (.*)", said)) for word in ("asked", "taken"))
    at_postfix, at_bravo = arrived("postfix"), arrived("bravo")
    assert taken <= at_postfix.keys() == at_bravo.keys() <= asked
    for found in (at_postfix, at_bravo):
        assert found.total() - len(found) <= KILLS * CONNECTIONS
