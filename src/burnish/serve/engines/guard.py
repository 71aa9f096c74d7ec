"""Runs a program that is not ours so that it never outlives the server: `python -m …guard COMMAND…`.

The standard input is a pipe from the server. When it ends, the program and all of its group are ended.
"""

import os
import signal
import subprocess
import sys
import threading
import time

_GRACE = 5.0


def main(command: list[str]) -> int:
    """The exit status of the program."""
    program = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, lambda *_: program.terminate())

    def watch() -> None:
        while sys.stdin.buffer.read(1):
            pass
        program.terminate()
        end = time.monotonic() + _GRACE
        while program.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
    status = program.wait()
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.stdout.flush()
    os._exit(main(sys.argv[1:]))
