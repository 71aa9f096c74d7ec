"""How long a page of 50 of many runs takes: by a walk through all folders, and from the index compared with them.

.venv/bin/python benchmarks/listing.py [--runs 1000] [--steps 4] [--keep FOLDER]

The walk opens and checks two records for each step. A new process loads the index first; a server keeps it.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from burnish.core.runs.workspace import Workspace
from burnish.jobs.database.database import Database
from burnish.jobs.index.entry import read_step
from burnish.jobs.index.folders import step_signatures
from burnish.studio.listing.pages import runs_page, steps_page

REPEATS = 9
STEPS = ("prepare", "tune", "evaluate", "merge", "export", "certify")
FIRST = """
import sys, time
from burnish.jobs.database import database  # as a server has it
from burnish.studio.listing.pages import {page}
began = time.perf_counter(), time.process_time()
{page}(workspace=sys.argv[1])
print(time.perf_counter() - began[0], time.process_time() - began[1])
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=4, choices=range(1, len(STEPS) + 1))
    parser.add_argument("--keep", type=Path, help="a folder for the workspace, which is left there")
    options = parser.parse_args()
    with nullcontext(options.keep) if options.keep else tempfile.TemporaryDirectory() as folder:
        place = Workspace(Path(folder))
        make(place, options.runs, STEPS[: options.steps])
        Database.of(place).close()
        time.sleep(3.5)  # the times of files that were just written are not trusted
        measure(place, options.runs, options.steps)


def make(place: Workspace, runs: int, steps: tuple[str, ...]) -> None:
    """Runs of ten recipes with records of the usual size: 60 settings, 9 files, 8 measures."""
    shutil.rmtree(place.runs, ignore_errors=True)
    for index in range(runs):
        recipe, number = f"recipe-{index % 10}", index // 10 + 1
        folder = place.runs / recipe / str(number)
        created = 1.7e9 + 100 * index
        listed = [
            {"step": step, "folder": f"{recipe}/{number}/{step}", "stage": "sft", "action": "run"} for step in steps
        ]
        for place_of_step, step in enumerate(steps):
            names = {"recipe": recipe, "number": number, "step": step, "stage": "sft", "fingerprint": "a" * 64}
            times = {"created": created + place_of_step, "started": created + place_of_step, "ended": created + 20.0}
            artifact = {
                "kind": "adapter",
                "name": f"{recipe}.{step}",
                "version": str(number),
                "fingerprint": "a" * 64,
                "inputs": {},
                "spec": {f"setting_{i}": i / 7 for i in range(60)},
                "provenance": {"burnish": "0.1"},
                "measures": {f"measure_{i}": i / 3 for i in range(8)},
                "files": {
                    f"file-{i}": {"size": 9, "mtime_ns": 1, "ctime_ns": 1, "sha256": "a" * 64} for i in range(12)
                },
            }
            (folder / step).mkdir(parents=True)
            (folder / step / "spec.json").write_text(json.dumps(artifact["spec"], indent=2))
            record = {**names, **times, "state": "succeeded", "attempts": 1}
            job = {**names, "spec": artifact["spec"], "inputs": {}}
            (folder / step / "job.json").write_text(json.dumps(job, indent=2))
            (folder / step / "run.json").write_text(json.dumps(record, indent=2))
            (folder / step / "artifact.json").write_text(json.dumps(artifact, indent=2))
        (folder / "plan.json").write_text(json.dumps({"recipe": recipe, "created": created, "steps": listed}))


def measure(place: Workspace, runs: int, steps: int) -> None:
    steps_page(workspace=place.root)
    runs_page(workspace=place.root)  # now the database holds both
    numbers = {
        "walk": median(lambda: walk(place)),
        "steps, process that was just started": median_of_new_processes(place, "steps_page"),
        "runs, process that was just started": median_of_new_processes(place, "runs_page"),
        "steps, process that keeps the index": median(lambda: steps_page(workspace=place.root)),
        "runs, process that keeps the index": median(lambda: runs_page(workspace=place.root)),
        "runs of one recipe with a word": median(
            lambda: runs_page("recipe-3", text="tune", workspace=place.root),
        ),
        "runs, at most 1 s old": median(lambda: runs_page(workspace=place.root, max_age=1.0)),
    }
    print(f"{runs:,} runs of {steps} steps; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print("| | ms | CPU-ms | times the walk, in CPU time |\n|---|---|---|---|")
    for name, (wall, cpu) in numbers.items():
        print(f"| {name} | {1000 * wall:.1f} | {1000 * cpu:.1f} | {numbers['walk'][1] / cpu:.1f} |")


def walk(place: Workspace) -> None:
    """Read the records of every step, as a listing without an index does."""
    rows = [read_step(run, "").row() for run in place.all_runs()]
    assert len(rows) == len(step_signatures(place))


def median(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds of wall time, and of CPU time."""
    taken: list[tuple[float, float]] = []
    for _ in range(REPEATS):
        began = time.perf_counter(), time.process_time()
        call()
        taken.append((time.perf_counter() - began[0], time.process_time() - began[1]))
    return statistics.median(wall for wall, _ in taken), statistics.median(cpu for _, cpu in taken)


def median_of_new_processes(place: Workspace, page: str) -> tuple[float, float]:
    command = [sys.executable, "-c", FIRST.format(page=page), str(place.root)]
    taken = [tuple(map(float, subprocess.check_output(command, text=True).split())) for _ in range(3)]
    return statistics.median(wall for wall, _ in taken), statistics.median(cpu for _, cpu in taken)


if __name__ == "__main__":
    main()
