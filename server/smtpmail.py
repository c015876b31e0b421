"""The command `smtpmail PORT`: see `smtpmail --help`."""

import gc
import sys


def main() -> int:
    """Run the SMTP server until SIGTERM."""
    gc.disable()  # nothing that is loaded now is garbage; `serving.run` turns it on
    try:
        from mailserver.app import smtp
    except ModuleNotFoundError as missing:
        from mailserver.missing import tell

        return tell("smtpmail", missing)

    return smtp.main()


if __name__ == "__main__":
    sys.exit(main())
