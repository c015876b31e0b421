"""`mailadmin dkim …`: keys to sign with, and the DNS records that tell others about them."""

from __future__ import annotations

import argparse
import sys
import textwrap
import time

from mailserver.admin.problem import Problem
from mailserver.settings.kinds import DOMAINS, SELECTORS, Unfit
from mailserver.trust.dkim_keys import (
    KINDS,
    KeysUnusable,
    load_key,
    new_key,
    store_key,
    stored_keys,
)
from mailserver.trust.dkim_sign import SigningKey

_STRING = 255
"""Octets of one string of a TXT record (RFC 1035 3.3)."""


def prepare(parser: argparse.ArgumentParser) -> None:
    """Arguments of `mailadmin dkim`."""
    names = parser.add_subparsers(required=True, metavar="ACTION")
    what = "make a key and print its DNS record; the server signs with it when the settings name it"
    new = names.add_parser("new", help=what, description=what)
    new.add_argument("domain", metavar="DOMAIN")
    new.add_argument("--type", choices=KINDS, default=KINDS[0], help="default: rsa, of 2048 bits")
    new.add_argument("--selector", default="", help="its name; default: type and date")
    new.set_defaults(run=_new)
    what = "print the DNS record of each key that is kept"
    listed = names.add_parser("list", help=what, description=what)
    listed.set_defaults(run=_list)


def _new(chosen: argparse.Namespace) -> None:
    selector = chosen.selector or f"{chosen.type}-{time.strftime('%Y%m%d', time.gmtime())}"
    try:
        SELECTORS.check([selector])
    except Unfit:
        why = "letters, digits and hyphens, at most 63"
        raise Problem(f"{selector[:80]!a} is no selector: {why}") from None
    try:
        (domain,) = DOMAINS.check([chosen.domain])
    except Unfit:
        raise Problem(f"{chosen.domain[:80]!a} is no domain name") from None
    key = SigningKey(domain, selector, new_key(chosen.type))
    try:
        path = store_key(chosen.data, key)
    except KeysUnusable as problem:
        raise Problem(str(problem)) from None
    except OSError as error:
        raise Problem(f"{chosen.data}: {error.strerror}") from None
    sys.stdout.write(as_record(key))
    sys.stderr.write(
        f"the private key is in {path}\n"
        f'publish the record above; then sign with it: dkim_selectors = ["{selector}"]\n'
    )


def _list(chosen: argparse.Namespace) -> None:
    try:
        for domain, selector in stored_keys(chosen.data):
            sys.stdout.write(as_record(load_key(chosen.data, domain, selector)))
    except KeysUnusable as problem:
        raise Problem(str(problem)) from None


def as_record(key: SigningKey) -> str:
    """The key's record, as a line of a zone file."""
    strings = textwrap.wrap(key.record, _STRING, break_on_hyphens=False, drop_whitespace=False)
    quoted = " ".join(f'"{one}"' for one in strings)
    return f"{key.record_name}. IN TXT {quoted}\n"
