"""The models that `serve` offers now: where they answer, and how they are asked."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from burnish.core.errors import BurnishError
from burnish.core.files import read_json
from burnish.core.http.snippets import curl, python, reached_at
from burnish.core.runs.run import SERVING, Run
from burnish.core.runs.workspace import Workspace
from burnish.studio.listing.pages import newest_first
from burnish.studio.listing.snapshots import steps_of


def served_models(*, workspace: Path | str | None = None) -> list[dict[str, Any]]:
    """A row for each `serve` that runs, the newest first: `state` is starting, or ready with its `address`.

    `key` is the variable that holds the API key, None where none is needed; `curl` and `python` ask the first model.
    """
    place = Workspace.find(workspace)
    found: list[dict[str, Any]] = []
    for entry in newest_first(steps_of(place)):
        if entry.stage != "serve" or entry.state not in ("planned", "running"):
            continue
        run = Run(place.runs / entry.run)
        with suppress(BurnishError):  # a damaged record is that of no server
            if run.is_alive():
                found.append({"run": entry.run, "started": entry.started, **_shown(run)})
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
