"""The command `smtpmail PORT`: see `smtpmail --help`."""

import sys

from mailserver.app import smtp


def main() -> int:
    """Run the SMTP server until SIGTERM."""
    return smtp.main()


if __name__ == "__main__":
    sys.exit(main())
