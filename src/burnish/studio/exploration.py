"""`inspect`, `chat` and `smoke_test`: they use workrooms but make no artifact, so each runs in a child process."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from burnish.core.context import Input
from burnish.core.errors import AskError, RunError
from burnish.core.inputs.checkpoints import checkpoints_in, has_checkpoint
from burnish.core.inputs.checks import check_fetched, check_input
from burnish.core.inputs.references import check_kind, fetched, resolve
from burnish.core.naming import nearest
from burnish.core.processes import module_command
from burnish.core.recipes.validation import make_spec
from burnish.core.runs.checkpoints import held
from burnish.core.runs.workspace import Workspace
from burnish.jobs.environment import worker_environment
from burnish.specs.data import InspectSpec
from burnish.specs.endpoints import SMOKE_CHECKS
from burnish.studio.workrooms import ask, require

_MODEL_KINDS = ("model", "adapter")


def inspect(source: str, *, workspace: Path | str | None = None, **settings: Any) -> dict[str, Any]:
    """Rows, lengths, roles, and for each token whether it is learned. Settings are those of `InspectSpec`."""
    place = Workspace.find(workspace)
    require("pyarrow", "data")
    spec = make_spec(InspectSpec, {"source": source, **settings}, lambda _: "inspect")
    known = place.hashes()
    notes: list[str] = []
    inputs = {"source": resolve(spec.source, ("dataset", "rows", "file", "folder"), place, known, notes.append)}
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
    kinds: tuple[str, ...] = _MODEL_KINDS,
    say: Callable[[str], None] = lambda _: None,
) -> Input:
    """Resolve and fetch a model: `builtin:pocket`, `file:runs/…/out`, `recipe.step@latest`, `hub:owner/name`.

    `say` gets a note if the reference is ambiguous.
    """
    place = Workspace.find(workspace)
    known = place.hashes()
    value = resolve(model, kinds, place, known, say)
    check_kind(value, kinds, field)
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
    kinds = (*_MODEL_KINDS, "gguf")
    value = resolve_model(model, workspace=workspace, kinds=kinds, say=lambda text: print(text, file=sys.stderr))
    command = module_command("burnish.stages.models.chat", json.dumps(value.to_json()), *arguments)
    return subprocess.run(command, env=worker_environment(), check=False).returncode


def chat_with_endpoint(
    url: str, *, model: str | None = None, key_env: str | None = None, arguments: Sequence[str] = ()
) -> int:
    """Chat with a model behind an OpenAI-compatible URL in this terminal; returns the exit status.

    `model` is its name there, by default the first that is listed; `key_env` the variable that holds the API key.
    """
    asked = json.dumps({"url": url, "model": model, "key_env": key_env})
    command = module_command("burnish.stages.models.served_chat", asked, *arguments)
    return subprocess.run(command, env=worker_environment(), check=False).returncode


def smoke_test(
    url: str,
    *,
    model: str | None = None,
    key_env: str | None = None,
    timeout: float = 60.0,
    wait: float = 0.0,
    require: Sequence[str] = (),
    prompt: str | None = None,
    expect: str | None = None,
) -> dict[str, Any]:
    """Ask a running OpenAI-compatible endpoint what its clients rely on: `url`, `model`, `holds`, `checks`, `notes`.

    `model` is by default the first that is listed; `key_env` names the variable with the API key; `timeout` of a
    request and `wait` until the endpoint is ready are in seconds. `require` names checks that must hold beside models,
    chat and stream; `expect` is a text that the answer to `prompt` contains.

    Errors: AskError; MachineError `machine.no-answer` if the endpoint is not reached, or refuses the key.
    """
    for name in require:
        if name not in SMOKE_CHECKS:
            raise AskError("ask.wrong-value", f"there is no check '{name}'", nearest(name, SMOKE_CHECKS))
    if expect is not None and prompt is None:
        raise AskError("ask.missing-key", "expect needs a prompt whose answer contains it", "add prompt: …")
    request = {"url": url, "model": model, "key_env": key_env, "timeout": timeout, "wait": wait}
    request |= {"require": list(require), "expect": expect} | ({} if prompt is None else {"prompt": prompt})
    return ask("burnish.stages.ship.smoke_test", request)


def refuse_failed(found: dict[str, Any]) -> None:
    """RunError `run.smoke-test-failed`, with the checks as its result, if a required one does not hold."""
    failed = [check for check in found["checks"] if check["required"] and check["verdict"] != "holds"]
    if not failed:
        return
    said = "; ".join(f"{check['name']} {check['verdict']}: {check['found']}" for check in failed)
    fixes = "; ".join(dict.fromkeys(check["fix"] for check in failed if check["fix"]))
    what = f"{found['model']} at {found['url']}: {len(failed)} required checks do not hold: {said}"
    if not fixes and all(check["verdict"] == "not offered" for check in failed):
        fixes = f"leave out of --require what this model or server cannot do: {', '.join(c['name'] for c in failed)}"
    error = RunError("run.smoke-test-failed", what, fixes or "look at the server's log")
    error.result = found
    raise error
