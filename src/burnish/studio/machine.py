"""`env` describes this machine; `doctor` checks it, the workspace and runs."""

import json
import os
import platform
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from burnish.core.catalog import stages
from burnish.core.files import file_size
from burnish.core.inputs import hub
from burnish.core.plugins import PluginWarning
from burnish.core.processes import module_command, usable_cores
from burnish.core.runs.workspace import Workspace
from burnish.core.secrets import mask
from burnish.core.version import VERSION
from burnish.jobs.environment import worker_environment
from burnish.studio.findings import Finding, check_runs, check_workspace
from burnish.studio.settings.environment import source_of
from burnish.studio.settings.variables import variables

_PACKAGES = (
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "tokenizers",
    "safetensors",
    "numpy",
    "pyarrow",
    "pydantic",
    "huggingface-hub",
    "datasets",
    "sentencepiece",
    "sacrebleu",
    "py3langid",
    "matplotlib",
)
_ENDPOINTS = ("HF_ENDPOINT", "HF_HOME", "HF_HUB_OFFLINE", "HF_TOKEN", "HTTPS_PROXY", "BURNISH_WORKSPACE")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY", "CUDA_VISIBLE_DEVICES")
_MIN_FREE = 2 * 10**9


def env(*, devices: bool = True, workspace: Path | str | None = None) -> dict[str, Any]:
    """Versions, machine, devices (from torch in a child process), paths and endpoints.

    For secrets, only whether they are set. `from_env_file` names the variables that came from the `.env` of the
    workspace; the others were set for this process.
    """
    place = Workspace.find(workspace)
    memory = _memory_bytes()
    return {
        "burnish": VERSION,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "machine": {
            "cores": usable_cores(),
            "memory_bytes": memory,
            "free_disk_bytes": shutil.disk_usage(_existing(place.root)).free,
        },
        "devices": _devices() if devices else None,
        "paths": {
            "workspace": str(place.root),
            "runs": str(place.runs),
            "package": str(Path(__file__).parents[1]),
            "python": sys.executable,
            "hub_cache": str(hub.cache_folder()),
        },
        "environment": {name: _shown(name) for name in (*_ENDPOINTS, *_THREADS)},
        "from_env_file": sorted(name for name in os.environ if source_of(name) == "file"),
    }


def doctor(run: str | None = None, *, deep: bool = False, workspace: Path | str | None = None) -> list[Finding]:
    """Check this machine and workspace, or one run. Each problem has a fix.

    Files of artifacts are compared by size and time; with `deep` they are hashed.
    """
    place = Workspace.find(workspace)
    if run is not None:
        return check_runs(place, run, deep=deep)
    return [*_check_packages(), *_check_plugins(), *_check_machine(place), *check_workspace(place, deep=deep)]


def _check_packages() -> Iterator[Finding]:
    missing = [name for name in _PACKAGES if _version(name) is None and name not in ("datasets",)]
    if missing:
        yield Finding("problem", "packages", f"not installed: {', '.join(missing)}", "pip install 'burnish[evals]'")
    else:
        yield Finding("ok", "packages", f"torch {_version('torch')}, transformers {_version('transformers')}")
    devices = _devices()
    if "error" in devices:
        yield Finding("problem", "torch", devices["error"], "reinstall torch: pip install --force-reinstall torch")
    else:
        yield Finding("ok", "devices", ", ".join(devices["names"]))
    if _version("numpy") is None:
        return
    if problem := _kernels_problem():
        why, _, fix = problem.rpartition("; ")
        yield Finding("warning", "kernels", f"`clean` takes about twice as long without them: {why}", fix)
    else:
        yield Finding("ok", "kernels", "compiled")


def _check_plugins() -> Iterator[Finding]:
    """A problem for each plugin that adds no stage although it should."""
    with warnings.catch_warnings(action="ignore", category=PluginWarning):
        found = stages()
    yield from (Finding("problem", "plugin", error.what, error.fix) for error in found.left_out)


def _check_machine(place: Workspace) -> Iterator[Finding]:
    folder = _existing(place.root)
    free = shutil.disk_usage(folder).free
    if free < _MIN_FREE:
        yield Finding(
            "problem", "disk", f"{file_size(free)} free at {folder}", "free disk space, or use another workspace"
        )
    else:
        yield Finding("ok", "disk", f"{file_size(free)} free")
    memory = _memory_bytes()
    if memory is not None:
        small = memory < 4 * 10**9
        yield Finding(
            "warning" if small else "ok",
            "memory",
            f"{memory / 1e9:.0f} GB",
            "models above about 0.5B parameters do not fit" if small else "",
        )
    threads = os.environ.get("OMP_NUM_THREADS")
    if threads is not None and threads.isdigit() and int(threads) > usable_cores():
        yield Finding(
            "warning", "threads", f"OMP_NUM_THREADS={threads} on {usable_cores()} cores", "unset OMP_NUM_THREADS"
        )
    offline = os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0")
    yield Finding("ok", "hub", f"{'offline, ' if offline else ''}cache at {hub.cache_folder()}")


def _devices() -> dict[str, Any]:
    """The devices torch sees, from a child process: this one never imports torch."""
    done = subprocess.run(
        module_command("burnish.models.device"), capture_output=True, env=worker_environment(), check=False
    )
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        return {"error": lines[-1] if lines else f"exit status {done.returncode}"}
    return json.loads(done.stdout)


def _kernels_problem() -> str:
    """Why texts are cleaned by numpy alone; empty where they are not. From a child process, too."""
    command = module_command("burnish.data.native.library")
    done = subprocess.run(command, capture_output=True, env=worker_environment(), check=False, text=True)
    if done.returncode == 0:
        return done.stdout.strip()
    said = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
    return f"they cannot be tried ({said}); install burnish again"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _shown(name: str) -> str | bool | None:
    """The value of an environment variable; True for a secret that is set."""
    value = os.environ.get(name)
    if value and "TOKEN" in name:
        return True
    if value is None:
        return None
    known = variables().get(name)
    return mask(value) if known is None else known.shown(value)


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
