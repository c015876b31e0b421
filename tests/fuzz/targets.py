"""What is fuzzed: each reader of octets from outside, and what has to hold for all octets.

A target takes octets and raises AssertionError when something does not hold. The documented errors
of what it reads are caught in it; whatever else is raised is a fault.
"""

from __future__ import annotations

from tests.fuzz import on_disk, on_the_way_out, on_the_wire, on_trust
from tests.fuzz.target import Target

TARGETS: dict[str, type[Target]] = {
    "smtp": on_the_wire.Smtp,
    "smtp-in-pieces": on_the_wire.SmtpInPieces,
    "pop3": on_the_wire.Pop3,
    "commands": on_the_wire.Commands,
    "addresses": on_the_wire.Addresses,
    "proxy": on_the_wire.Proxy,
    "sasl": on_the_wire.Sasl,
    "header": on_disk.Header,
    "mbox": on_disk.Mbox,
    "index": on_disk.IndexFile,
    "mailbox": on_disk.Mailbox,
    "users": on_disk.Users,
    "settings": on_disk.Settings,
    "authenticated": on_trust.Authenticated,
    "records": on_trust.Records,
    "mime": on_the_way_out.Mime,
    "policies": on_the_way_out.Policies,
    "senders": on_the_way_out.Senders,
}
