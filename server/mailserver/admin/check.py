"""`mailadmin check`: is every mailbox as it should be? With `--repair`, it is afterwards."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict

from mailserver.admin.problem import Problem
from mailserver.store.check import Report, check


def prepare(parser: argparse.ArgumentParser) -> None:
    """Arguments of `mailadmin check`."""
    parser.add_argument(
        "--repair",
        action="store_true",
        help="put right what is wrong; no message is dropped, and what is none goes to a file",
    )
    parser.add_argument("--json", action="store_true", help="a JSON object a mailbox, one a line")
    parser.set_defaults(run=_check)


def _check(chosen: argparse.Namespace) -> None:
    wrong = unusable = 0
    try:
        for report in check(str(chosen.data), time.time(), repair=chosen.repair):
            sys.stdout.write(_as_json(report) if chosen.json else _as_text(report))
            wrong += bool(report.problems) and not report.repaired
            unusable += bool(report.unusable)
    except OSError as error:
        raise Problem(f"{error.filename or chosen.data}: {error.strerror}") from error
    if unusable:
        raise Problem(f"{unusable} mailboxes could not be looked at; each line says why")
    if wrong:
        raise Problem(f"{wrong} mailboxes are not as they should be; --repair puts them right")


def _as_json(report: Report) -> str:
    return json.dumps(asdict(report)) + "\n"


def _as_text(report: Report) -> str:
    state = "repaired" if report.repaired else "ok" if report.clean else "NOT OK"
    lines = [f"{report.user}: {report.messages} messages, {report.octets} octets: {state}"]
    remedy = "repaired" if report.repaired else "--repair"
    lines += [f"  {problem}; {remedy}: {problem.remedy}" for problem in report.problems]
    if report.unusable:
        lines.append(f"  {report.unusable}")
    return "".join(f"{line}\n" for line in lines)
