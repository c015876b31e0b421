"""The command `popserver PORT`: see `popserver --help`."""

import gc
import sys


def main() -> int:
    """Run the POP3 server until SIGTERM."""
    gc.disable()  # nothing that is loaded now is garbage; `serving.run` turns it on
    try:
        from mailserver.app import pop3
    except ModuleNotFoundError as missing:
        from mailserver.missing import tell

        return tell("popserver", missing)

    return pop3.main()


if __name__ == "__main__":
    sys.exit(main())
