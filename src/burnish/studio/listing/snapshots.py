"""What is known of the runs of a workspace, compared with its folders at each call: always true, and quick.

It is kept by this process, and in the database of the workspace for the next one. Without a database, or if it cannot
be used now, the records of all runs are read once.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from burnish.core.runs.workspace import Workspace
from burnish.jobs.index.entry import UNSETTLED, RunEntry, StepEntry
from burnish.jobs.index.folders import run_signatures, step_signatures, true_run, true_step
from burnish.jobs.index.opening import has_database, opened

if TYPE_CHECKING:
    from burnish.jobs.index.index import Index

FEW = 300
"""So many records are read sooner than a database is opened: its library alone takes 0.2 s to import."""
_MOST_WORKSPACES = 8
_BUSY_SECONDS, _PAUSE_SECONDS = 0.2, 30.0
"""How long a listing waits for other writers of the database, and how long it does without after that failed."""
E = TypeVar("E", StepEntry, RunEntry)


@dataclass(frozen=True)
class _Kind(Generic[E]):
    """How entries of one kind are found, compared, and loaded."""

    signatures: Callable[[Workspace], Mapping[str, str]]
    true_entry: Callable[[Workspace, str, str, E | None], E]
    load: "Callable[[Index], dict[str, E]]"


_STEPS = _Kind[StepEntry](step_signatures, true_step, lambda index: index.steps())
_RUNS = _Kind[RunEntry](run_signatures, true_run, lambda index: index.runs())


class _Snapshot(Generic[E]):
    """The entries of one kind in one workspace. Threads may share it."""

    def __init__(self, place: Workspace, kind: _Kind[E]):
        self._place, self._kind = place, kind
        self._lock = threading.Lock()
        self._entries: dict[str, E] | None = None
        self._compared_at = -1.0
        """When the last comparison with the folders began, on the monotonic clock."""
        self._unsaved: dict[str, E | None] = {}
        """What the database does not know yet; None for what is gone."""
        self._without_until = 0.0

    def entries(self, max_age: float) -> dict[str, E]:
        """As the folders were at some moment after the call, or at most `max_age` seconds before it.

        Calls that wait for each other share one comparison.
        """
        called = time.monotonic()
        with self._lock:
            if self._entries is None or self._compared_at < called - max_age:
                began = time.monotonic()
                self._entries = self._compared()
                self._compared_at = began
            return self._entries

    def _compared(self) -> dict[str, E]:
        signatures = self._kind.signatures(self._place)
        has_index = len(signatures) > FEW and has_database(self._place)
        known = self._entries if self._entries is not None else self._loaded() if has_index else {}
        entries = {
            name: self._kind.true_entry(self._place, name, signature, known.get(name))
            for name, signature in signatures.items()
        }
        for name, entry in entries.items():
            if entry is not known.get(name) and entry.signature != UNSETTLED:
                self._unsaved[name] = entry
        self._unsaved |= dict.fromkeys(known.keys() - entries.keys())
        if has_index:
            self._save()
        return entries

    def _loaded(self) -> dict[str, E]:
        try:
            with opened(self._place, _BUSY_SECONDS) as index:
                return self._kind.load(index)
        except Exception:  # whatever is wrong with the database: the folders tell the same
            self._without_until = time.monotonic() + _PAUSE_SECONDS
            return {}

    def _save(self) -> None:
        if not self._unsaved or time.monotonic() < self._without_until:
            return
        try:
            with opened(self._place, _BUSY_SECONDS) as index:
                index.save(
                    [entry for entry in self._unsaved.values() if entry is not None],
                    [name for name, entry in self._unsaved.items() if entry is None],
                )
        except Exception:  # as above; it is tried again
            self._without_until = time.monotonic() + _PAUSE_SECONDS
        else:
            self._unsaved = {}


class _Snapshots:
    """Those of the workspaces that were listed last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: OrderedDict[Path, tuple[_Snapshot[StepEntry], _Snapshot[RunEntry]]] = OrderedDict()

    def of(self, place: Workspace) -> tuple[_Snapshot[StepEntry], _Snapshot[RunEntry]]:
        with self._lock:
            if place.root not in self._places:
                self._places[place.root] = (_Snapshot(place, _STEPS), _Snapshot(place, _RUNS))
                if len(self._places) > _MOST_WORKSPACES:
                    self._places.popitem(last=False)
            self._places.move_to_end(place.root)
            return self._places[place.root]

    def forget(self) -> None:
        with self._lock:
            self._places.clear()


_snapshots = _Snapshots()
forget = _snapshots.forget
"""Forget what this process knows, so that the next call loads it."""


def steps_of(place: Workspace, max_age: float = 0.0) -> Iterable[StepEntry]:
    """Every step folder, in no order; at most `max_age` seconds old. A database that cannot be used is no error."""
    return _snapshots.of(place)[0].entries(max_age).values()


def runs_of(place: Workspace, max_age: float = 0.0) -> tuple[Mapping[str, RunEntry], Mapping[str, StepEntry]]:
    """Every run that has a plan, and every step folder, by their names."""
    steps, runs = _snapshots.of(place)
    return runs.entries(max_age), steps.entries(max_age)
