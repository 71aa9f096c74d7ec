"""Workspaces whose run folders are written by hand, with and without a database."""

import itertools
import json
import os
import shutil
from pathlib import Path

import pytest

from burnish.core.errors import BurnishError
from burnish.core.runs.workspace import Workspace
from burnish.jobs.database.database import Database
from burnish.jobs.index import folders
from burnish.studio.listing import snapshots


class Written:
    """Writes the records of run folders. Each file has a time of its own, as if no two were written at once."""

    _times = itertools.count(1_000_000_000_000_000_000, 1_000_000_000)

    def __init__(self, place: Workspace):
        self.place = place

    def file(self, name: str, content: str | bytes | object) -> Path:
        path = self.place.runs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str | bytes) else json.dumps(content)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        moment = next(self._times)
        os.utime(path, ns=(moment, moment))
        return path

    def step(self, name: str, state="succeeded", created=1.0, measures=None, stage="sft", **more) -> Path:
        recipe, number, step = name.split("/")
        names = {"recipe": recipe, "number": int(number[0]), "step": step, "stage": stage, "fingerprint": "f"}
        self.file(f"{name}/run.json", {**names, "state": state, "created": created, "attempts": 1, **more})
        if measures is not None:
            self.artifact(name, measures)
        return self.place.runs / name

    def artifact(self, name: str, measures: object) -> None:
        empty = {"inputs": {}, "spec": {}, "provenance": {}}
        record = {"kind": "adapter", "name": name, "version": "1", "fingerprint": "f", "measures": measures, **empty}
        self.file(f"{name}/artifact.json", record)

    def plan(self, name: str, steps: dict[str, str], created=1.0, action="run") -> None:
        listed = [{"step": step, "folder": run, "stage": "sft", "action": action} for step, run in steps.items()]
        self.file(f"{name}/plan.json", {"recipe": name.split("/")[0], "created": created, "steps": listed})


def walked(place: Workspace) -> list[dict]:
    """The plain twin of a listing: every record is opened, as `burnish.runs` did before there was an index."""
    return [_row_or_damage(run) for run in place.all_runs()]


def _row_or_damage(run):
    try:
        record, artifact = run.record, run.artifact()
        return {
            "run": run.name,
            "stage": record["stage"],
            "state": run.state,
            "seconds": round(record["ended"] - record["started"], 1) if "ended" in record else None,
            "created": record["created"],
            "attempts": record["attempts"],
            "reason": record.get("reason", ""),
            "kind": artifact.kind if artifact else None,
            "metrics": dict(artifact.measures) if artifact else {},
        }
    except BurnishError as error:
        unknown = dict.fromkeys(("stage", "seconds", "created", "attempts", "kind"))
        return {"run": run.name, "state": "damaged", "reason": error.what, "metrics": {}, **unknown}


@pytest.fixture
def settled(monkeypatch):
    """Times of files are trusted at once, and a database is used for few runs too."""
    monkeypatch.setattr(folders, "_UNSETTLED_NS", 0)
    monkeypatch.setattr(snapshots, "FEW", -1)
    monkeypatch.delenv("BURNISH_DATABASE", raising=False)


@pytest.fixture
def written(workspace, settled):
    return Written(workspace)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory) -> Path:
    """The file of a database that has its tables: to make one takes 0.3 s."""
    place = Workspace(tmp_path_factory.mktemp("database"))
    Database.of(place).close()
    return place.database


@pytest.fixture
def database(written, empty_database) -> Path:
    """The workspace has a database."""
    written.place.database.parent.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(empty_database, written.place.database))


@pytest.fixture
def records_read(monkeypatch) -> list[str]:
    """The names of the step folders whose records are read."""
    names: list[str] = []
    read = folders.read_step
    monkeypatch.setattr(folders, "read_step", lambda run, signature: names.append(run.name) or read(run, signature))
    return names
