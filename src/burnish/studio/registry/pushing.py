"""Upload the folder of a step to a hub once it is finished, also where the step is reused."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from burnish.core.errors import RunError, error_from_dict
from burnish.core.files import file_size, read_json, write_json
from burnish.core.processes import module_command
from burnish.core.runs.artifact import Artifact, digest_of
from burnish.core.runs.run import Run
from burnish.core.runs.workspace import Workspace
from burnish.core.secrets import mask
from burnish.core.version import VERSION
from burnish.jobs.environment import worker_environment
from burnish.studio.registry.versions import Say

RECORD = "pushes.json"
"""In the run folder: what was uploaded where."""
LOG = "push.log"
"""In the run folder: what the process that uploads says of its own faults."""
_COMMAND = module_command("burnish.export.folder.push")
_HUB = "https://huggingface.co"
_POLL_SECONDS = 0.05
_AGAIN = "run it again: the artifact is complete and reused"


def target_of(spec: Any) -> str | None:
    """Where the settings of a step say that its folder is uploaded."""
    return spec.__dict__.get("push_to")


def push_artifact(
    spec: Any, artifact: Artifact, run: Run, place: Workspace, say: Say, is_stopping: Callable[[], bool]
) -> str | None:
    """Upload the artifact of a step with `push_to`, unless the hub has all of it; returns the address of the commit.

    Errors: RunError `run.not-pushed`; the artifact stays as it is. RunError `run.damaged-artifact`.
    """
    target = target_of(spec)
    if target is None:
        return None
    values: Mapping[str, Any] = spec.__dict__
    if artifact.certificate is None and values.get("certify", True):
        what = f"{target}: nothing was uploaded, as {run.name} has no certificate"
        raise RunError("run.not-pushed", what, "its log says why; certify: false uploads without one")
    artifact.refuse_damage(place.hashes(), run.name)
    repo, _, branch = target.removeprefix("hub:").partition("@")
    digest = digest_of(artifact.files or {})
    key = {"endpoint": os.environ.get("HF_ENDPOINT") or _HUB, "target": target, "digest": digest}
    before = next((one for one in _records(run) if key.items() <= one.items()), None)
    request = {
        "folder": str(artifact.path),
        "repo": repo,
        "branch": branch or None,
        "private": values["private"],
        "message": values["commit_message"] or f"Upload {run.reference} with burnish {VERSION}",
    }
    if before is None:
        size = sum(int(file["size"]) for file in (artifact.files or {}).values())
        say(f"uploading {file_size(size)} to {target}", "info")
    answer = _asked(request, target, run.folder / LOG, is_stopping)
    if before is not None and answer.get("is_unreachable"):
        say(f"{target} was uploaded before as {before['commit'][:12]}; the hub cannot be reached to compare", "warning")
        return str(before["url"])
    if "error" in answer:
        raise error_from_dict(answer["error"])
    for note in answer["notes"]:
        say(note, "warning")
    if answer["deleted"]:
        say(f"deleted there, as they are not of this folder: {', '.join(answer['deleted'])}", "warning")
    done = "uploaded as" if answer["pushed"] else "nothing to upload: all is there, in"
    say(f"{done} {answer['url']}", "info")
    found = {**key, "commit": answer["commit"], "url": answer["url"], "at": time.time()}
    write_json(run.folder / RECORD, [*(one for one in _records(run) if not key.items() <= one.items()), found])
    return str(answer["url"])


def _records(run: Run) -> list[dict[str, Any]]:
    """What is recorded as uploaded; a record that cannot be read is none: the hub is asked."""
    try:
        found: Any = read_json(run.folder / RECORD)
    except (OSError, ValueError, RecursionError):
        return []
    return [one for one in found if isinstance(one, dict) and {"commit", "url"} <= one.keys()]


def _asked(request: Mapping[str, Any], target: str, log: Path, is_stopping: Callable[[], bool]) -> dict[str, Any]:
    """The answer of the child process that uploads."""
    environment = {**worker_environment(), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    if (environment.get("HF_ENDPOINT") or _HUB).rstrip("/") != _HUB:
        environment.setdefault("HF_HUB_DISABLE_XET", "1")  # other hubs speak the plain protocol of large files
    text, status = _output(_COMMAND, request, environment, log, target, is_stopping)
    try:
        answer = json.loads(text)
    except ValueError:
        what = f"{target}: the process that uploads exited with status {status}"
        raise RunError("run.not-pushed", what, f"see the end of {log}; {_AGAIN}") from None
    return answer


def _output(
    command: Sequence[str],
    request: Mapping[str, Any],
    environment: Mapping[str, str],
    log: Path,
    target: str,
    is_stopping: Callable[[], bool],
) -> tuple[bytes, int]:
    """What a command prints, of any length, and its exit status; what it prints of errors is added to `log`."""
    with TemporaryFile() as given, TemporaryFile() as errors:
        given.write(json.dumps(request).encode())
        given.seek(0)
        with subprocess.Popen(
            command, stdin=given, stdout=subprocess.PIPE, stderr=errors, env=environment, start_new_session=True
        ) as child:
            try:
                while not is_stopping():
                    with suppress(subprocess.TimeoutExpired):
                        text, _ = child.communicate(timeout=_POLL_SECONDS)
                        return text, child.returncode
            finally:
                if child.poll() is None:
                    child.kill()
                _keep(errors, log)
    what = f"{target}: the upload was stopped; a commit is made whole or not at all"
    raise RunError("run.not-pushed", what, _AGAIN)


def _keep(errors: IO[bytes], log: Path) -> None:
    errors.seek(0)
    text = errors.read().decode("utf-8", "replace")
    if text:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(mask(text))
