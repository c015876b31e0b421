"""bench/: what is made of the runs. The runs themselves are made by `make bench`."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from bench import plot, report, targets
from bench.targets import TARGETS, Target
from bench.workloads import WORKLOADS

COSTS = {"cpu_seconds": 1.0, "peak_rss_kib": 2048.0, "peak_pss_kib": 1024.0}


def run(system: str, number: int, **figures: float) -> report.Run:
    return {"workload": "w", "system": system, "round": number, **figures, **COSTS}


RUNS = [
    run("ours", 1, per_second=90.0, seconds=2.0),
    run("peer", 1, per_second=10.0, seconds=4.0),
    run("ours", 2, per_second=110.0, seconds=1.0),
    run("peer", 2, per_second=20.0, seconds=9.0),
    run("ours", 3, per_second=100.0, seconds=1.5),
    run("peer", 3, per_second=40.0, seconds=3.0),
]


def test_medians_ranges_and_how_many_times_better() -> None:
    found = report.summary(RUNS)["w"]
    assert found["ours"]["per_second"] == {"median": 100, "min": 90, "max": 110}
    assert found["peer"]["per_second"] == {"median": 20, "min": 10, "max": 40, "ratio": 5}
    assert found["peer"]["seconds"]["ratio"] == 2.67  # less is better: 4.0 / 1.5


@pytest.mark.parametrize(
    ("times", "at_most", "reached"),
    [(5, 0, True), (5.1, 0, False), (0, 1.5, True), (0, 1.4, False)],
)
def test_a_target_is_reached_or_not(times: float, at_most: float, reached: bool) -> None:
    peer, figure = ("peer", "per_second") if times else ("", "seconds")
    target = Target("title", "w", figure, "ours", peer, times=times, at_most=at_most)
    row = target.judge(report.summary(RUNS))
    assert row is not None
    assert row["reached"] is reached


def test_what_was_not_measured_is_not_judged() -> None:
    target = Target("title", "another", "seconds", "ours", at_most=1)
    assert target.judge(report.summary(RUNS)) is None


def test_every_target_names_a_case_of_a_workload() -> None:
    cases = {workload.name: {case.name for case in workload.cases} for workload in WORKLOADS}
    for target in TARGETS:
        assert {target.ours, target.theirs or target.ours} <= cases[target.workload], target


def judged(peer: str, ratio: float, target: float) -> dict[str, Any]:
    row = {"title": "1 < 2 & more", "peer": peer, "ratio": ratio, "target": target}
    return row | {"ours": ratio, "theirs": 1.0, "reached": ratio >= target}


def test_the_chart_has_a_bar_for_each_peer() -> None:
    rows = [judged("postfix", 12.0, 25.0), judged("smtp_sink", 0.01, 0.5), judged("to_one", 1, 0.8)]
    rows.append({"title": "no peer", "ours": 1.0, "target": 2.0, "reached": True})
    tree = ElementTree.fromstring(  # noqa: S314
        plot.drawing(rows, {"cpus": 2})
    )
    bars = [element for element in tree.iter() if element.tag.endswith("rect")]
    assert bars.pop(0).get("class") == "page"
    assert [bar.get("class") for bar in bars] == ["missed", "missed"]
    assert all(float(bar.get("width", 0)) > 0 for bar in bars)


def test_the_table_says_what_is_missing() -> None:
    lines = list(targets.table([judged("postfix", 12.0, 25.0), judged("to_one", 1, 0.8)]))
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert cells[2][3:] == ["25 × Postfix", "12.00 ×", "**no**"]
    assert cells[3][3:] == ["0.8 × to_one", "1.00 ×", "yes"]
