"""The command `mailadmin`: see `mailadmin --help`."""

import sys

from mailserver.admin import command


def main() -> int:
    """Do one thing to a data folder."""
    return command.main()


if __name__ == "__main__":
    sys.exit(main())
