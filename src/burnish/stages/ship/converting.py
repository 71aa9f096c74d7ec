"""llama.cpp's own converter, for a shape that burnish does not map: a child process whose log is kept."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from burnish.core.context import Context, Input
from burnish.core.errors import AskError, MachineError, RunError
from burnish.core.events import Progress
from burnish.core.secrets import program_environment
from burnish.models.bases import is_adapter
from burnish.specs.ship import GgufSpec

LOG = "converter.log"
TYPES = {"F32": "f32", "F16": "f16", "BF16": "bf16", "Q8_0": "q8_0"}
"""Its names of the types that it writes."""
_SECONDS, _GRACE, _SHOWN = 0.2, 5.0, 1500


def refuse_for_converter(spec: GgufSpec, source: Input, why: str) -> None:
    """Refuse what the converter cannot do. Errors: AskError `ask.wrong-value`."""
    if spec.type not in TYPES:
        fix = f"set type to one of {', '.join(TYPES)}, and quantize the file with llama.cpp's llama-quantize"
        raise AskError("ask.wrong-value", f"{why}; and llama.cpp's converter writes no {spec.type}", fix)
    if spec.importance is not None:
        what = f"{why}; and llama.cpp's converter takes no importance"
        raise AskError("ask.wrong-value", what, "remove importance")
    if is_adapter(source.path):
        what = f"{why}; and llama.cpp's converter takes whole models, and {source.ref} is an adapter"
        raise AskError("ask.wrong-value", what, "merge it first (burnish merge), and give the merged model")


def convert(ctx: Context, source: Input, script: Path, kind: str, to: Path) -> dict[str, Any]:
    """Write the file `to` with `convert_hf_to_gguf.py`; its output is converter.log, in scratch until it succeeds.

    Returns the command, its exit status and seconds. It finds no network of Hugging Face.
    Errors: RunError `run.failed` with the end of the log, `run.interrupted`; MachineError `machine.no-package` for a
    module that it lacks.
    """
    command = [sys.executable, str(script), str(source.path), "--outfile", str(to), "--outtype", TYPES[kind]]
    log, began = ctx.scratch / LOG, time.monotonic()
    environment = program_environment({"HF_HUB_OFFLINE": "1", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"})
    with log.open("wb") as output:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=ctx.scratch
        )
        try:
            while (status := _status(child)) is None:
                ctx.emit(Progress(phase="converter", done=int(time.monotonic() - began), total=0, unit="seconds"))
                if ctx.stopping:
                    raise RunError("run.interrupted", "stopped while llama.cpp's converter ran", "run it again")
        finally:
            _end(child)
    text = log.read_text(encoding="utf-8", errors="replace")
    seconds = round(time.monotonic() - began, 3)
    if status or not to.is_file():
        to.unlink(missing_ok=True)
        end = text[-_SHOWN:].strip() or "it printed nothing"
        if "ModuleNotFoundError" in text or "ImportError" in text:
            fix = "install what it needs, such as llama.cpp's requirements.txt, into this environment"
            raise MachineError("machine.no-package", f"{script.name} lacks a package: {end}", fix)
        how = f"ended with status {status}" if status else "wrote no file"
        raise RunError("run.failed", f"{script} {how}: {end}", f"its whole output is in {log}")
    (ctx.out / LOG).write_text(text, encoding="utf-8")
    shown = ["python", script.name, source.ref, "--outfile", to.name.removesuffix(".part"), *command[-2:]]
    return {"command": shown, "status": 0, "seconds": seconds, "log": LOG}


def _status(child: "subprocess.Popen[bytes]") -> int | None:
    try:
        return child.wait(_SECONDS)
    except subprocess.TimeoutExpired:
        return None


def _end(child: "subprocess.Popen[bytes]") -> None:
    """Ask it to end, and end it if it does not."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(_GRACE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
