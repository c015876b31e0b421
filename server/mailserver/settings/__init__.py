"""What a server was told: defaults < mailserver.toml < environment < command line, checked once.

`tree` is the table of all settings, `setting` a row of it, `kinds` says what a value may be, `read`
puts the sources together, `pages` makes docs/settings.md and docs/mailserver.toml of the table.
"""

from mailserver.settings.read import Unusable, read
from mailserver.settings.tree import Settings

__all__ = ["Settings", "Unusable", "read"]
