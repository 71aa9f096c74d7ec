"""Runs in a workspace, written as the launcher and the worker write them."""

import json
from contextlib import contextmanager

from burnish.core.events import Metric, Note
from burnish.core.files import write_json
from burnish.core.runs.artifact import record_files
from burnish.core.runs.workspace import Workspace


class MadeRun:
    """A run of a recipe with some steps; `write` appends events to the one that runs."""

    def __init__(self, folder, recipe="made", steps=("data", "tune")):
        self.place, self.recipe, self.steps = Workspace(folder), recipe, steps
        self.number = self.place.claim_number(recipe)
        self.name = f"{recipe}/{self.number}"
        planned = [
            {"step": step, "stage": "sft", "action": "run", "reason": "new", "folder": f"{self.name}/{step}"}
            for step in steps
        ]
        self.place.record_plan(recipe, self.number, {"recipe": recipe, "values": {"name": recipe}, "steps": planned})

    def step(self, step):
        return self.place.run(self.recipe, self.number, step)

    def begin(self, step):
        run = self.step(step)
        named = {"recipe": self.recipe, "number": self.number, "step": step, "stage": "sft", "fingerprint": "0" * 64}
        run.create({**named, "spec": {"learning_rate": 1e-3}, "inputs": {}})
        run.transition("running")
        return run

    def write(self, step, count, start=0):
        for number in range(start, start + count):
            self.step(step).events.append(Metric(step=number, values={"loss": 2.0 / (number + 1)}))

    def note(self, step, text):
        self.step(step).events.append(Note(text=text))

    def finish(self, step, kind, files, measures=None, stage="sft", certificate=None):
        """What a step made: an artifact of a kind with files by their names and texts."""
        run = self.step(step)
        run.out.mkdir(exist_ok=True)
        for name, text in files.items():
            (run.out / name).write_text(text)
        about = {"kind": kind, "name": f"{self.recipe}.{step}", "version": str(self.number), "stage": stage}
        facts = {"inputs": {}, "spec": {}, "measures": measures or {}, "provenance": {}, "certificate": certificate}
        record = {**about, "fingerprint": run.job["fingerprint"], **facts, "files": record_files(run.out)}
        write_json(run.folder / "artifact.json", record)
        run.transition("succeeded")
        return run

    @contextmanager
    def executing(self):
        """Hold the lock of the run, as the process that executes it does."""
        with self.place.lock_of(self.recipe, self.number):
            yield self

    def path(self, rest=""):
        return f"/api/v1/runs/{self.recipe}/{self.number}{rest}"


def made_run(folder, steps=("data", "tune"), metrics=5, recipe="made"):
    """A run whose steps have been begun, and whose processes are gone."""
    run = MadeRun(folder, recipe, steps)
    for step in steps:
        run.begin(step)
        run.write(step, metrics)
    return run


def record_files_again(folder):
    """As if a step had written the files of its artifact as they are now."""
    record = json.loads((folder / "artifact.json").read_text())
    write_json(folder / "artifact.json", record | {"files": record_files(folder / "out")})
