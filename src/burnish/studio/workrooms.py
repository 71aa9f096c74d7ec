"""Verbs that need a workroom but make no artifact: look at rows, talk to a model. Each runs in a child process."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from burnish.core.context import Input
from burnish.core.errors import MachineError, RunError, error_from_dict
from burnish.core.inputs.checks import check_fetched, check_input
from burnish.core.inputs.references import check_kind, fetched, resolve
from burnish.core.recipes.validation import make_spec
from burnish.core.runs.workspace import Workspace
from burnish.jobs.local import worker_environment
from burnish.specs.data import InspectSpec

_MODEL_KINDS = ("model", "adapter")


def inspect(source: str, *, workspace: Path | str | None = None, **settings: Any) -> dict[str, Any]:
    """Rows, lengths, roles, and per token whether it is learned. Settings are those of `InspectSpec`."""
    place = Workspace.find(workspace)
    _require("pyarrow", "data")
    spec = make_spec(InspectSpec, {"source": source, **settings}, lambda _: "inspect")
    known = place.hashes()
    notes: list[str] = []
    inputs = {"source": resolve(spec.source, ("dataset", "file", "folder"), place, known, notes.append)}
    if spec.tokenizer is not None:
        _require("transformers", "train")
        inputs["tokenizer"] = resolve(spec.tokenizer, ("tokenizer", "model", "adapter"), place, known, notes.append)
    for value in inputs.values():
        check_input(value, known)
    request = {
        "spec": spec.model_dump(mode="json", exclude_unset=True),
        "inputs": {name: check_fetched(fetched(value), known).to_json() for name, value in inputs.items()},
    }
    found = _ask("burnish.stages.data.inspect", request)
    return {**found, "notes": [*notes, *found["notes"]]}


def resolve_model(
    model: str,
    *,
    workspace: Path | str | None = None,
    field: str = "model",
    say: Callable[[str], None] = lambda _: None,
) -> Input:
    """A model reference, fetched: `builtin:pocket`, `file:runs/…/out`, `recipe.step@latest`, `hub:owner/name`.

    `say` gets a sentence where the words leave open what is taken.
    """
    place = Workspace.find(workspace)
    known = place.hashes()
    value = resolve(model, _MODEL_KINDS, place, known, say)
    check_kind(value, _MODEL_KINDS, field)
    check_input(value, known)
    return check_fetched(fetched(value), known)


def chat(model: str, *, workspace: Path | str | None = None, arguments: Sequence[str] = ()) -> int:
    """Talk to a model in this terminal; gives the exit status. `arguments` go to the chat itself (`--ask TEXT`)."""
    _require("torch", "train")
    value = resolve_model(model, workspace=workspace, say=lambda text: print(text, file=sys.stderr))
    command = [sys.executable, "-m", "burnish.stages.models.chat", json.dumps(value.to_json()), *arguments]
    return subprocess.run(command, env=worker_environment(), check=False).returncode


def _require(package: str, extra: str) -> None:
    """A workroom's package that is not installed is told here; the workroom itself could only end in a traceback."""
    if find_spec(package) is None:
        raise MachineError(
            "machine.no-package",
            f"this needs the package {package}, which is not installed",
            f"pip install 'burnish[{extra}]'",
        )


def _ask(module: str, request: dict[str, Any]) -> dict[str, Any]:
    """Send a request to a workroom's door and read its answer; an error there is raised here."""
    done = subprocess.run(
        [sys.executable, "-m", module],
        input=json.dumps(request).encode(),
        capture_output=True,
        env=worker_environment(),
        check=False,
    )
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        tail = done.stderr.decode(errors="replace")[-2000:]
        raise RunError(
            "run.failed", f"{module} ended with status {done.returncode}", tail or "no word was said"
        ) from None
    if "error" in answer:
        raise error_from_dict(answer["error"])
    return answer
