"""Python's `mailbox` at work on a mailbox file, for `neighbours`: a program of its own, for it runs
as another user, with whatever Python that one may use.

A line of JSON asks: what to add, and by what to find the message to remove. A line answers: whether
it was there. Both are done when it comes.
"""

import contextlib
import json
import mailbox
import os
import sys
import time

PAUSE_SECONDS = 0.003


def main(path: str) -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        with locked(path) as box:
            found = None
            if asked["remove"]:
                word = asked["remove"].encode()
                found = next((key for key in box.iterkeys() if word in box.get_bytes(key)), None)
            if asked["add"]:
                box.add(asked["add"].encode())
            if found is not None:
                box.remove(found)
            box.flush()
        print(json.dumps(found is not None), flush=True)


@contextlib.contextmanager
def locked(path: str):  # type: ignore[no-untyped-def] # no mailserver here, nor typing
    """The mailbox, opened anew. What was opened before the lock came may not be the mailbox any
    more: somebody replaced it."""
    while True:
        box = mailbox.mbox(path, create=False)
        try:
            box.lock()
        except mailbox.ExternalClashError:
            box.close()
            time.sleep(PAUSE_SECONDS)
            continue
        try:
            if os.path.samestat(os.fstat(box._file.fileno()), os.stat(path)):
                yield box
                return
        finally:
            box.unlock()
            box.close()


if __name__ == "__main__":
    main(sys.argv[1])
