"""The start-up time of the command line, warm. Prints medians.

.venv/bin/python benchmarks/startup.py
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 15
COMMANDS = (["--version"], ["--help"], ["plan", "recipes/demo.yaml"], ["sft", "--help"])


def main() -> None:
    burnish = str(Path(sys.executable).parent / "burnish")
    bare = _median([sys.executable, "-c", "pass"])
    print(f"python -c pass: {bare:.0f} ms")
    for command in COMMANDS:
        print(f"burnish {' '.join(command)}: {_median([burnish, *command]):.0f} ms")


def _median(command: list[str]) -> float:
    """Milliseconds of wall time: the median of RUNS after one warm-up."""
    times = []
    for _ in range(RUNS + 1):
        began = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times[1:])


if __name__ == "__main__":
    main()
