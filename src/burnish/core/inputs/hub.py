"""Names on the Hugging Face Hub: pinned to a commit when planned, fetched into the cache when a step runs.

`HF_ENDPOINT`, `HF_TOKEN`, `HF_HOME` and `HF_HUB_OFFLINE` are honoured, as everywhere in that world.
"""

import os
import re
from importlib import import_module
from pathlib import Path
from typing import Any

from burnish.core.errors import AskError, MachineError
from burnish.core.paths import expanded

_NAME = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+|[\w.-]+)(@(?P<revision>[\w./-]+))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_MODEL_FILES = ["*.json", "*.safetensors", "*.model", "*.jinja", "*.txt", "*.tiktoken"]


def split_name(name: str) -> tuple[str, str]:
    """`owner/name@revision` → (repo, revision); the revision is `main` when not said."""
    match = _NAME.fullmatch(name)
    if match is None or ".." in name or "--" in match["repo"]:
        raise _no_hub_name(name)
    return match["repo"], match["revision"] or "main"


def _no_hub_name(name: str) -> AskError:
    return AskError(
        "ask.bad-reference", f"'hub:{name}' is no hub name", "write hub:owner/name or hub:owner/name@commit"
    )


def cache_folder() -> Path:
    home = os.environ.get("HF_HOME", "~/.cache/huggingface")
    return expanded(os.environ.get("HF_HUB_CACHE", f"{home}/hub"))


def pin(name: str, repo_type: str) -> str:
    """The commit that a name stands for now: asked of the hub, or, offline, read from the local cache."""
    repo, revision = split_name(name)
    if _COMMIT.fullmatch(revision):
        return revision
    cached = cache_folder() / f"{repo_type}s--{repo.replace('/', '--')}" / "refs" / revision
    if os.environ.get("HF_HUB_OFFLINE", "").lower() not in ("1", "true", "yes", "on"):
        found = _ask_hub(repo, revision, repo_type)
        if found is not None:
            return found
    commit = cached.read_text(errors="replace").strip() if cached.is_file() else ""
    if _COMMIT.fullmatch(commit):
        return commit
    raise MachineError(
        "machine.no-network",
        f"hub:{name}: the hub cannot be reached, and {cached.parent.parent} holds no such revision",
        "go online once, set HF_ENDPOINT to a mirror, or give a local folder: file:PATH",
    )


def _ask_hub(repo: str, revision: str, repo_type: str) -> str | None:
    """The commit, or None when nothing answers; a hub that answers no is an error."""
    hub: Any = _library()
    try:
        return hub.HfApi().repo_info(repo, revision=revision, repo_type=repo_type, timeout=10).sha
    except hub.errors.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "no status")
        raise AskError(
            "ask.bad-reference",
            f"hub:{repo}@{revision}: the hub answered {status}",
            "check the name and revision; for a gated or private repository set HF_TOKEN",
        ) from error
    except hub.errors.HFValidationError as error:
        raise _no_hub_name(repo) from error
    except _transport_errors(hub):
        return None


def fetch(name: str, revision: str, repo_type: str) -> Path:
    """The local snapshot folder of a pinned name; downloads what the cache lacks."""
    repo, _ = split_name(name)
    cached = cache_folder() / f"{repo_type}s--{repo.replace('/', '--')}" / "snapshots" / revision
    hub: Any = _library()
    try:
        patterns = _MODEL_FILES if repo_type == "model" else None
        return Path(hub.snapshot_download(repo, revision=revision, repo_type=repo_type, allow_patterns=patterns))
    except hub.errors.HFValidationError as error:
        raise _no_hub_name(repo) from error
    except _transport_errors(hub) as error:
        raise MachineError(
            "machine.no-network",
            f"hub:{repo}@{revision} could not be fetched: {error}",
            f"go online, set HF_ENDPOINT to a mirror, or put the files at {cached}",
        ) from error


def _library() -> Any:
    try:
        huggingface_hub: Any = import_module("huggingface_hub")
        import_module("huggingface_hub.errors")
    except ImportError as error:
        raise MachineError(
            "machine.no-package", "hub: names need the package huggingface-hub", "pip install 'burnish[data]'"
        ) from error
    return huggingface_hub


def _transport_errors(hub: Any) -> tuple[type[Exception], ...]:
    """OSError and the HTTP client's own error, the parents of the hub's own: its client has changed before."""
    return hub.errors.HfHubHTTPError.__bases__
