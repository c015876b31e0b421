"""For all tests."""

from __future__ import annotations

from hypothesis import settings

# On a busy machine a slow example is no fault, and looking for a smaller one takes minutes.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
