"""The command `mailadmin`: see `mailadmin --help`."""

import os
import sys


def main() -> int:
    """Do one thing to a data folder."""
    try:
        from mailserver.admin import command
    except ModuleNotFoundError as missing:
        how = "pip install ./server, or make setup and .venv/bin/mailadmin"
        sys.stderr.write(f"mailadmin: Python has no module {missing.name}: {how}\n")
        return os.EX_CONFIG
    return command.main()


if __name__ == "__main__":
    sys.exit(main())
