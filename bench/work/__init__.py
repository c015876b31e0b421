"""What the workloads do, a file for each kind of work."""
