"""Runs a command and ends it, with all its processes, once whoever started it is gone: `guard.py LOG COMMAND…`.

The starter holds the other end of standard input, and starts this as the leader of a process group. The output of the
command goes to the file LOG, and its exit status, negative for a signal, with its peak memory in bytes as JSON to
standard output. Uses the standard library alone: any Python runs it.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time

GRACE_SECONDS = 5.0
"""What the command gets to end after SIGTERM: docker's client passes it on to the container."""
gone = threading.Event()
"""Set once the starter is gone."""


def main(log: str, command: list[str]) -> int:
    for number in (signal.SIGTERM, signal.SIGINT):  # the group gets them: the command decides, and is waited for
        signal.signal(number, lambda *_: None)
    threading.Thread(target=end_with_starter, daemon=True).start()
    with open(log, "ab") as output:
        try:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        except OSError as error:
            output.write(f"{command[0]}: {error.strerror}\n".encode())
            print(json.dumps({"status": 127, "peak_memory_bytes": 0}), flush=True)
            return 0
        status = child.wait()
    if gone.is_set():
        os.killpg(os.getpgrp(), signal.SIGKILL)  # what the command left behind
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"status": status, "peak_memory_bytes": peak}), flush=True)
    return 0


def end_with_starter() -> None:
    while os.read(0, 4096):  # b"" once the starter closes it, or is gone
        pass
    gone.set()
    os.killpg(os.getpgrp(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
