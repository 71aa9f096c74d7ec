"""Run folders that are created without a worker."""

import os
import time

import pytest

from burnish.core.files import write_json
from burnish.core.runs.artifact import record_files


@pytest.fixture
def finished(workspace):
    """Create a run folder with an artifact: `finished("recipe", 1, "step", kind="dataset", files={...})`."""

    def finished(
        recipe="r",
        number=1,
        step="s",
        *,
        kind="dataset",
        fingerprint="f",
        stage="quick-make",
        inputs=None,
        files=None,
        spec=None,
        state="succeeded",
        plan=True,
    ):
        run = workspace.run(recipe, number, step)
        inputs = {name: value.to_json(workspace.root) for name, value in (inputs or {}).items()}
        run.create(
            {
                "recipe": recipe,
                "number": number,
                "step": step,
                "stage": stage,
                "fingerprint": fingerprint,
                "spec": {"word": "w"} if spec is None else spec,
                "inputs": inputs,
            }
        )
        run.lock().acquire().lock.release()
        run.transition("running", pid=os.getpid())
        if state == "succeeded":
            run.out.mkdir()
            for name, text in (files or {"words.txt": "w\n"}).items():
                (run.out / name).parent.mkdir(parents=True, exist_ok=True)
                (run.out / name).write_text(text)
            write_json(
                run.folder / "artifact.json",
                {
                    "kind": kind,
                    "name": f"{recipe}.{step}",
                    "version": str(number),
                    "fingerprint": fingerprint,
                    "stage": stage,
                    "inputs": inputs,
                    "spec": {"word": "w", "times": 1},
                    "measures": {"words": 1},
                    "provenance": {},
                    "files": record_files(run.out),
                },
            )
        if state not in ("running", "killed"):
            run.transition(state)
        if plan:
            planned = workspace.plan_of(recipe, number)["steps"] if number in workspace.numbers(recipe) else []
            steps = [*planned, {"step": step, "folder": run.name}]
            workspace.record_plan(recipe, number, {"recipe": recipe, "steps": steps})
        time.sleep(0.002)  # runs are ordered by their creation time
        return run

    return finished
