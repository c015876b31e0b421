"""The command `popserver PORT`: see `popserver --help`."""

import gc
import os
import sys


def main() -> int:
    """Run the POP3 server until SIGTERM."""
    gc.disable()  # nothing that is loaded now is garbage; `serving.run` turns it on
    try:
        from mailserver.app import pop3
    except ModuleNotFoundError as missing:
        how = "pip install ./server, or make setup and .venv/bin/popserver"
        sys.stderr.write(f"popserver: Python has no module {missing.name}: {how}\n")
        return os.EX_CONFIG

    return pop3.main()


if __name__ == "__main__":
    sys.exit(main())
