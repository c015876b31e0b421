"""The client driven by a script: verbs, JSON, exit statuses."""
