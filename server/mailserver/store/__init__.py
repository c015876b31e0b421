"""Where mail lies. `base` has the interface; `files` keeps a mailbox file a user."""
