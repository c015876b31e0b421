"""What stops a command."""

from __future__ import annotations


class Problem(Exception):
    """It could not be done; says why, where, and what to do."""
