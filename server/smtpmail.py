"""The command `smtpmail PORT`: see `smtpmail --help`."""

import gc
import sys


def main() -> int:
    """Run the SMTP server until SIGTERM."""
    gc.disable()  # nothing that is loaded now is garbage; `serving.run` turns it on
    from mailserver.app import smtp

    return smtp.main()


if __name__ == "__main__":
    sys.exit(main())
