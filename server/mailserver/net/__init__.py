"""Connections: the only place that knows of sockets, tasks and time limits."""
