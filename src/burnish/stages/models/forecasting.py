"""What a training would take, from its settings and the config of its base: memory, disk, and the choices for `auto`.

The studio asks it in a child process that stays: `python -m burnish.stages.models.forecasting`.
"""

import json
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from burnish.core.catalog import stage
from burnish.core.context import Input
from burnish.models.adapters.targets import ends_with, plan_targets
from burnish.models.freezing import trained_parameters
from burnish.specs.train import AdamW8bitSpec, FreezeSpec, LoraSpec, QloraSpec, TrainSpec
from burnish.stages.answer import answer_each
from burnish.stages.train.training import config_of
from burnish.train.forecast.footprint import STATES_IN_8_BITS, Footprint, ModelShape
from burnish.train.resolve import Machine, kept_checkpoints, resolve

_WEIGHT, _STATES = 4, 8
"""Bytes of a trained weight in float32, and of its two states."""


def forecast(request: Mapping[str, Any]) -> dict[str, Any]:
    """Bytes of memory and disk of a training whose longest row has as many tokens as its settings allow. The memory is
    that of each process on its own CUDA device, and that of all processes elsewhere.

    Errors: those of the base and its config; ModelError `model.unknown-target`.
    """
    spec = stage(request["stage"]).spec_type().model_validate(request["spec"])
    assert isinstance(spec, TrainSpec)
    config, shape = _described(json.dumps(request["base"], sort_keys=True))
    method = getattr(spec, "method", None)
    trained = _trained(config, shape, method)
    longest = min(spec.render.max_length, shape.context or spec.render.max_length)
    machine, processes = Machine.here(), spec.launch.processes
    resolved, chosen = resolve(spec, machine.shared_by(processes), shape, longest, trained == shape.parameters, trained)
    states = STATES_IN_8_BITS if isinstance(spec.optimizer, AdamW8bitSpec) else _STATES
    footprint = Footprint(
        shape,
        resolved.dtype,
        trained,
        checkpointing=resolved.gradient_checkpointing,
        frees_gradients=True,
        quantized=shape.linear if isinstance(method, QloraSpec) else 0,
        states=states,
    )
    memory = footprint.peak(max(longest, resolved.micro_batch_tokens))
    has_own_device = resolved.device == "cuda"
    return {
        "parameters": shape.parameters,
        "trained": trained,
        "longest_tokens": longest,
        "device": resolved.device,
        "processes": processes,
        "memory_of": "device" if has_own_device else "machine",
        "memory_bytes": memory if has_own_device else memory * processes,
        "free_memory_bytes": machine.memory_of(resolved.device),
        "checkpoint_bytes": int(trained * (_WEIGHT + states)),
        "kept_checkpoints": kept_checkpoints(spec),
        "result_bytes": trained * _WEIGHT if isinstance(method, LoraSpec) else _size(shape, resolved.dtype),
        "choices": [one.model_dump(include={"field", "value", "reason"}) for one in chosen],
    }


def _size(shape: ModelShape, dtype: torch.dtype) -> int:
    return shape.parameters * dtype.itemsize


@lru_cache(maxsize=8)
def _described(base: str) -> tuple[Any, ModelShape]:
    """The config of a base and its shape, which takes a second for a large model."""
    config = config_of(Input.from_json(json.loads(base)))
    return config, ModelShape.of(config)


def _trained(config: Any, shape: ModelShape, method: Any) -> int:
    """How many weights a method trains."""
    if isinstance(method, FreezeSpec):
        return trained_parameters(config, method)
    if not isinstance(method, LoraSpec):
        return shape.parameters
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    targets = plan_targets(model, method)
    named = [
        f"{path}.weight" for path, _ in model.named_modules() if any(ends_with(path, name) for name in targets.modules)
    ]
    weights = [model.get_parameter(path) for path in (*named, *targets.parameters)]
    return sum(method.rank * _widths(weight.shape) for weight in weights)


def _widths(size: torch.Size) -> int:
    """What the two matrices for a weight grow by with each rank; a weight of stacked experts has a pair for each."""
    *stacked, rows, columns = size
    return math.prod(stacked) * (rows + columns)


if __name__ == "__main__":
    answer_each(forecast)
