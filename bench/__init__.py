"""Ours and the peers, measured in turn in one run. What is fair and how: docs/bench.md."""
