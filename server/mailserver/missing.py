"""What a command says where Python does not have the libraries."""

from __future__ import annotations

import os
import sys


def tell(command: str, missing: ModuleNotFoundError) -> int:
    """One line; returns the exit status."""
    how = f"pip install ./server, or make setup and .venv/bin/{command}"
    sys.stderr.write(f"{command}: Python has no module {missing.name}: {how}\n")
    return os.EX_CONFIG
