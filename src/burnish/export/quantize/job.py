"""Runs the launcher in an environment that has llm-compressor, and reports how it ended."""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from burnish.core.errors import BurnishError, MachineError, ModelError, RunError
from burnish.core.events import Event, Note, Progress
from burnish.core.faults import LESS_MEMORY, out_of_memory_line
from burnish.core.files import write_json
from burnish.export.quantize.record import Metadata, read_report
from burnish.export.quantize.supervised import Ended, run_supervised, tail

LAUNCHER = Path(__file__).with_name("launcher.py")
_BLOCK = re.compile(r"^\((?P<done>\d+)/(?P<total>\d+)\): Calibrating")
"""llm-compressor's progress bar of a block of layers."""
_BAR = re.compile(r"\d+%\|")
_log = logging.getLogger("burnish.quantizer")
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


@dataclass(frozen=True)
class Job:
    """What the launcher reads; see its `KEYS`. Paths are those that it sees."""

    model: Path
    out: Path
    report: Path
    samples: Path | None
    method: str
    scheme: str
    group_size: int | None
    ignore: Sequence[str]
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    seed: int = 0
    threads: int = 1

    def write(self, path: Path) -> None:
        write_json(
            path, {name: str(value) if isinstance(value, Path) else value for name, value in asdict(self).items()}
        )


def local_command(python: Path, folder: Path) -> list[str]:
    """The command for the job that `folder` holds."""
    return [str(python), "-I", str(LAUNCHER), str(folder / "job.json")]


def run_job(
    command: Sequence[str],
    job: Job,
    folder: Path,
    metadata: Metadata,
    *,
    emit: Callable[[Event], None],
    is_stopping: Callable[[], bool],
    timeout: float | None,
    uses_gpu: bool,
    passed: Sequence[str] = (),
) -> None:
    """Run the launcher by `command` for the job that `folder` holds, which gets the log.

    `passed`: further variables that the command needs.

    Errors: MachineError `machine.no-memory`, `machine.no-disk`, `machine.no-package`; ModelError `model.unsupported`;
    RunError `run.failed`, `run.killed`, `run.interrupted`.
    """
    log = folder / "quantize.log"
    metadata.runs_in(command[0], command)
    threads = {name: str(job.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    hidden = {} if uses_gpu else {"CUDA_VISIBLE_DEVICES": ""}
    ended = run_supervised(
        command,
        log,
        folder=folder,
        environment={**OFFLINE, **threads, **hidden},
        passed=passed,
        timeout=timeout,
        is_stopping=is_stopping,
        line=Shown(emit),
    )
    metadata.ended(ended, log, job.report)
    if error := failure(ended, log, read_report(job.report), timeout):
        raise error


class Shown:
    """Turns lines of the launcher's output into events: phases into notes, blocks of layers into progress."""

    def __init__(self, emit: Callable[[Event], None]):
        self._emit, self._last = emit, 0

    def __call__(self, text: str) -> None:
        if not _BAR.search(text):
            _log.debug("%s", text)
        if text.startswith("phase: "):
            self._emit(Note(text=f"quantizer: {text.removeprefix('phase: ')}"))
        elif (found := _BLOCK.match(text)) and int(found["done"]) > self._last:
            self._last = int(found["done"])
            self._emit(Progress(phase="quantize", done=self._last, total=int(found["total"]), unit="blocks"))


def failure(ended: Ended, log: Path, report: Mapping[str, Any], timeout: float | None) -> BurnishError | None:
    """Why there is no complete model; None if there is one."""
    if ended.cause == "stopped":
        return RunError("run.interrupted", "the run was stopped during quantization", "run it again")
    where = f"see {log.with_name('metadata.json')} and {log}"
    if ended.cause == "timeout":
        what = f"the quantizer took longer than timeout {timeout:,.0f} s, and was ended"
        return RunError("run.failed", what, "raise timeout, or use fewer or shorter samples")
    if not ended.status and report.get("complete"):
        return None
    said = "\n".join(tail(log, 200))
    error = report.get("error") or {}
    text = f"{error.get('type')}: {' '.join(str(error.get('message')).split())[:300]}" if error else ""
    if "No space left on device" in said:
        return MachineError("machine.no-disk", f"the disk is full: {log.parent}", "free some space, and run it again")
    if (line := out_of_memory_line(said)) is not None:
        return MachineError("machine.no-memory", f"the quantizer ran out of memory: {line[:300]}", LESS_MEMORY)
    if ended.was_killed:
        what = f"the quantizer was killed (status {ended.status}), most likely because memory ran out"
        return RunError("run.killed", what, f"free memory, or use fewer or shorter samples; {where}")
    if error.get("type") in ("ImportError", "ModuleNotFoundError"):
        what = f"the environment of the quantizer lacks something: {text}"
        fix = f"remove it, so that it is made again, or install what is missing; {where}"
        return MachineError("machine.no-package", what, fix)
    if error and (phases := report.get("phases")) and phases[-1].get("name") == "load":
        what = f"llm-compressor's transformers cannot load the model: {text}"
        return ModelError("model.unsupported", what, f"use method: nf4, or burnish gguf; {where}")
    last = text or next(iter(reversed(said.splitlines())), "it printed nothing")
    return RunError("run.failed", f"the quantizer failed with status {ended.status}: {last[:300]}", where)
