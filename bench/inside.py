"""The half that runs in the peers' container: every workload, in rounds, a JSON line a run.

Ours and the peers take turns (A B A B …), so that a slow minute of the machine meets both.
"""

from __future__ import annotations

import json
import os
import platform
import ssl
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cryptography.hazmat.backends import openssl

from bench.load import UnexpectedReply
from bench.systems import RUN, StartFailed
from bench.workload import Case, Parameters, VoidRun, Workload
from bench.workloads import WORKLOADS

NOT_A_DISK = {"overlay", "fuse.fuse-overlayfs", "tmpfs", "ramfs", "nfs", "nfs4"}


def file_system(path: Path) -> tuple[str, str]:
    """Type and options of the file system that holds a path; proc(5), mountinfo."""
    found = ("unknown", "")
    longest = -1
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, kind = line.partition(" - ")
        point = Path(fields.split()[4])
        if path.is_relative_to(point) and len(point.parts) > longest:
            longest = len(point.parts)
            found = (kind.split()[0], kind.split()[2])
    return found


def _first_line(*command: str) -> str:
    return subprocess.check_output(command, text=True, timeout=20).splitlines()[0].strip()


def machine() -> dict[str, Any]:
    """Where the figures come from: kernel, processors, file system, versions."""
    kind, options = file_system(RUN.parent)
    return {
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "load_average_before": round(os.getloadavg()[0], 2),
        "file_system": kind,
        "mount_options": options,
        "versions": {
            "postfix": _first_line("/usr/sbin/postconf", "-dh", "mail_version"),
            "dovecot": _first_line("/usr/sbin/dovecot", "--version"),
            "python": platform.python_version(),
            "uvloop": version("uvloop"),
            "openssl": {
                "of the system": ssl.OPENSSL_VERSION,
                "of ours": openssl.backend.openssl_version_text(),
            },
        },
    }


def measure(workload: Workload, case: Case, parameters: Parameters) -> dict[str, float]:
    """The figures of one run, as they go into results.json."""
    try:
        with case.start(case.mailbox.of_share(parameters.share)) as server:
            outcome = case.run(server, parameters)
    except (StartFailed, VoidRun, UnexpectedReply, OSError, subprocess.TimeoutExpired) as error:
        sys.exit(f"{workload.name} {case.name}: {type(error).__name__}: {error}")
    meter = outcome.meter
    figures = {
        **outcome.figures,
        "cpu_seconds": meter.cpu,
        "peak_rss_kib": float(meter.memory.rss),
        "peak_pss_kib": float(meter.memory.pss),
    }
    if outcome.done:
        figures["cpu_seconds_per_1000"] = meter.cpu / outcome.done * 1000
    return {name: round(value, 4) for name, value in figures.items()}


def _say(**line: Any) -> None:
    print(json.dumps(line), flush=True)


def main() -> None:
    order = json.loads(sys.argv[1])
    parameters = Parameters(**order["parameters"])
    facts = machine()
    if facts["file_system"] in NOT_A_DISK:
        sys.exit(
            f"the data folder is on {facts['file_system']}: its syncs say nothing about a disk"
        )
    _say(machine=facts)
    for workload in WORKLOADS:
        if workload.name not in order["workloads"]:
            continue
        for round_number in range(1, min(order["rounds"], workload.rounds) + 1):
            for case in workload.cases:
                begin = time.monotonic()
                figures = measure(workload, case, parameters)
                took = round(time.monotonic() - begin, 1)
                where = {"workload": workload.name, "system": case.name, "round": round_number}
                _say(run={**where, **figures}, took=took)


if __name__ == "__main__":
    main()
