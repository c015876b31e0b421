"""Medians, ranges and ratios of the runs, as values and as a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from statistics import median
from typing import Any

from bench.targets import ratio, short

Run = dict[str, Any]
WHERE = ("workload", "system", "round")
COSTS = ("cpu_seconds", "cpu_seconds_per_1000", "peak_rss_kib", "peak_pss_kib")
"""Figures that every run has; the others are what its workload is about."""


def summary(runs: Iterable[Run]) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """workload → system → figure → median, min, max; and `ratio`: how many times better the first
    system, ours, is."""
    grouped: dict[str, dict[str, list[Run]]] = {}
    for run in runs:
        grouped.setdefault(run["workload"], {}).setdefault(run["system"], []).append(run)
    result = {}
    for workload, systems in grouped.items():
        rows = {system: _figures(found) for system, found in systems.items()}
        ours, *others = rows
        for system in others:
            for figure, row in rows[system].items():
                if figure in rows[ours]:
                    mine = rows[ours][figure]["median"]
                    row["ratio"] = round(ratio(figure, mine, row["median"]), 2)
        result[workload] = rows
    return result


def _figures(runs: list[Run]) -> dict[str, dict[str, float]]:
    row = {}
    for figure in [name for name in runs[0] if name not in WHERE]:
        values = [run[figure] for run in runs]
        row[figure] = {"median": median(values), "min": min(values), "max": max(values)}
    return row


def table(workload: str, title: str, rows: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Lines of one workload: a title, a head, and a line for each figure of each system."""
    yield f"\n{workload}: {title}"
    yield (
        f"  {'':20}{'':31}{'median':>10}{'min–max':>19}{'ours is':>10}"
        f"{'CPU s/1000':>12}{'RSS MiB':>9}{'PSS MiB':>9}"
    )
    for system, row in rows.items():
        name, costs = system, _costs(row)
        for figure in [figure for figure in row if figure not in COSTS]:
            found = row[figure]
            span = f"{short(found['min'])}–{short(found['max'])}"
            times = f"{found['ratio']:.2f} ×" if "ratio" in found else ""
            yield (
                f"  {name:20}{figure:31}{short(found['median']):>10}{span:>19}{times:>10}{costs}"
            ).rstrip()
            name = costs = ""


def _costs(row: dict[str, Any]) -> str:
    each = row.get("cpu_seconds_per_1000")
    cpu = f"{each['median']:12.3f}" if each else f"{'':12}"
    memory = (row[f"peak_{kind}_kib"]["median"] / 1024 for kind in ("rss", "pss"))
    return cpu + "".join(f"{size:9.0f}" for size in memory)
