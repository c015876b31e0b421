"""smtpmail on a disk that fails while a file in its data folder says so, such as
`EIO fdatasync fsync`: an error and the calls that it comes from."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.faults.calls import Calls, Fails

from mailserver.app import smtp
from mailserver.delivery import readiness

FILE = "fault"


class Told(Fails):
    """Each call that the file names."""

    def __init__(self, file: Path) -> None:
        super().__init__(0, 0)
        self._file = file

    def due(self, name: str) -> bool:
        try:
            error, *names = self._file.read_text().split()
        except FileNotFoundError:
            return False
        self.code = getattr(errno, error)
        return name in names


if __name__ == "__main__":
    readiness.SECONDS = readiness.SECONDS_WHILE_ILL = 0.2
    with Calls() as calls:
        calls.fault = Told(Path(sys.argv[sys.argv.index("--data") + 1]) / FILE)
        sys.exit(smtp.main())
