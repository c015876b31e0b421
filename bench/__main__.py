"""`python -m bench`: builds the peers' image, measures ours and theirs in turn, reports."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import container, report
from bench.workloads import WORKLOADS, Parameters

BENCH = Path(__file__).resolve().parent
NAMES = [workload.name for workload in WORKLOADS]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each system")
    parser.add_argument("--messages", type=int, default=10_000, help="messages a run")
    parser.add_argument("--octets", type=int, default=4096, help="octets a message")
    parser.add_argument("--connections", type=int, default=20, help="SMTP connections at once")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a POP3 run")
    parser.add_argument("--only", choices=NAMES, action="append", help="this workload (repeatable)")
    parser.add_argument("--limit", type=float, default=3600.0, help="seconds for everything")
    parser.add_argument("--output", type=Path, default=BENCH / "results.json")
    return parser.parse_args()


def revision() -> str:
    """The commit that is measured, with a mark when files differ from it."""
    command = ["git", "-C", str(BENCH.parent), "describe", "--always", "--dirty"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=20)
    return result.stdout.strip() or "none"


def measure(order: dict[str, Any], limit: float) -> tuple[dict[str, Any], list[report.Run]]:
    """The machine's description and all runs; progress goes to standard error."""
    machine: dict[str, Any] = {}
    runs: list[report.Run] = []
    command = [container.PYTHON, "-m", "bench.inside", json.dumps(order)]
    with container.lines_of(BENCH.parent, command, limit) as lines:
        for line in lines:
            said = json.loads(line)
            machine = said.get("machine", machine)
            if run := said.get("run"):
                runs.append(run)
                print(
                    f"round {run['round']}  {run['workload']:20} {run['system']:15}"
                    f"{run['per_second']:10,.1f}/s  ({said['took']:.1f} s)",
                    file=sys.stderr,
                )
    return machine, runs


def main() -> None:
    # SIGTERM ends us like Ctrl-C: through the blocks that remove the container.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    chosen = arguments()
    parameters = Parameters(chosen.messages, chosen.octets, chosen.connections, chosen.seconds)
    order = {
        "parameters": asdict(parameters),
        "rounds": chosen.rounds,
        "workloads": chosen.only or NAMES,
    }
    date = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        container.build_image(BENCH.parent)
        machine, runs = measure(order, chosen.limit)
    except container.NoContainer as error:
        sys.exit(f"bench: {error}")
    except KeyboardInterrupt:
        sys.exit("bench: interrupted, nothing was written")
    found = report.summary(runs)
    results = {"date": date, "revision": revision(), **order, "machine": machine}
    results |= {"summary": found, "runs": runs}
    chosen.output.write_text(json.dumps(results, indent=1) + "\n")
    for workload in WORKLOADS:
        if workload.name in found:
            rows = found[workload.name]
            print(*report.table(workload.name, workload.title, workload.unit, rows), sep="\n")
    print(
        f"\n{machine['cpus']} processors, {machine['file_system']}, Linux {machine['kernel']}; "
        f"{chosen.rounds} rounds, medians. Everything: {chosen.output}"
    )


if __name__ == "__main__":
    main()
