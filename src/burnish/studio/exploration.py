"""`inspect` and `chat`: they import torch but make no artifact, so each runs in a child process."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from burnish.core.context import Input
from burnish.core.inputs.checkpoints import checkpoints_in, has_checkpoint
from burnish.core.inputs.checks import check_fetched, check_input
from burnish.core.inputs.references import check_kind, fetched, resolve
from burnish.core.recipes.validation import make_spec
from burnish.core.runs.checkpoints import held
from burnish.core.runs.workspace import Workspace
from burnish.jobs.local import worker_environment
from burnish.specs.data import InspectSpec
from burnish.studio.workrooms import ask, require

_MODEL_KINDS = ("model", "adapter")


def inspect(source: str, *, workspace: Path | str | None = None, **settings: Any) -> dict[str, Any]:
    """Rows, lengths, roles, and for each token whether it is learned. Settings are those of `InspectSpec`."""
    place = Workspace.find(workspace)
    require("pyarrow", "data")
    spec = make_spec(InspectSpec, {"source": source, **settings}, lambda _: "inspect")
    known = place.hashes()
    notes: list[str] = []
    inputs = {"source": resolve(spec.source, ("dataset", "file", "folder"), place, known, notes.append)}
    if spec.tokenizer is not None:
        require("transformers", "tokens")
        inputs["tokenizer"] = resolve(spec.tokenizer, ("tokenizer", "model", "adapter"), place, known, notes.append)
    for value in inputs.values():
        check_input(value, known)
    inputs = {name: check_fetched(fetched(_restored(value, place)), known) for name, value in inputs.items()}
    request = {
        "spec": spec.model_dump(mode="json", exclude_unset=True),
        "inputs": {name: value.to_json() for name, value in inputs.items()},
    }
    found = ask("burnish.stages.data.inspect", request)
    return {**found, "notes": [*notes, *found["notes"]]}


def resolve_model(
    model: str,
    *,
    workspace: Path | str | None = None,
    field: str = "model",
    say: Callable[[str], None] = lambda _: None,
) -> Input:
    """Resolve and fetch a model: `builtin:pocket`, `file:runs/…/out`, `recipe.step@latest`, `hub:owner/name`.

    `say` gets a note if the reference is ambiguous.
    """
    place = Workspace.find(workspace)
    known = place.hashes()
    value = resolve(model, _MODEL_KINDS, place, known, say)
    check_kind(value, _MODEL_KINDS, field)
    check_input(value, known)
    return check_fetched(fetched(_restored(value, place)), known)


def _restored(value: Input, place: Workspace) -> Input:
    """A checkpoint as an adapter or model that can be loaded."""
    if not has_checkpoint(value):
        return value
    require("torch", "train")
    request = {"input": value.to_json(), "cache": str(place.cache)}
    with held(checkpoints_in(value)):
        return Input.from_json(ask("burnish.stages.train.restoring", request))


def chat(model: str, *, workspace: Path | str | None = None, arguments: Sequence[str] = ()) -> int:
    """Chat with a model in this terminal; returns the exit status. `arguments` are those of the chat (`--ask TEXT`)."""
    require("torch", "train")
    value = resolve_model(model, workspace=workspace, say=lambda text: print(text, file=sys.stderr))
    command = [sys.executable, "-m", "burnish.stages.models.chat", json.dumps(value.to_json()), *arguments]
    return subprocess.run(command, env=worker_environment(), check=False).returncode
