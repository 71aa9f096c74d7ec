"""The models that `serve` offers now: where they answer, and how they are asked."""

from pathlib import Path
from typing import Any

from burnish.core.errors import BurnishError
from burnish.core.files import read_json
from burnish.core.http.snippets import curl, python, reached_at
from burnish.core.runs.run import SERVING, Run
from burnish.core.runs.workspace import Workspace


def served_models(*, workspace: Path | str | None = None) -> list[dict[str, Any]]:
    """A row for each `serve` that runs, the newest first: `state` is starting, or ready with its `address`.

    `key` is the variable that holds the API key, None where none is needed; `curl` and `python` ask the first model.
    """
    place = Workspace.find(workspace)
    found: list[dict[str, Any]] = []
    for run in place.all_runs():
        try:
            record = run.record
            if record["stage"] == "serve" and record["state"] in ("planned", "running") and run.is_alive():
                found.append({"run": run.name, "started": record.get("started"), **_shown(run)})
        except BurnishError:  # a damaged record is that of no server
            continue
    return found


def _shown(run: Run) -> dict[str, Any]:
    model = run.job["inputs"]["model"]["ref"]
    starting: dict[str, Any] = {
        "model": model,
        "state": "starting",
        "address": None,
        "models": [],
        "engine": None,
        "context": None,
    }
    try:
        facts = read_json(run.folder / SERVING)
    except (OSError, ValueError):  # not yet, or not any more
        return {**starting, "key": None, "curl": None, "python": None}
    asked = (facts["address"], facts["names"][0], facts["key"])
    return {
        "model": model,
        "state": "ready",
        "address": f"{reached_at(facts['address'])}/v1",
        "models": facts["names"],
        "engine": facts["engine"],
        "context": facts["context"],
        "key": facts["key"],
        "curl": curl(*asked, chats=facts["chats"]),
        "python": python(*asked, chats=facts["chats"]),
    }
