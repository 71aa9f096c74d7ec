"""Time and memory of `burnish sft --max-steps 5` on many rows: reading, checking, rendering, and five steps.

.venv/bin/python benchmarks/large_data.py [--rows 200000]

Makes a file of question and answer rows and trains the embedded model on it in an empty workspace, three times: the
first renders every row, the second takes the rendered rows from the workspace's cache, the third gets `--max-steps 6`.
Prints wall and CPU seconds, and the peaks of memory: of all processes together, each page once (PSS), and of the
largest process (RSS).
"""

import argparse
import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

WORDS = "order,of,a,person,who,asks,where,it,is,and,what,the,weather,will,be".split(",")  # noqa: SIM905
SETTINGS = ["--base", "builtin:pocket", "--data", "file:rows.jsonl", "--batch-size", "8", "--learning-rate", "1e-3"]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    count: int = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_rows(folder / "rows.jsonl", count)
        print(f"{count:,} rows, {(folder / 'rows.jsonl').stat().st_size / 1e6:.0f} MB of JSON")
        for name, steps in (("first", "5"), ("again, with --force", "5"), ("again, one step more", "6")):
            force = ["--force"] if "force" in name else []
            wall, cpu, together, largest = measured(folder, ["sft", *SETTINGS, "--max-steps", steps, *force])
            print(
                f"{name}: {wall:.0f} s, {cpu:.0f} CPU-s, peak {together / 1e6:,.0f} MB together, "
                f"{largest / 1e6:,.0f} MB the largest process",
                flush=True,
            )


def write_rows(path: Path, count: int) -> None:
    chance = random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            words = [" ".join(chance.choices(WORDS, k=chance.randint(5, 60))) for _ in range(2)]
            file.write(json.dumps({"question": f"{number}: {words[0]}", "answer": words[1]}) + "\n")


def measured(folder: Path, command: list[str]) -> tuple[float, float, int, int]:
    """Wall seconds, CPU seconds, and peak bytes of all processes together and of the largest one."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "burnish.cli.main", *command], cwd=folder, stdout=subprocess.DEVNULL
    )
    peaks = [0, 0]
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(process.pid, peaks, ended))
    watcher.start()
    status = process.wait()
    ended.set()
    watcher.join()
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if status:
        raise SystemExit(f"burnish {' '.join(command)} ended with {status}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, peaks[0], peaks[1]


def _watch(root: int, peaks: list[int], ended: threading.Event) -> None:
    while not ended.wait(0.2):
        sizes = [_memory(pid) for pid in _family(root)]
        peaks[0] = max(peaks[0], sum(pss for pss, _ in sizes))
        peaks[1] = max([peaks[1], *(rss for _, rss in sizes)])


def _family(root: int) -> list[int]:
    """A process and all below it."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        try:
            fields = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split() if entry.isdigit() else []
        except OSError:  # it ended meanwhile
            continue
        if fields:
            children.setdefault(int(fields[1]), []).append(int(entry))
    family, waiting = [], [root]
    while waiting:
        family.append(waiting.pop())
        waiting += children.get(family[-1], [])
    return family


def _memory(pid: int) -> tuple[int, int]:
    """Bytes of a process: its share of shared pages counted once over all sharers, and what is resident."""
    try:
        text = Path("/proc", str(pid), "smaps_rollup").read_text()
    except OSError:
        return 0, 0
    found = {name: 1024 * int(size) for name, size in re.findall(r"^(Pss|Rss):\s+(\d+) kB", text, re.MULTILINE)}
    return found.get("Pss", 0), found.get("Rss", 0)


if __name__ == "__main__":
    main()
