"""Inputs led by coverage: atheris (libFuzzer), where it is installed; nothing else needs it."""

from __future__ import annotations

import sys

from tests.fuzz.targets import TARGETS


def run(name: str, seconds: float) -> None:
    """One target for so long. It ends the process, with status 0 if there was no fault."""
    try:
        import atheris
    except ImportError:
        sys.exit("atheris is missing:  .venv/bin/pip install atheris")
    target = TARGETS[name]()
    atheris.instrument_all()
    atheris.Setup([sys.argv[0], f"-max_total_time={seconds:.0f}"], target.check)
    atheris.Fuzz()
