"""The command `popserver PORT`: see `popserver --help`."""

import sys

from mailserver import app


def main() -> int:
    """Run the POP3 server until SIGTERM."""
    return app.popserver()


if __name__ == "__main__":
    sys.exit(main())
