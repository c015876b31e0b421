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
        sys.stderr.write(f"smtpmail: Python has no module {missing.name}: {how}\n")
        return os.EX_CONFIG

    return smtp.main()


if __name__ == "__main__":
    sys.exit(main())
