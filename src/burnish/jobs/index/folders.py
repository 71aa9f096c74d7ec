"""Compare what is known of runs with their folders; what changed is read again.

Names and file times of 4,000 steps take 30 ms on a local disk, to read their records 600 ms.
"""

import os
import time
from collections.abc import Iterator
from contextlib import suppress

from burnish.core.errors import BurnishError
from burnish.core.runs.names import is_number
from burnish.core.runs.run import Run
from burnish.core.runs.workspace import Workspace
from burnish.jobs.index.entry import UNSETTLED, RunEntry, StepEntry, read_run, read_step

_UNSETTLED_NS = 3_000_000_000
"""A file may change twice within the resolution of its times (2 s on FAT): those of the last seconds prove nothing."""


def step_signatures(place: Workspace) -> dict[str, str]:
    """The name of each step folder, with the times and sizes of its records."""
    found: dict[str, str] = {}
    for recipe, number, path in _numbers(place):
        for step in _folders(path):
            signature = _signature_of_step(f"{path}/{step}")
            if signature is not None:
                found[f"{recipe}/{number}/{step}"] = signature
    return found


def run_signatures(place: Workspace) -> dict[str, str]:
    """The name of each run that has a plan, with its time and size."""
    found: dict[str, str] = {}
    for recipe, number, path in _numbers(place):
        status = _stat(f"{path}/plan.json")
        if status is not None:
            found[f"{recipe}/{number}"] = _signature(status)
    return found


def true_step(place: Workspace, name: str, signature: str, known: StepEntry | None) -> StepEntry:
    """The entry of a step folder: the known one if that is true, else it is read."""
    is_known = known is not None and known.signature == signature != UNSETTLED
    if known is not None and is_known and (not known.is_open or _is_as_recorded(known, Run(place.runs / name))):
        return known
    return read_step(Run(place.runs / name), signature)


def true_run(place: Workspace, name: str, signature: str, known: RunEntry | None) -> RunEntry:
    """The entry of a run: the known one if that is true, else its plan is read."""
    if known is not None and known.signature == signature != UNSETTLED:
        return known
    recipe, number = name.split("/")
    return read_run(place, recipe, int(number), signature)


def _is_as_recorded(entry: StepEntry, run: Run) -> bool:
    """Whether the state of a step that is not recorded as ended is still right: the lock of its worker tells it."""
    with suppress(BurnishError, OSError):  # such as a lock that is a folder
        return (entry.state == "running") == run.is_alive()
    return False


def _numbers(place: Workspace) -> Iterator[tuple[str, str, str]]:
    """Recipe, number and folder of each run. Folders such as `3.bak` are ignored."""
    runs = str(place.runs)
    for recipe in _folders(runs):
        for number in _folders(f"{runs}/{recipe}"):
            if is_number(number):
                yield recipe, number, f"{runs}/{recipe}/{number}"


def _folders(path: str) -> list[str]:
    """The names of the folders in a folder, links to folders included; none where it cannot be read."""
    try:
        with os.scandir(path) as entries:
            return sorted(entry.name for entry in entries if _is_folder(entry))
    except OSError:
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False


def _signature_of_step(folder: str) -> str | None:
    """The times and sizes of run.json and artifact.json; None if there is no run.json."""
    record = _stat(f"{folder}/run.json")
    if record is None:
        return None
    artifact = _stat(f"{folder}/artifact.json")
    if artifact is None and os.path.lexists(f"{folder}/artifact.json"):  # it cannot be read now
        return UNSETTLED
    return _signature(record, artifact)


def _signature(*statuses: os.stat_result | None) -> str:
    now, signature = time.time_ns(), ""
    for status in statuses:
        if status is None:
            signature += " -"
            continue
        written, changed = status.st_mtime_ns, status.st_ctime_ns
        if -_UNSETTLED_NS < now - written < _UNSETTLED_NS or -_UNSETTLED_NS < now - changed < _UNSETTLED_NS:
            return UNSETTLED
        signature += f" {written} {changed} {status.st_size}"
    return signature


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None
