"""Bytes to values and back, and nothing else: no clock, no network, no files."""
