"""Resolves every `auto` of a training run by rule, with the reason. Pure: the machine is an argument."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from burnish.core.errors import DataError
from burnish.core.events import Chosen
from burnish.core.memory import available_memory
from burnish.core.processes import usable_cores
from burnish.models.device import has_bfloat16, no_device
from burnish.specs.train import AdamW8bitSpec, QloraSpec, TrainSpec
from burnish.tokens.tokenised import TokenisedRows
from burnish.train.forecast.footprint import STATES_IN_8_BITS, Footprint, ModelShape

_CPU_MICRO_BATCH = 4096
"""Tokens; beyond this a larger product is not faster on a CPU."""
_LARGE_ENOUGH_FOR_BF16 = 5_000_000
"""Parameters; below this, casting costs what bfloat16 gains on a CPU (1M: nothing gained; 6M: 1.3 times as fast)."""
_LARGE_ENOUGH_FOR_THREADS = 5_000_000
"""Parameters; below this, one thread is as fast, and much faster if other programs use the cores."""
_SHARE_OF_MEMORY = 0.8
_SAVES_IN_A_RUN = 10
_EVALUATIONS = 10
_NO_BF16_ON_GPU = "this GPU has no bfloat16 in hardware (its compute capability is below 8.0)"


@dataclass(frozen=True)
class Machine:
    """The facts about the machine that the rules use."""

    cores: int
    cuda: bool
    mps: bool
    bf16_on_cpu: bool
    memory: int
    """Free main memory in bytes."""
    gpu_memory: int = 0
    """Free memory of the CUDA device in bytes."""
    bf16_on_gpu: bool = True
    """The CUDA device has bfloat16 in hardware: from compute capability 8.0 on."""

    @classmethod
    def here(cls) -> "Machine":
        """This machine."""
        cuda = torch.cuda.is_available()
        return cls(
            cores=usable_cores(),
            cuda=cuda,
            mps=torch.backends.mps.is_available(),
            bf16_on_cpu=_cpu_multiplies_bf16(),
            memory=free_memory(),
            gpu_memory=torch.cuda.mem_get_info()[0] if cuda else 0,
            bf16_on_gpu=cuda and has_bfloat16(torch.device("cuda")),
        )

    def shared_by(self, processes: int) -> "Machine":
        """What each of so many processes may take: each has a CUDA device of its own."""
        return replace(self, cores=max(1, self.cores // processes), memory=self.memory // processes)

    def memory_of(self, device: str) -> int:
        """Free memory in bytes for a model on that device; an Apple GPU shares the main memory."""
        return self.gpu_memory if device == "cuda" else self.memory


@dataclass(frozen=True)
class Resolved:
    """The settings of a run, every `auto` a value."""

    device: str
    dtype: torch.dtype
    threads: int
    gradient_checkpointing: bool
    micro_batch_tokens: int


def resolve(
    spec: TrainSpec,
    machine: Machine,
    shape: ModelShape,
    longest: int,
    trains_all: bool,
    trained: int | None = None,
) -> tuple[Resolved, list[Chosen]]:
    """The values for a run on rows of at most `longest` tokens, and one `Chosen` for each `auto`.

    `trained` is the number of trained weights where it is known.

    `attention: auto` is left to the model itself (`burnish.train.scoring`).

    Errors: MachineError `machine.no-device`.
    """
    chosen: list[Chosen] = []

    def choose(field: str, requested: Any, value: Any, reason: str) -> Any:
        if requested not in ("auto", None):
            return requested
        chosen.append(Chosen(field=field, value=value, reason=reason))
        return value

    device = choose("device", spec.device, *_device(machine))
    refuse_without_device(device, machine)
    dtype = getattr(torch, choose("dtype", spec.dtype, *_dtype(device, machine, shape)))
    threads = choose("threads", spec.threads, *_threads(machine, shape))
    if trained is None:
        trained = shape.parameters if trains_all else shape.parameters // 50
    room = _SHARE_OF_MEMORY * machine.memory_of(device)
    kept = Footprint(
        shape,
        dtype,
        trained,
        checkpointing=False,
        frees_gradients=True,  # by the optimizer
        quantized=shape.linear if isinstance(getattr(spec, "method", None), QloraSpec) else 0,
        **({"states": STATES_IN_8_BITS} if isinstance(spec.optimizer, AdamW8bitSpec) else {}),
    )
    fits = kept.peak(longest) <= room
    checkpointing = choose(
        "gradient_checkpointing",
        spec.gradient_checkpointing,
        not fits,
        f"the longest row ({longest} tokens) {'fits' if fits else 'does not fit'} with its activations kept",
    )
    rows_fit = max(longest, replace(kept, checkpointing=checkpointing).tokens_within(room))
    if device == "cpu":
        tokens, why = max(longest, min(rows_fit, _CPU_MICRO_BATCH)), "more at once is no faster on a CPU"
    else:
        tokens, why = 1 << int(math.log2(rows_fit)), "what is estimated to fit into memory"
        tokens = max(longest, min(tokens, 1 << 17))
    micro = choose("micro_batch_tokens", spec.micro_batch_tokens, tokens, why)
    return Resolved(device, dtype, threads, checkpointing, micro), chosen


def slow_dtype(resolved: Resolved, machine: Machine) -> str | None:
    """A sentence where bfloat16 was requested for a device that has it only in software; None elsewhere."""
    if resolved.dtype != torch.bfloat16:
        return None
    if resolved.device == "cuda" and not machine.bf16_on_gpu:
        return f"dtype: bfloat16 is slow here: {_NO_BF16_ON_GPU}; dtype: float32 is faster"
    if resolved.device == "cpu" and not machine.bf16_on_cpu:
        return "dtype: bfloat16 is slow here: this CPU has none in hardware; dtype: float32 is faster"
    return None


def beyond_context(rows: TokenisedRows, shape: ModelShape) -> str | None:
    """A warning about rows with a sequence longer than the model's context; None if all fit.

    Errors: DataError `data.too-long` when the model has no positions for them.
    """
    longest = rows.sequence_lengths.reshape(-1, rows.width).max(1, initial=0)
    if shape.context is None or not (longer := np.flatnonzero(longest > shape.context)).size:
        return None
    text = (
        f"{len(longer)} of {len(rows)} rows are longer than the model's context of {shape.context} tokens "
        f"(the longest has {int(longest.max())}; the first is row {rows.row_ids[longer[0]]})"
    )
    if shape.learned_positions:
        fix = f"set render.max_length: {shape.context}; render.over_length: truncate_left, split or drop"
        raise DataError("data.too-long", f"{text}, and it has no positions beyond", fix)
    return f"{text}: it was not trained on such positions; render.max_length limits rows"


def refuse_without_device(requested: str, machine: Machine) -> None:
    """MachineError `machine.no-device` when the requested device is not available."""
    if (requested == "cuda" and not machine.cuda) or (requested == "mps" and not machine.mps):
        raise no_device(requested)


def save_every(requested: int | None, total_steps: int) -> tuple[int, Chosen | None]:
    """Steps between checkpoints; by default about a tenth of the run."""
    if requested is not None:
        return requested, None
    every = max(1, math.ceil(total_steps / _SAVES_IN_A_RUN))
    return every, Chosen(field="checkpoint.every", value=every, reason=f"a tenth of {total_steps} steps")


def eval_every(spec: TrainSpec, total_steps: int) -> int | None:
    """Steps between evaluations; by default with early_stop, small enough for its patience to run out."""
    stop = spec.early_stop
    if stop is None or spec.eval_every is not None:
        return spec.eval_every
    return max(1, min(math.ceil(total_steps / _EVALUATIONS), (total_steps - 1) // (stop.patience + 1)))


def kept_checkpoints(spec: TrainSpec) -> int | None:
    """How many checkpoints a training has at most, the best one among them; None where all are kept, and how many that
    are depends on its steps, which are known with its rows."""
    total, checkpoint = spec.max_steps, spec.checkpoint
    saved = _SAVES_IN_A_RUN if checkpoint.every is None else None
    if total is not None:
        saved = math.ceil(total / save_every(checkpoint.every, total)[0])
    if spec.keep_best and (spec.eval_every is not None or spec.early_stop is not None):  # what is best so far is saved
        saved = None if total is None or saved is None else min(total, saved + total // (eval_every(spec, total) or 1))
    if checkpoint.archive:
        return saved
    kept = checkpoint.keep + int(spec.keep_best)
    return kept if saved is None else min(kept, saved)


def _device(machine: Machine) -> tuple[str, str]:
    if machine.cuda:
        return "cuda", "a CUDA device is available"
    if machine.mps:
        return "mps", "an Apple GPU is available"
    return "cpu", "there is no GPU"


def _dtype(device: str, machine: Machine, shape: ModelShape) -> tuple[str, str]:
    if device == "cuda" and machine.bf16_on_gpu:
        return "bfloat16", "the GPU multiplies it fastest; trained weights are kept in float32"
    if device == "cuda":
        return "float32", f"{_NO_BF16_ON_GPU}, and float16 needs a scaled loss, which burnish does not have"
    if device == "mps":
        return "float32", "bfloat16 was not tried on an Apple GPU"
    if device == "cpu" and machine.bf16_on_cpu:
        if shape.parameters >= _LARGE_ENOUGH_FOR_BF16:
            return "bfloat16", "the CPU multiplies it in hardware; trained weights are kept in float32"
        return "float32", "the model is so small that bfloat16 would gain nothing"
    return "float32", f"this {device} does not multiply bfloat16 in hardware"


def _threads(machine: Machine, shape: ModelShape) -> tuple[int, str]:
    if shape.parameters < _LARGE_ENOUGH_FOR_THREADS:
        return 1, "the model is so small that handing work to a second thread costs more than it gains"
    return machine.cores, "one for each core that this process may use"


def _cpu_multiplies_bf16() -> bool:
    """True when the CPU reports bfloat16 products (x86: AVX512-BF16 or AMX, Arm: BF16)."""
    try:
        flags = set(Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").split())
    except OSError:
        return False
    return not flags.isdisjoint({"avx512_bf16", "amx_bf16", "bf16"})


def free_memory() -> int:
    """Bytes of main memory that this process may still take; 8 GB where the system does not say."""
    found = available_memory()
    return 8_000_000_000 if found is None else found
