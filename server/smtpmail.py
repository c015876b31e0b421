"""The command `smtpmail PORT`: see `smtpmail --help`."""

import gc
import os
import sys


def main() -> int:
    """Run the SMTP server until SIGTERM."""
    gc.disable()  # nothing that is loaded now is garbage; `serving.run` turns it on
    try:
        from mailserver.app import smtp
    except ModuleNotFoundError as missing:
        how = "pip install ./server, or make setup and .venv/bin/smtpmail"
        print(f"smtpmail: Python has no module {missing.name}: {how}", file=sys.stderr)
        return os.EX_CONFIG

    return smtp.main()


if __name__ == "__main__":
    sys.exit(main())
