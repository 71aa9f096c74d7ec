"""The models that `serve` offers now: where they answer, and how they are asked."""

from pathlib import Path
from typing import Any

from burnish.core.errors import BurnishError
from burnish.core.http.snippets import curl, python, reached_at
from burnish.core.runs.records import is_there, read_record
from burnish.core.runs.run import SERVING, Run
from burnish.core.runs.workspace import Workspace
from burnish.studio.listing.pages import newest_first
from burnish.studio.listing.snapshots import steps_of


def served_models(*, workspace: Path | str | None = None) -> list[dict[str, Any]]:
    """A row for each `serve` that runs, the newest first: `state` is starting, ready with its `address`, or damaged
    with its `reason`: then a record of it cannot be read.

    `key` is the variable that holds the API key, None where none is needed; `curl` and `python` ask the first model.
    """
    place = Workspace.find(workspace)
    found: list[dict[str, Any]] = []
    for entry in newest_first(steps_of(place)):
        if entry.stage != "serve" or entry.state not in ("planned", "running"):
            continue
        run = Run(place.runs / entry.run)
        try:
            shown = _shown(run) if run.is_alive() else None
        except BurnishError as error:
            shown = {**_NOTHING, "model": "", "state": "damaged", "reason": error.what}
        if shown is not None:
            found.append({"run": entry.run, "started": entry.started, **shown})
    return found


_NOTHING: dict[str, Any] = {
    "state": "starting",
    "reason": "",
    "address": None,
    "models": [],
    "engine": None,
    "context": None,
    "key": None,
    "curl": None,
    "python": None,
}


def _shown(run: Run) -> dict[str, Any]:
    model: str = run.job["inputs"].get("model", {}).get("ref", "")
    if not is_there(run.folder / SERVING):  # not yet, or not any more
        return {**_NOTHING, "model": model}
    facts = read_record(run.folder / SERVING)
    asked = (facts["address"], facts["names"][0], facts["key"])
    return {
        "model": model,
        "state": "ready",
        "reason": "",
        "address": f"{reached_at(facts['address'])}/v1",
        "models": facts["names"],
        "engine": facts["engine"],
        "context": facts["context"],
        "key": facts["key"],
        "curl": curl(*asked, chats=facts["chats"]),
        "python": python(*asked, chats=facts["chats"]),
    }
