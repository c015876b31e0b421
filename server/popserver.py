"""The command `popserver PORT`: see `popserver --help`."""

import sys

from mailserver.app import pop3


def main() -> int:
    """Run the POP3 server until SIGTERM."""
    return pop3.main()


if __name__ == "__main__":
    sys.exit(main())
