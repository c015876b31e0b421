"""The command `smtpmail PORT`: see `smtpmail --help`."""

import sys

from mailserver import app


def main() -> int:
    """Run the SMTP server until SIGTERM."""
    return app.smtpmail()


if __name__ == "__main__":
    sys.exit(main())
