"""Hugging Face Hub names: pinned to a commit when planned, downloaded to the cache when a step runs.

`HF_ENDPOINT`, `HF_TOKEN`, `HF_HOME` and `HF_HUB_OFFLINE` are respected.
"""

import os
import re
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from burnish.core.errors import AskError, MachineError
from burnish.core.fingerprint import NOTICES
from burnish.core.paths import expanded

_NAME = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+|[\w.-]+)(@(?P<revision>[\w./-]+))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_WEIGHTS = "*.safetensors"
_MODEL_FILES = ["*.json", _WEIGHTS, "*.model", "*.jinja", "*.txt", "*.tiktoken", *NOTICES]
_DOCUMENTATION = ["README.md"]
"""Of a model: it states the licence, and no step reads it for anything else."""


def split_name(name: str) -> tuple[str, str]:
    """`owner/name@revision` → (repo, revision); the revision defaults to `main`."""
    match = _NAME.fullmatch(name)
    if match is None or ".." in name or "--" in match["repo"]:
        raise _no_hub_name(name)
    return match["repo"], match["revision"] or "main"


def _no_hub_name(name: str) -> AskError:
    return AskError(
        "ask.bad-reference", f"'hub:{name}' is not a valid hub name", "write hub:owner/name or hub:owner/name@commit"
    )


def cache_folder() -> Path:
    home = os.environ.get("HF_HOME", "~/.cache/huggingface")
    return expanded(os.environ.get("HF_HUB_CACHE", f"{home}/hub"))


def pin(name: str, repo_type: str) -> str:
    """The commit that a name resolves to: from the hub or, offline, from the local cache."""
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
        f"hub:{name}: the hub cannot be reached, and {cached.parent.parent} lacks the revision",
        "go online once, set HF_ENDPOINT to a mirror, or use a local folder: file:PATH",
    )


def _ask_hub(repo: str, revision: str, repo_type: str) -> str | None:
    """The commit, or None if the hub cannot be reached; a refusal by the hub is an error."""
    hub: Any = _library()
    try:
        return hub.HfApi().repo_info(repo, revision=revision, repo_type=repo_type, timeout=10).sha
    except hub.errors.HfHubHTTPError as error:
        raise _refused(f"hub:{repo}@{revision}", error) from error
    except hub.errors.HFValidationError as error:
        raise _no_hub_name(repo) from error
    except _transport_errors(hub):
        return None


def fetch(name: str, revision: str, repo_type: str, *, weights: bool = True) -> Path:
    """The local snapshot folder of a pinned name; downloads files missing from the cache, of a model without `weights`
    all others."""
    repo, _ = split_name(name)
    cached = cache_folder() / f"{repo_type}s--{repo.replace('/', '--')}" / "snapshots" / revision
    hub: Any = _library()
    try:
        patterns = _MODEL_FILES + _DOCUMENTATION if repo_type == "model" else None
        if patterns is not None and not weights:
            patterns.remove(_WEIGHTS)
        return Path(hub.snapshot_download(repo, revision=revision, repo_type=repo_type, allow_patterns=patterns))
    except hub.errors.HFValidationError as error:
        raise _no_hub_name(repo) from error
    except _transport_errors(hub) as error:
        raise MachineError(
            "machine.no-network",
            f"hub:{repo}@{revision} could not be downloaded: {error}",
            f"go online, set HF_ENDPOINT to a mirror, or put the files in {cached}",
        ) from error


@dataclass(frozen=True)
class HubFile:
    """One file of a repository at a commit; `sha256` is "" for a small one, which the hub keeps in Git."""

    path: str
    size: int
    sha256: str
    url: str


def files(name: str, revision: str, repo_type: str, folder: str = "") -> list[HubFile]:
    """The files of a repository at a pinned commit, or those of one of its folders.

    Errors: AskError `ask.bad-reference` for what the hub refuses, MachineError `machine.no-network`.
    """
    repo, _ = split_name(name)
    hub: Any = _library()
    at = {"revision": revision, "repo_type": repo_type}
    try:
        listed = list(hub.HfApi().list_repo_tree(repo, folder or None, recursive=True, **at))
    except hub.errors.EntryNotFoundError as error:
        what = f"hub:{repo}@{revision} has no folder '{folder}'"
        raise AskError("ask.bad-reference", what, "check data_dir") from error
    except hub.errors.HfHubHTTPError as error:
        raise _refused(f"hub:{repo}@{revision}", error) from error
    except hub.errors.HFValidationError as error:
        raise _no_hub_name(repo) from error
    except _transport_errors(hub) as error:
        what = f"hub:{repo}@{revision} cannot be reached: {error}"
        fix = "go online, set HF_ENDPOINT to a mirror, or use a local folder: file:PATH"
        raise MachineError("machine.no-network", what, fix) from error
    return [
        HubFile(one.path, one.size, one.lfs.sha256 if one.lfs else "", hub.hf_hub_url(repo, one.path, **at))
        for one in listed
        if isinstance(one, hub.RepoFile)
    ]


def headers() -> dict[str, str]:
    """What a request for a file needs: the token, if there is one."""
    token = _library().get_token()
    return {"Authorization": f"Bearer {token}"} if token else {}


def endpoint() -> str:
    """The address of the hub: HF_ENDPOINT, or huggingface.co."""
    return str(_library().HfApi().endpoint)


def _refused(name: str, error: Any) -> AskError:
    status = getattr(error.response, "status_code", "no status")
    return AskError(
        "ask.bad-reference",
        f"{name}: the hub returned {status}",
        "check the name and revision; for a gated or private repository set HF_TOKEN",
    )


def cached(name: str, revision: str, repo_type: str) -> Path | None:
    """The snapshot folder of a pinned name, if it was downloaded."""
    repo, _ = split_name(name)
    folder = cache_folder() / f"{repo_type}s--{repo.replace('/', '--')}" / "snapshots" / revision
    return folder if folder.is_dir() else None


def has_token() -> bool:
    """Whether HF_TOKEN is set, or somebody is logged in."""
    return bool(_library().get_token())


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
    """The parent classes of the hub's error (OSError and the HTTP client's error), since the client may change."""
    return hub.errors.HfHubHTTPError.__bases__
