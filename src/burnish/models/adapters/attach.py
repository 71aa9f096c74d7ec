"""LoRA adapters: put one on a model, save it as PEFT does, load it, and refuse it where it does not fit."""

import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.core.context import Input
from burnish.core.errors import ModelError
from burnish.core.faults import reason
from burnish.models.adapters.targets import LoraTargets, plan_targets
from burnish.models.bases import is_adapter
from burnish.models.quiet import quiet_transformers
from burnish.models.tensors import refuse_not_finite
from burnish.models.weights import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    read_header,
    read_json,
    refuse_integers,
    refuse_pickle,
)
from burnish.specs.train import LoraSpec

if TYPE_CHECKING:
    import torch
    from peft import PeftModel
    from transformers import PreTrainedModel


def attach_lora(model: "PreTrainedModel | PeftModel", spec: LoraSpec, plan: LoraTargets | None = None) -> "PeftModel":
    """The model, frozen, with fresh LoRA matrices on the layers that `spec` names; it answers as before.

    What is trained is float32 whatever the model is. The head is left out of `all-linear`. A model that has an
    adapter already gets it merged first. `plan` is that of `plan_targets` where it is known already.
    Errors: ModelError `model.unknown-target`.
    """
    from peft import LoraConfig, get_peft_model
    from transformers.pytorch_utils import Conv1D

    model = without_adapter(model)
    plan = plan or plan_targets(model, spec)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=spec.rank,
        lora_alpha=_alpha(spec),
        lora_dropout=spec.dropout,
        target_modules=plan.modules,
        target_parameters=plan.parameters or None,
        use_rslora=spec.rslora,
        use_dora=spec.dora,
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),  # GPT-2's layers lie transposed
        modules_to_save=list(spec.train_fully) or None,
    )
    with warnings.catch_warnings():
        # PEFT warns that a tied head and embedding part when one is trained; our merge unties them
        warnings.filterwarnings("ignore", message=".*tie_word_embeddings.*")
        warnings.filterwarnings("ignore", category=FutureWarning)  # PEFT asks transformers by names that have gone old
        adapted = get_peft_model(model, config)
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return adapted


def _alpha(spec: LoraSpec) -> Any:
    """Whole where it can be: other engines read `lora_alpha` as an integer."""
    alpha = 2 * spec.rank if spec.alpha is None else spec.alpha
    return int(alpha) if alpha == int(alpha) else alpha


def save_adapter(model: "PeftModel", folder: Path, base: Input) -> None:
    """Write the adapter as PEFT does, with the base's hub name or folder in `base_model_name_or_path`."""
    config: Any = model.peft_config["default"]
    scheme, _, name = base.ref.partition(":")
    if scheme == "hub":
        name, _, revision = name.partition("@")
        config.revision = revision or base.revision or None
    config.base_model_name_or_path = name if scheme == "hub" else str(base.path)
    if isinstance(config.target_modules, set):
        config.target_modules = sorted(config.target_modules)  # a set's order differs from process to process
    if isinstance(config.target_parameters, set):
        config.target_parameters = sorted(config.target_parameters)
    model.save_pretrained(str(folder), save_embedding_layers=False)


def without_adapter(model: "PreTrainedModel | PeftModel") -> "PreTrainedModel":
    """The model itself, with its adapter merged in memory if it has one."""
    return model.merge_and_unload() if hasattr(model, "peft_config") else model  # pyright: ignore


def load_adapter(base: "PreTrainedModel", folder: Path) -> "PeftModel":
    """The base with the adapter of that folder on it, frozen and in eval mode.

    Errors: those of `fit_adapter` and `read_adapter`.
    """
    import torch

    model = fit_adapter(base, folder)
    found = read_adapter(folder)
    with torch.no_grad():
        for name, tensor in adapter_state(model).items():
            tensor.copy_(found[name])  # not PEFT's setter: it renames as for old files, and drops what it renamed
    return model.requires_grad_(False).eval()


def fit_adapter(base: "PreTrainedModel", folder: Path) -> "PeftModel":
    """The base with an empty adapter of that folder's config on it; `base` may lie on the meta device.

    Errors: ModelError `model.wrong-adapter` when the config is impossible or names or shapes do not fit,
    `model.broken`, `model.pickle`.
    """
    from peft import PeftConfig, PeftModel
    from peft.tuners.lora import LoraLayer

    found = {tensor.name: tensor.shape for tensor in read_header(adapter_weights(folder))}
    read_json(folder / ADAPTER_CONFIG)
    with quiet_transformers():
        try:
            config = PeftConfig.from_pretrained(str(folder))
            config.inference_mode = True
            model = PeftModel(base, config)
        except Exception as error:  # whatever PEFT meets in a config that others wrote
            raise _wrong(folder, base, reason(error)) from error
        for name, parameter in model.named_parameters():
            if ".lora_" in name:  # PEFT would round those of an embedding to the base's dtype
                parameter.data = parameter.data.float()
        expected = adapter_state(model)
    for name in sorted(expected.keys() ^ found.keys()):
        raise _wrong(folder, base, f"'{name}' is {'missing' if name in expected else 'unknown'}")
    for name, tensor in expected.items():
        if tuple(tensor.shape) != found[name]:
            raise _wrong(folder, base, f"'{name}' is {list(found[name])} where {list(tensor.shape)} is needed")
    for name, layer in model.named_modules():
        if isinstance(layer, LoraLayer) and not all(map(math.isfinite, layer.scaling.values())):
            raise _wrong(folder, base, f"the scale of {name} is no finite number: check lora_alpha in {ADAPTER_CONFIG}")
    return model


def adapter_state(model: "PeftModel") -> "dict[str, torch.Tensor]":
    """The adapter's tensors by the names that PEFT gives them in files; they are those of the model itself."""
    from peft import get_peft_model_state_dict

    return get_peft_model_state_dict(model, save_embedding_layers=False)


def read_adapter(folder: Path) -> "dict[str, torch.Tensor]":
    """The tensors of an adapter's file, every value a finite number.

    Errors: ModelError `model.broken`, `model.pickle`, `model.not-found`.
    """
    from safetensors.torch import load_file

    file = adapter_weights(folder)
    refuse_integers(file, read_header(file))
    tensors = load_file(str(file))
    refuse_not_finite(file, tensors)
    return tensors


def adapter_weights(folder: Path) -> Path:
    """The weights file of an adapter; ModelError when it is a pickle, or `folder` holds no adapter."""
    if not is_adapter(folder):
        raise ModelError(
            "model.not-found", f"{folder} is no adapter: it has no {ADAPTER_CONFIG}", "give the folder of an adapter"
        )
    if not (folder / ADAPTER_WEIGHTS).is_file():
        refuse_pickle(folder)
    return folder / ADAPTER_WEIGHTS


def _wrong(folder: Path, base: "PreTrainedModel", what: str) -> ModelError:
    return ModelError(
        "model.wrong-adapter",
        f"the adapter {folder} does not fit this {base.config.model_type} model: {what}",
        "give the base that the adapter was trained on",
    )
