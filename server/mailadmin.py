"""The command `mailadmin`: see `mailadmin --help`."""

import sys


def main() -> int:
    """Do one thing to a data folder."""
    try:
        from mailserver.admin import command
    except ModuleNotFoundError as missing:
        from mailserver.missing import tell

        return tell("mailadmin", missing)
    return command.main()


if __name__ == "__main__":
    sys.exit(main())
