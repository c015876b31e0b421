"""The table of all settings: name, what is allowed, default, and one sentence for the user.

A setting has one name in the file, in the environment (`MAILSERVER_` and the name in capitals)
and on the command line (`--` and the name with hyphens). A new one is a new line here: parser,
`--help`, docs/settings.md and docs/mailserver.toml follow from it.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from mailserver.settings import kinds
from mailserver.settings.kinds import OFF
from mailserver.settings.setting import POP3, SMTP, Setting, setting
from mailserver.wire.value import value

_HOUR, _DAY = 3600, 86_400


@value(frozen=True, slots=True)
class Listening:
    """Names and ports."""

    domains: tuple[str, ...] = setting(
        kinds.DOMAINS,
        [],
        "Domains whose mail is for the users here, also in letters beyond ASCII; the first is what "
        "the server calls itself. "
        "None: the machine's name, else localhost.",
        option="--domain",
    )
    own_addresses: tuple[kinds.Network, ...] = setting(
        kinds.NETWORKS,
        [],
        "IP addresses by which people may name this server: mail for alice@[192.0.2.1] is then for "
        "alice.",
        SMTP,
        option="--own-address",
    )
    host: str = setting(
        kinds.ADDRESS, "", "Address to listen on; empty: all of this machine, IPv6 and IPv4."
    )
    workers: int = setting(
        kinds.whole(0, 64),
        0,
        "Processes that serve the port; 0: one a core, at most 4. As many as there are cores "
        "stay on one each.",
    )


@value(frozen=True, slots=True)
class Ports:
    """Further ports"""

    submission_port: int | None = setting(
        kinds.PORT,
        OFF,
        "Port where users hand in mail, usually 587 (RFC 6409): only after AUTH, TLS by STARTTLS.",
        SMTP,
    )
    submissions_port: int | None = setting(
        kinds.PORT,
        OFF,
        "The same with TLS from the first octet on, usually 465 (RFC 8314 3.3).",
        SMTP,
    )
    pop3s_port: int | None = setting(
        kinds.PORT,
        OFF,
        "Port for POP3 with TLS from the first octet on, usually 995 (RFC 8314 3.1).",
        POP3,
    )


@value(frozen=True, slots=True)
class Access:
    """TLS, and who is believed"""

    certificate: str = setting(
        kinds.PATH,
        "",
        "PEM file with the server's certificate and what leads to its root; empty: one is made at "
        "the first start, in .mailserver/tls. A file that changes is taken up at once.",
    )
    key: str = setting(kinds.PATH, "", "PEM file with its private key; empty: the same file.")
    auth_failures: int = setting(
        kinds.whole(1, 10_000),
        10,
        "Wrong passwords in ten minutes from one address, of IPv6 one /64, for one user; then one "
        "more each time that a part of the ten minutes has passed, the others are told to wait. "
        "Both servers and all workers count together. The user is not held up at other addresses.",
    )
    auth_failures_per_address: int = setting(
        kinds.whole(1, 1_000_000),
        50,
        "Wrong passwords in ten minutes from one address for any users, likewise. Users who have "
        "logged in from there before are not held up.",
    )
    clear_passwords: str = setting(
        kinds.choice("near", "own", "never", "always"),
        "near",
        "Who may send a password without TLS: clients on this machine and on private networks, "
        "only those on this machine, nobody, anybody. The others are told to begin TLS, or to use "
        "SCRAM.",
    )
    apop: str = setting(
        kinds.choice("where-clear", "always", "never"),
        "where-clear",
        "Where POP3 offers APOP, for users whose password is kept in clear: where a password may "
        "be sent as it is (`clear_passwords`), everywhere, or nowhere. Who listens can try "
        "passwords on it.",
        POP3,
    )
    login_delay: int = setting(
        kinds.whole(0, _DAY, "SECONDS"),
        0,
        "Seconds from one POP3 login of a user to his next; a sooner one gets [LOGIN-DELAY]; "
        "0: none.",
        POP3,
    )
    proxies: tuple[kinds.Network, ...] = setting(
        kinds.NETWORKS,
        [],
        "Load balancers whose connections begin with a PROXY header, version 1 or 2, and have to; "
        "the client that it names counts. Nobody else's header is believed.",
        option="--proxy",
    )


@value(frozen=True, slots=True)
class Delivery:
    """Who gets which mail."""

    aliases: kinds.Aliases = setting(
        kinds.ALIASES,
        {},
        "Names that stand for one or more users, other aliases, or addresses at other servers; one "
        "that names itself means the user, who then keeps a copy. NAME is a list where there is "
        "owner-NAME, who then hears of mail that does not arrive, instead of the sender.",
        SMTP,
    )
    forward_senders: str = setting(
        kinds.choice("rewrite", "keep"),
        "rewrite",
        "The sender of mail from elsewhere that an alias leads to another server: an address here "
        "that leads back to him, so that SPF passes there (SRS0=…); or his own.",
        SMTP,
    )
    forward_days: int = setting(
        kinds.whole(1, 365, "DAYS"),
        21,
        "Days that such an address leads back to its sender, and only mail without a sender, as "
        "reports are.",
        SMTP,
    )
    plus_addresses: bool = setting(
        kinds.FLAG,
        True,
        "Whether mail for bob+news is for bob, unless there is a user bob+news.",
        SMTP,
    )
    catch_all: str = setting(
        kinds.USER,
        "",
        "The user or alias who gets mail for names that nobody has; empty: it is refused with 550.",
        SMTP,
    )
    postmaster: str = setting(
        kinds.USER,
        "",
        "The user or alias who gets mail for postmaster; empty: the user of that name, else the "
        "first one in users.txt.",
        SMTP,
    )
    verify: bool = setting(
        kinds.FLAG,
        False,
        "Whether VRFY tells who has a mailbox here; otherwise it answers 252 to every name.",
        SMTP,
    )
    quota_octets: int | None = setting(
        kinds.limit(10**15, "OCTETS"),
        0,
        "Octets of a mailbox file that is full: its user gets no more mail, 452, until some is "
        "deleted. Looked at when the recipient is named.",
        SMTP,
    )
    quota_messages: int | None = setting(
        kinds.limit(10**9),
        0,
        "Messages of a mailbox that is full, likewise.",
        SMTP,
    )


@value(frozen=True, slots=True)
class Storing:
    """The mailbox files"""

    foreign_locks: str = setting(
        kinds.choice("fcntl", "dotlock", "off"),
        "fcntl",
        "Which locks of other programs that write to the mailbox files are taken: an fcntl lock, "
        "and where somebody has a dotlock (mymailbox.lock) he is waited for; a dotlock too, each "
        "time, for programs that know no other; none, where nobody else writes.",
    )


@value(frozen=True, slots=True)
class Trust:
    """Whether mail comes from where it says"""

    sender_checks: str = setting(
        kinds.choice("off", "mark", "reject"),
        "off",
        "Whether mail of clients that have not logged in is looked into by SPF, DKIM, ARC and "
        "DMARC: not at all; the results are written into it (Authentication-Results); and what the "
        "domain in From asks to refuse gets 550.",
        SMTP,
    )
    sender_check_timeout: int = setting(
        kinds.whole(1, 60, "SECONDS"),
        10,
        "Seconds that these checks of a message, or the questions to the block lists, may take; "
        "what is not known by then is temperror, and nothing is refused for it.",
        SMTP,
    )
    trusted_sealers: tuple[str, ...] = setting(
        kinds.DOMAINS,
        [],
        "Domains, such as of mailing lists, whose ARC seals are believed: where all the seals of a "
        "message are theirs and the first of them found that DMARC passed, it is not refused for "
        "failing DMARC here.",
        SMTP,
        option="--trusted-sealer",
    )
    block_lists: tuple[str, ...] = setting(
        kinds.DOMAINS,
        [],
        "Lists of bad addresses in the DNS (RFC 5782) that clients are looked up in when they name "
        "a recipient; who is on one gets 550. Clients that have logged in, that `relay_from` names "
        "or that are on private networks are never asked about.",
        SMTP,
        option="--block-list",
    )
    greylist_delay: int = setting(
        kinds.whole(0, _HOUR, "SECONDS"),
        0,
        "Seconds after which a server that was never seen with this sender and recipient may try "
        "again; before it gets 451 (greylisting). Once it has, its mail for that domain passes at "
        "once for five weeks from the last. 0: all pass.",
        SMTP,
    )
    dkim_selectors: tuple[str, ...] = setting(
        kinds.SELECTORS,
        [],
        "Keys with which mail that leaves is signed by DKIM when its From is of one of the domains "
        "here; each of them signs with those that it has (`mailadmin dkim new` makes one).",
        SMTP,
        option="--dkim-selector",
    )
    nameservers: tuple[str, ...] = setting(
        kinds.NAMESERVERS,
        [],
        "DNS servers to ask; none: those of this machine's /etc/resolv.conf.",
        SMTP,
        option="--nameserver",
    )
    dnssec: bool = setting(
        kinds.FLAG,
        False,
        "Whether these DNS servers check DNSSEC, and nobody sits between them and this machine: "
        "what they call secure is believed then, and the certificates of other servers have to be "
        "those that their domains publish (DANE).",
        SMTP,
    )


@value(frozen=True, slots=True)
class Relaying:
    """Mail for other servers"""

    users_relay: bool = setting(
        kinds.FLAG,
        True,
        "Whether users who have logged in may send to other servers; others are told 550.",
        SMTP,
    )
    relay_from: tuple[kinds.Network, ...] = setting(
        kinds.NETWORKS,
        [],
        "Clients that may send to other servers without a login. Behind a published port of a "
        "container everybody can look like its gateway: never name that.",
        SMTP,
    )
    relay_private: bool = setting(
        kinds.FLAG,
        False,
        "Whether mail goes to private addresses and this machine's own when senders or the DNS "
        "name them, as in a lab; otherwise it goes back with 5.4.4, for a user could make this "
        "server connect to machines that nobody outside reaches. A route may lead anywhere.",
        SMTP,
    )
    routes: kinds.Routes = setting(
        kinds.ROUTES,
        {},
        "Hosts that take the mail for a domain, instead of those that the DNS names; * is for all "
        "the others (a smarthost).",
        SMTP,
    )
    smarthost_user: str = setting(
        kinds.TEXT,
        "",
        "Name to log in with at the host of the route *, inside TLS and only when its certificate "
        "is good; empty: no login.",
        SMTP,
    )
    smarthost_password: str = setting(
        kinds.TEXT,
        "",
        "The password for it.",
        SMTP,
    )
    relay_tls: str = setting(
        kinds.choice("opportunistic", "required", "verified"),
        "opportunistic",
        "TLS to other servers: where it is offered, also with a certificate that proves nothing; "
        "always, or the message waits; always and with a certificate that leads to a root.",
        SMTP,
    )
    mta_sts: bool = setting(
        kinds.FLAG,
        True,
        "Whether domains are asked, by DNS and HTTPS, for a policy that wants TLS and good "
        "certificates of their mail servers (MTA-STS); it is kept in .mailserver/mta-sts.",
        SMTP,
    )
    relay_roots: str = setting(
        kinds.PATH,
        "",
        "PEM file with the certificates to which those of other servers have to lead; empty: the "
        "system's.",
        SMTP,
    )
    relay_connections: int = setting(
        kinds.whole(1, 100_000),
        200,
        "Connections to other servers at once; each worker takes its part.",
        SMTP,
    )
    relay_connections_per_host: int = setting(
        kinds.whole(1, 1000),
        20,
        "Connections to one destination at once; each worker takes its part. It begins with two, "
        "or with one a worker.",
        SMTP,
    )
    first_retry: int = setting(
        kinds.whole(1, _DAY, "SECONDS"),
        300,
        "Seconds from the first try to the second; each wait is twice the last one, by chance a "
        "fifth more or less.",
        SMTP,
    )
    longest_retry: int = setting(
        kinds.whole(1, _DAY, "SECONDS"),
        4 * _HOUR,
        "Seconds that a wait grows to.",
        SMTP,
    )
    delay_warning: int | None = setting(
        kinds.limit(30 * _DAY, "SECONDS"),
        4 * _HOUR,
        "Seconds in the queue before the sender is told that it takes longer.",
        SMTP,
    )
    queue_lifetime: int = setting(
        kinds.whole(1, 30 * _DAY, "SECONDS"),
        5 * _DAY,
        "Seconds in the queue before the message goes back to its sender (RFC 5321 4.5.4.1 wants 4 "
        "to 5 days).",
        SMTP,
    )


@value(frozen=True, slots=True)
class Limits:
    """What clients may ask for."""

    connections: int = setting(
        kinds.whole(1, 1_000_000),
        10_000,
        "Connections at once, never more than half of the open files the system allows; "
        "those over it are told 421 or -ERR and closed. Each worker takes its part.",
    )
    connections_per_address: int | None = setting(
        kinds.limit(1_000_000),
        50,
        "Connections at once from one address, of IPv6 from one /64, to all workers of a server; "
        "those over it are told 421 or -ERR and closed. Programs on this machine may have any "
        "number.",
    )
    connections_per_minute: int | None = setting(
        kinds.limit(1_000_000),
        600,
        "New connections in a minute from one address, of IPv6 from one /64, to all workers of a "
        "server; those over it are told 421 or -ERR and closed. Programs on this machine may have "
        "any number. Behind a published port of a container all clients can look like one.",
    )
    messages_per_minute: int | None = setting(
        kinds.limit(1_000_000),
        3000,
        "Messages in a minute from one address, of IPv6 from one /64, to all workers; over it MAIL "
        "gets 450. Programs on this machine may send any number.",
        SMTP,
    )
    messages_per_user: int | None = setting(
        kinds.limit(1_000_000),
        600,
        "Messages in a minute from one user who has logged in, to all workers; over it MAIL gets "
        "450.",
        SMTP,
    )
    messages_per_session: int = setting(
        kinds.whole(1, 10**9),
        10_000,
        "Messages in a session; EHLO names it (LIMITS MAILMAX), over it 421.",
        SMTP,
    )
    memory_limit: int = setting(
        kinds.whole(1_000_000, 10**12, "OCTETS"),
        64 * 1024 * 1024,
        "Octets of memory for all messages on their way into one worker; beyond it each goes to a "
        "file at once, and a header over 16 KiB gets 452.",
        SMTP,
    )
    message_limit: int = setting(
        kinds.whole(1, 10**12, "OCTETS"),
        50_000_000,
        "Octets of the biggest message; SIZE names it, over it 552.",
        SMTP,
    )
    subject_limit: int | None = setting(
        kinds.limit(1_000_000, "CHARACTERS"),
        100,
        "Characters of the longest subject, counted after decoding; over it 554.",
        SMTP,
    )
    recipient_limit: int = setting(
        kinds.whole(100, 1_000_000),
        1000,
        "Recipients of a message; those over it get 452, the others stay.",
        SMTP,
    )
    recipients_at_once: int = setting(
        kinds.whole(10, 10**9),
        50_000,
        "Recipients of all messages on their way into one worker, which take some 800 octets of "
        "memory each; beyond it a message gets 10, and the others 452.",
        SMTP,
    )
    command_limit: int = setting(
        kinds.whole(100, 10**9),
        20_000,
        "Commands of a session without a message stored between them, in POP3 fetched, where three "
        "more may come for each message that is there; then 421 or -ERR.",
    )
    error_limit: int = setting(
        kinds.whole(1, 10_000),
        20,
        "Faulty commands of a session, in SMTP without a message stored between them and with "
        "recipients that are not here among them; then 421 or -ERR.",
    )


@value(frozen=True, slots=True)
class Times:
    """How long a client may take, in seconds."""

    first_command_timeout: int = setting(
        kinds.whole(1, _HOUR, "SECONDS"),
        60,
        "Seconds to the first octet of a new SMTP connection; then 421.",
        SMTP,
    )
    command_timeout: int = setting(
        kinds.whole(1, _DAY, "SECONDS"),
        300,
        "Seconds to the next command, all of its line, or the next octet of a message; then 421 "
        "(RFC 5321 4.5.3.2.7 wants 300).",
        SMTP,
    )
    message_timeout: int | None = setting(
        kinds.limit(7 * _DAY, "SECONDS"),
        3600,
        "Seconds for a message as a whole; then 421.",
        SMTP,
    )
    message_pace: int | None = setting(
        kinds.limit(1_000_000, "OCTETS"),
        500,
        "Octets a second at which a message has to come in, on average, once it has lasted a "
        "minute; slower than that gets 421.",
        SMTP,
    )
    session_timeout: int | None = setting(
        kinds.limit(7 * _DAY, "SECONDS"),
        4 * _HOUR,
        "Seconds that a connection may last; then SMTP ends it with 421, after the message on its "
        "way, and POP3 closes it and deletes nothing.",
    )
    login_timeout: int = setting(
        kinds.whole(1, _HOUR, "SECONDS"),
        60,
        "Seconds to the next command, all of its line, of a POP3 client that has not logged in; "
        "then it is closed.",
        POP3,
    )
    idle_timeout: int = setting(
        kinds.whole(1, _DAY, "SECONDS"),
        600,
        "Seconds to the next command, all of its line, of one that has logged in; then it is "
        "closed, and nothing is deleted (RFC 1939 3 wants at least 600).",
        POP3,
    )
    send_timeout: int = setting(
        kinds.whole(1, _HOUR, "SECONDS"),
        60,
        "Seconds that a client may take to read what it was sent; then it is closed.",
    )
    stop_timeout: int = setting(
        kinds.whole(1, _HOUR, "SECONDS"),
        8,
        "Seconds that a message on its way may take when the server is stopped; then 421.",
    )


@value(frozen=True, slots=True)
class Settings:
    """Of one server."""

    port: int
    data: Path
    listening: Listening = Listening()
    ports: Ports = Ports()
    access: Access = Access()
    delivery: Delivery = Delivery()
    storing: Storing = Storing()
    trust: Trust = Trust()
    relaying: Relaying = Relaying()
    limits: Limits = Limits()
    times: Times = Times()
    check: bool = False
    """Only check; serve nobody."""


GROUPS: dict[str, type] = {
    "listening": Listening,
    "ports": Ports,
    "access": Access,
    "delivery": Delivery,
    "storing": Storing,
    "trust": Trust,
    "relaying": Relaying,
    "limits": Limits,
    "times": Times,
}
"""Of `Settings`, in the order of the pages."""


def _rows(group: type) -> tuple[Setting, ...]:
    return tuple(Setting(name=one.name, **one.metadata) for one in fields(group))


TABLE: dict[str, tuple[Setting, ...]] = {name: _rows(group) for name, group in GROUPS.items()}
SETTINGS: dict[str, Setting] = {row.name: row for rows in TABLE.values() for row in rows}
assert len(SETTINGS) == sum(map(len, TABLE.values())), "a name is there twice"
