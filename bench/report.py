"""Medians, ranges and ratios of the runs, as values and as a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from statistics import median
from typing import Any

Run = dict[str, Any]
FIGURES = (
    "per_second",
    "accepted_per_second",
    "cpu_seconds_per_1000",
    "peak_rss_kib",
    "peak_pss_kib",
)


def summary(runs: Iterable[Run]) -> dict[str, dict[str, dict[str, Any]]]:
    """workload → system → figure → median, min, max; and each peer's `ratio`.

    The ratio is our median rate over the peer's. Ours is the system that was run first.
    """
    grouped: dict[str, dict[str, list[Run]]] = {}
    for run in runs:
        grouped.setdefault(run["workload"], {}).setdefault(run["system"], []).append(run)
    result: dict[str, dict[str, dict[str, Any]]] = {}
    for workload, systems in grouped.items():
        rows = {system: _figures(found) for system, found in systems.items()}
        ours = next(iter(rows))
        for system, row in rows.items():
            if system != ours:
                rate, theirs = rows[ours]["per_second"]["median"], row["per_second"]["median"]
                row["ratio"] = round(rate / theirs, 2)
        result[workload] = rows
    return result


def _figures(runs: list[Run]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for figure in FIGURES:
        values = [run[figure] for run in runs if figure in run]
        if values:
            row[figure] = {"median": median(values), "min": min(values), "max": max(values)}
    return row


def table(workload: str, title: str, unit: str, rows: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Lines of one workload: a title, a head and a line for each system."""
    queued = any("accepted_per_second" in row for row in rows.values())
    yield f"{workload}: {title}"
    yield (
        f"  {'':15}{unit + '/s':>12}{'min–max':>17}{'ours is':>10}"
        f"{'CPU s/1000':>12}{'peak RSS':>10}{'PSS MiB':>9}"
        + (f"{'accepted/s':>12}" if queued else "")
    )
    for system, row in rows.items():
        rate = row["per_second"]
        span = f"{rate['min']:,.0f}–{rate['max']:,.0f}"
        ratio = f"{row['ratio']:.2f} ×" if "ratio" in row else ""
        accepted = row.get("accepted_per_second")
        yield (
            f"  {system:15}{rate['median']:12,.0f}{span:>17}{ratio:>10}"
            f"{row['cpu_seconds_per_1000']['median']:12.3f}"
            f"{row['peak_rss_kib']['median'] / 1024:10.0f}"
            f"{row['peak_pss_kib']['median'] / 1024:9.0f}"
            + (f"{accepted['median']:12,.0f}" if accepted else "")
        )
