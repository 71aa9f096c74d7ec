"""Which engine serves a model, and whether this machine has it."""

import shutil
import subprocess
from collections.abc import Collection
from pathlib import Path
from typing import Literal

from burnish.core.context import Context, Input
from burnish.core.errors import AskError, MachineError
from burnish.core.events import Chosen, Note
from burnish.serve.engines.vllm import VERSION
from burnish.specs.ship import ServeSpec
from burnish.specs.ship.serve import VLLM_ONLY
from burnish.specs.ship.server import ServerSpec

_DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
_SECONDS = 120
_READ_BY = {
    "llama": ("context", "threads", "parallel"),
    "transformers": ("context", "threads"),
    "vllm": ("context", *VLLM_ONLY),
}
_KEYS = {"keys_file", "api_key_env", "allow_no_key"}
"""Read by the key ring, where they matter."""
EngineKind = Literal["llama", "vllm", "transformers"]


def chosen_engine(spec: ServeSpec, source: Input, ctx: Context) -> EngineKind:
    """The engine of the settings; `auto` is vLLM where there are a GPU and vLLM, else llama.cpp.

    Errors: AskError for a GGUF file with another engine than llama.cpp, or settings of vLLM where it is not chosen.
    """
    if spec.engine == "auto":
        is_vllm = source.kind != "gguf" and has_gpu() and shutil.which("vllm") is not None
        reason = "there are a GPU and vLLM" if is_vllm else "on a CPU, and for GGUF files"
        given = [name for name in VLLM_ONLY if name in spec.model_fields_set]
        if given and not is_vllm:
            what = f"{', '.join(given)}: for vLLM, but engine: auto is llama.cpp here ({reason})"
            raise AskError("ask.wrong-value", what, "remove it, or set engine: vllm")
        ctx.emit(Chosen(field="engine", value="vllm" if is_vllm else "llama", reason=reason))
        return "vllm" if is_vllm else "llama"
    if spec.engine != "llama" and source.kind == "gguf":
        fix = "use engine: llama, or serve the model that the file was made from"
        raise AskError("ask.wrong-value", f"{source.ref} is a GGUF file, which {spec.engine} does not read here", fix)
    return spec.engine


def read_settings(spec: ServeSpec, kind: EngineKind, source: Input, adapters: Collection[Input]) -> None:
    """Read the settings that serving with this engine depends on: another one that is given can be reported at once."""
    names = {*ServerSpec.model_fields, "start_seconds", *_READ_BY[kind]} - _KEYS
    if kind == "llama":
        makes_models, makes_adapters = source.kind != "gguf", any(one.kind != "gguf-adapter" for one in adapters)
        names |= {"gguf_type"} if makes_models else set()
        names |= {"certify"} if makes_models or makes_adapters or spec.load_adapters else set()
    for name in names:
        getattr(spec, name)


def has_gpu() -> bool:
    """Whether there is a driver of a GPU that vLLM uses."""
    return any(Path(path).exists() for path in _DRIVERS)


def vllm_program(ctx: Context) -> list[str]:
    """The command `vllm`. Errors: MachineError `machine.no-device` without a GPU, `machine.no-package` without vLLM."""
    program = shutil.which("vllm")
    if program is None:
        what = "vLLM is not installed: there is no command vllm on the PATH"
        fix = f"install it in an environment of its own (uv tool install vllm=={VERSION}), or use engine: llama"
        raise MachineError("machine.no-package", what, fix)
    if not has_gpu():
        what = "vLLM needs a GPU, and this machine has no driver of one"
        raise MachineError("machine.no-device", what, "use engine: llama")
    try:
        found = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=_SECONDS, check=True)
        version = found.stdout.split()[-1] if found.stdout.split() else "unknown"
    except (OSError, subprocess.SubprocessError) as error:
        what = f"{program} does not start: {error}"
        raise MachineError("machine.no-package", what, "repair its environment, or use engine: llama") from error
    if version.partition("+")[0] != VERSION:
        ctx.emit(Note(level="warning", text=f"vLLM is {version}; burnish writes its arguments for {VERSION}"))
    return [program]
