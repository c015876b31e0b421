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

from bench import container, plot, report, targets
from bench.workload import Parameters
from bench.workloads import WORKLOADS

BENCH = Path(__file__).resolve().parent
NAMES = [workload.name for workload in WORKLOADS]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each system")
    parser.add_argument("--share", type=float, default=1.0, help="of the full counts and times")
    parser.add_argument("--quick", action="store_true", help="one round of a tenth: does it work?")
    parser.add_argument("--only", choices=NAMES, action="append", help="this workload (repeatable)")
    parser.add_argument("--limit", type=float, default=3600.0, help="seconds for everything")
    parser.add_argument("--output", type=Path, default=BENCH / "results.json")
    return parser.parse_args()


def revision() -> str:
    """The commit that is measured, with a mark when files differ from it."""
    command = ["git", "-C", str(BENCH.parent), "describe", "--always", "--dirty"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=20)
    return result.stdout.strip() or "none"


def _headline(run: report.Run) -> str:
    """The figure that the workload is about."""
    figure = next(name for name in run if name not in report.WHERE)
    return f"{run[figure]:12,.3f} {figure}"


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
                    f"{_headline(run)}  ({said['took']:.1f} s)",
                    file=sys.stderr,
                )
    return machine, runs


def _heading(results: dict[str, Any]) -> list[str]:
    machine = results["machine"]
    how = (
        f"By `make bench` at {results['revision']}, {results['date'][:10]}: medians of"
        f" {results['rounds']} rounds, {results['parameters']['share']:g} of the full counts, on"
        f" {machine['cpus']} processors, {machine['file_system']}, Linux {machine['kernel']}, load"
        f" {machine['load_average_before']:g} before. What makes it fair:"
        " [docs/bench.md](../docs/bench.md)."
    )
    return ["# What was measured", "", how, ""]


def main() -> None:
    # SIGTERM ends us like Ctrl-C: through the blocks that remove the container.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    chosen = arguments()
    share, rounds = (0.1, 1) if chosen.quick else (chosen.share, chosen.rounds)
    order = {
        "parameters": asdict(Parameters(share)),
        "rounds": rounds,
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
    reached = targets.judged(found)
    results = {"date": date, "revision": revision(), **order, "machine": machine}
    results |= {"targets": reached, "summary": found, "runs": runs}
    chosen.output.write_text(json.dumps(results, indent=1) + "\n")
    chosen.output.with_suffix(".svg").write_text(plot.drawing(reached, machine))
    for workload in WORKLOADS:
        if workload.name in found:
            print(*report.table(workload.name, workload.title, found[workload.name]), sep="\n")
    lines = list(targets.table(reached))
    print("", *lines, sep="\n")
    chosen.output.with_suffix(".md").write_text("\n".join([*_heading(results), *lines, ""]))
    print(
        f"\n{machine['cpus']} processors, {machine['file_system']}, Linux {machine['kernel']}; "
        f"{rounds} rounds, medians. Everything: {chosen.output}"
    )


if __name__ == "__main__":
    main()
