"""`mailadmin dns`: the records that other servers look for, made of the settings and the keys."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address

from mailserver import settings
from mailserver.admin.dkim import as_record
from mailserver.admin.problem import Problem
from mailserver.settings import Settings
from mailserver.trust.dkim_keys import KeysUnusable, load_key, stored_keys
from mailserver.trust.dmarc import Policy

Address = IPv4Address | IPv6Address


def prepare(parser: argparse.ArgumentParser) -> None:
    """Arguments of `mailadmin dns`."""
    parser.add_argument(
        "--address",
        action="append",
        type=ip_address,
        default=[],
        help="where this server is for others; any number (default: the setting own_addresses)",
    )
    parser.add_argument(
        "--policy",
        choices=[policy.value for policy in Policy],
        default=Policy.NONE.value,
        help="what others are to do with mail that is not from here (DMARC; default: none)",
    )
    parser.set_defaults(run=_dns)


def _dns(chosen: argparse.Namespace) -> None:
    try:
        here = settings.read("smtpmail", "", ["25", "--data", str(chosen.data)])
        keys = stored_keys(chosen.data)
        addresses = chosen.address or _own_addresses(here)
        for line in _records(here.listening.domains, addresses, chosen.policy):
            sys.stdout.write(f"{line}\n")
        for domain, selector in keys:
            if domain in here.listening.domains:
                sys.stdout.write(as_record(load_key(chosen.data, domain, selector)))
    except settings.Unusable as problem:
        raise Problem("\n".join(problem.args)) from None
    except KeysUnusable as problem:
        raise Problem(str(problem)) from None
    if not addresses:
        sys.stderr.write(
            f"mailadmin: no address of {here.listening.domains[0]} is known: name one with "
            "--address, or in the setting own_addresses\n"
        )


def _own_addresses(here: Settings) -> list[Address]:
    """Those that are no networks."""
    return [
        network.network_address
        for network in here.listening.own_addresses
        if network.prefixlen == network.max_prefixlen
    ]


def _records(domains: tuple[str, ...], addresses: list[Address], policy: str) -> Iterator[str]:
    """All domains have their mail brought to the first one, which is the server's name; only what
    it sends is theirs (SPF)."""
    server = domains[0]
    for address in addresses:
        yield f"{server}. IN {'A' if address.version == 4 else 'AAAA'} {address}"
    for domain in domains:
        yield f"{domain}. IN MX 10 {server}."
        yield f'{domain}. IN TXT "v=spf1 mx -all"'
        yield f'_dmarc.{domain}. IN TXT "v=DMARC1; p={policy}"'
