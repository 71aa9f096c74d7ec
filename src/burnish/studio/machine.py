"""What this machine is, and what is wrong with it: `env` and `doctor`."""

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import burnish
from burnish.core import hub
from burnish.core.errors import CODES
from burnish.core.files import file_size
from burnish.core.processes import usable_cores
from burnish.core.run import Run
from burnish.core.secrets import mask
from burnish.core.workspace import Workspace
from burnish.jobs.local import worker_environment

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
    "rouge-score",
    "py3langid",
    "matplotlib",
)
_ENDPOINTS = ("HF_ENDPOINT", "HF_HOME", "HF_HUB_OFFLINE", "HF_TOKEN", "HTTPS_PROXY", "BURNISH_WORKSPACE")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY", "CUDA_VISIBLE_DEVICES")
_MIN_FREE = 2 * 10**9


def env(*, devices: bool = True, workspace: Path | str | None = None) -> dict[str, Any]:
    """The resolved runtime: versions, machine, devices (asked of torch in a child process), paths, endpoints.

    Of a secret it is only told that it is set.
    """
    place = Workspace.find(workspace)
    memory = _memory_bytes()
    return {
        "burnish": burnish.__version__,
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
            "package": str(Path(burnish.__file__).parent),
            "python": sys.executable,
            "hub_cache": str(hub.cache_folder()),
        },
        "environment": {name: _shown(name) for name in (*_ENDPOINTS, *_THREADS)},
    }


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: `level` ok, warning or problem; `fix` says what to do."""

    level: Literal["ok", "warning", "problem"]
    subject: str
    what: str
    fix: str = ""

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def doctor(run: str | None = None, *, workspace: Path | str | None = None) -> list[Finding]:
    """Find what is wrong with this machine and workspace, or with one run, and say what to do."""
    place = Workspace.find(workspace)
    if run is not None:
        return [finding for found in place.find_runs(run) for finding in _look_at_run(found)]
    return [*_look_at_packages(), *_look_at_machine(place), *_look_at_workspace(place)]


def _look_at_packages() -> Iterator[Finding]:
    missing = [name for name in _PACKAGES if _version(name) is None and name not in ("datasets",)]
    if missing:
        yield Finding("problem", "packages", f"not installed: {', '.join(missing)}", "pip install 'burnish[train]'")
    else:
        yield Finding("ok", "packages", f"torch {_version('torch')}, transformers {_version('transformers')}")
    devices = _devices()
    if "error" in devices:
        yield Finding("problem", "torch", devices["error"], "install torch again: pip install --force-reinstall torch")
    else:
        yield Finding("ok", "devices", ", ".join(devices["names"]))


def _look_at_machine(place: Workspace) -> Iterator[Finding]:
    folder = _existing(place.root)
    free = shutil.disk_usage(folder).free
    if free < _MIN_FREE:
        yield Finding(
            "problem", "disk", f"{file_size(free)} free at {folder}", "free some space, or use another workspace"
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
            "models above about 0.5B parameters will not fit" if small else "",
        )
    threads = os.environ.get("OMP_NUM_THREADS")
    if threads is not None and threads.isdigit() and int(threads) > usable_cores():
        yield Finding(
            "warning", "threads", f"OMP_NUM_THREADS={threads} on {usable_cores()} cores", "unset OMP_NUM_THREADS"
        )
    offline = os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0")
    yield Finding("ok", "hub", f"{'offline, ' if offline else ''}cache at {hub.cache_folder()}")


def _look_at_workspace(place: Workspace) -> Iterator[Finding]:
    folder = Path(_existing(place.root))
    if not os.access(folder, os.W_OK):
        yield Finding("problem", "workspace", f"{folder} cannot be written", "choose another with --workspace")
        return
    found = place.all_runs()
    killed = [run for run in found if run.state == "killed"]
    for run in killed:
        yield Finding("warning", f"run {run.name}", "its worker is gone", "run the same command again: it resumes")
    failed = next((run for run in found if run.state == "failed"), None)
    if failed is not None:
        yield Finding(
            "warning", f"run {failed.name}", failed.record.get("reason", "failed"), f"burnish doctor {failed.name}"
        )
    if not killed and failed is None:
        yield Finding("ok", "workspace", f"{place.root}: {len(found)} runs, none in trouble")


def _look_at_run(run: Run) -> Iterator[Finding]:
    record, state = run.record, run.state
    error = record.get("error")
    if state == "succeeded":
        missing = [] if run.out.is_dir() else ["out/"]
        if missing:
            yield Finding("problem", run.name, "its output folder is gone", "run the recipe with --force for this step")
        else:
            yield Finding("ok", run.name, f"succeeded; output at {run.out}")
    elif state == "killed":
        yield Finding(
            "problem", run.name, "its worker was ended from outside", "run the same command again: it resumes"
        )
    elif state in ("failed", "interrupted") and error is not None:
        meaning = CODES.get(error["code"], "")
        yield Finding("problem", run.name, f"{error['what']} ({error['code']}: {meaning})", error["fix"])
        last = "\n".join(error.get("log", "").splitlines()[-10:]) or _last_error_lines(run)
        if last:
            yield Finding("warning", f"{run.name} log", last, f"the whole log: {run.log}")
    else:
        yield Finding("ok", run.name, state)


def _last_error_lines(run: Run) -> str:
    if not run.log.is_file():
        return ""
    lines = run.log.read_text(encoding="utf-8", errors="replace").splitlines()
    telling = [line.strip() for line in lines if "Error" in line or "ERROR" in line]
    return mask("\n".join(telling[-3:]))


def _devices() -> dict[str, Any]:
    """Asked of torch in a child process, since this one never imports it."""
    done = subprocess.run(
        [sys.executable, "-m", "burnish.models.device"], capture_output=True, env=worker_environment(), check=False
    )
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        return {"error": lines[-1] if lines else f"ended with status {done.returncode}"}
    return json.loads(done.stdout)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _shown(name: str) -> str | bool | None:
    """What the environment says; of a secret only that it is set."""
    value = os.environ.get(name)
    if value and "TOKEN" in name:
        return True
    return None if value is None else mask(value)


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
