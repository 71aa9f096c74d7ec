"""Attaches, saves and loads LoRA adapters in PEFT's format, and refuses one that does not match its base."""

import json
import math
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.core.context import Input
from burnish.core.errors import ModelError
from burnish.core.events import Note
from burnish.core.faults import reason
from burnish.models.adapters.config import read_adapter_config
from burnish.models.adapters.initial import FROM_BASE, fixed_matrices, plain_settings, plain_tensors, start_from_base
from burnish.models.adapters.new_tokens import (
    TrainedTokens,
    grow,
    peft_setting,
    start_at_mean,
    tokens_of,
    unchanged_outputs,
)
from burnish.models.adapters.targets import LoraTargets, plan_targets
from burnish.models.bases import Source, folder_of, is_adapter
from burnish.models.quantization.compressed import refuse_rounded_activations
from burnish.models.quantization.layers import quantization_of
from burnish.models.quantization.record import write_quantization
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


def attach_lora(
    model: "PreTrainedModel | PeftModel",
    spec: LoraSpec,
    plan: LoraTargets | None = None,
    tokens: TrainedTokens | None = None,
) -> "PeftModel":
    """The model, frozen, with new LoRA matrices on the layers that `spec` names; its outputs are unchanged.

    Trained parameters are float32 in every model. `all-linear` excludes the head. An adapter that the model already
    has is merged first. `plan` is the result of `plan_targets`, if already computed. The rows of `tokens` in embedding
    and head are trained too.
    Errors: ModelError `model.unknown-target`, `model.unsupported`.
    """
    from peft import LoraConfig, get_peft_model
    from transformers.pytorch_utils import Conv1D

    model = without_adapter(model)
    plan = plan or plan_targets(model, spec)
    rows: Any = None
    if tokens is not None:
        rows = peft_setting(model, tokens, {"train_fully": spec.train_fully, "targets": plan.modules})
        grow(model, max(tokens.ids) + 1)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=spec.rank,
        lora_alpha=_alpha(spec),
        lora_dropout=spec.dropout,
        target_modules=plan.modules,
        target_parameters=plan.parameters or None,
        use_rslora=spec.rslora,
        use_dora=spec.dora,
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),  # GPT-2 transposes its weights
        modules_to_save=list(spec.train_fully) or None,
        trainable_token_indices=rows,
        init_lora_weights=spec.init if spec.init in ("gaussian", "orthogonal") else True,
    )
    with warnings.catch_warnings():
        # PEFT warns that training one of a tied head and embedding separates them; our merge unties them
        warnings.filterwarnings("ignore", message=".*tie_word_embeddings.*")
        warnings.filterwarnings("ignore", category=FutureWarning)  # PEFT uses deprecated names of transformers
        with nullcontext() if tokens is None else unchanged_outputs(model, tokens):
            adapted = get_peft_model(model, config)
    if tokens is not None:
        start_at_mean(adapted, tokens)
    if spec.init in FROM_BASE:
        start_from_base(adapted, spec.init)
    config.init_lora_weights = True  # a saved adapter is not initialised again when it is loaded
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return adapted


def excess_rank(model: "PeftModel", rank: int) -> Note | None:
    """A warning where the rank exceeds the smaller side of every adapted weight, the highest rank of a change."""
    layers: list[Any] = [module for module in model.modules() if hasattr(module, "lora_A")]
    matrices = [(layer.lora_A[name], layer.lora_B[name]) for layer in layers for name in layer.lora_A]
    sides = [min(a.weight.shape[-1], b.weight.shape[0]) for a, b in matrices]
    if not sides or rank <= max(sides):
        return None
    text = (
        f"method.rank {rank} exceeds the smaller side of every adapted weight (at most {max(sides)}): "
        f"rank {max(sides)} can learn the same with fewer parameters"
    )
    return Note(level="warning", text=text)


def _alpha(spec: LoraSpec) -> Any:
    """An integer where possible: other engines read `lora_alpha` as one."""
    alpha = 2 * spec.rank if spec.alpha is None else spec.alpha
    return int(alpha) if alpha == int(alpha) else alpha


def save_adapter(model: "PeftModel", folder: Path, base: Input) -> None:
    """Write the adapter as PEFT does, with the base's hub name or folder in `base_model_name_or_path`.

    One that was initialised from the base's weights becomes a plain adapter of twice the rank. How a base in 4 bits was
    quantized is recorded in a file of its own.
    """
    from safetensors.torch import save_file

    config: Any = model.peft_config["default"]
    for field, value in name_of_base(base).items():
        setattr(config, field, value)
    if isinstance(config.target_modules, set):
        config.target_modules = sorted(config.target_modules)  # the order of a set differs between processes
    if isinstance(config.target_parameters, set):
        config.target_parameters = sorted(config.target_parameters)
    model.save_pretrained(str(folder), save_embedding_layers=False)
    if fixed_matrices(model):
        tensors = plain_tensors(model, adapter_state(model))
        save_file(tensors, folder / ADAPTER_WEIGHTS, metadata={"format": "pt"})
        settings = plain_settings(read_json(folder / ADAPTER_CONFIG))
        (folder / ADAPTER_CONFIG).write_text(json.dumps(settings, indent=2, sort_keys=True), encoding="utf-8")
    if (quantization := quantization_of(model)) is not None:
        write_quantization(folder, quantization)


def name_of_base(base: Source) -> dict[str, str | None]:
    """The fields of PEFT's config that name a base: its hub name and revision, or its folder."""
    if not isinstance(base, Input) or not base.ref.startswith("hub:"):
        return {"base_model_name_or_path": str(folder_of(base))}
    name, _, revision = base.ref.removeprefix("hub:").partition("@")
    return {"base_model_name_or_path": name, "revision": revision or base.revision or None}


def without_adapter(model: "PreTrainedModel | PeftModel") -> "PreTrainedModel":
    """The plain model, with its adapter, if any, merged in memory.

    Errors: ModelError `model.unsupported` for an adapter on a model that quantizes its activations.
    """
    if not hasattr(model, "peft_config"):
        return model  # pyright: ignore[reportReturnType]
    refuse_rounded_activations(model, "an adapter cannot be merged into")
    return model.merge_and_unload()  # pyright: ignore


def load_adapter(base: "PreTrainedModel", folder: Path) -> "PeftModel":
    """The base with the adapter of `folder` attached, frozen and in eval mode.

    Errors: those of `fit_adapter` and `read_adapter`.
    """
    model = fit_adapter(base, folder)
    fill_adapter(model, folder)
    return model.requires_grad_(False).eval()


def fill_adapter(model: "PeftModel", folder: Path) -> None:
    """Give a loaded adapter the weights of another one with the same config and base: exact, and the base stays.

    Errors: those of `read_adapter`; ModelError `model.wrong-adapter`.
    """
    import torch

    found = read_adapter(folder)
    weights = dict(model.named_parameters(remove_duplicate=False))  # tied ones too
    for name in filter(is_copy, found):
        if name not in weights or not is_same(found[name], weights[name]):
            raise other_base(folder, name)
    with torch.no_grad():
        for name, tensor in adapter_state(model).items():
            tensor.copy_(found[name])  # not PEFT's setter: it renames keys as in old files, and drops the renamed ones


def fit_adapter(base: "PreTrainedModel", folder: Path) -> "PeftModel":
    """The base with an empty adapter of the folder's config attached; `base` may be on the meta device.

    Errors: ModelError `model.wrong-adapter` when the config is invalid or names or shapes do not match,
    `model.broken`, `model.pickle`.
    """
    from peft import PeftConfig, PeftModel
    from peft.tuners.lora import LoraLayer

    found = {tensor.name: tensor.shape for tensor in read_header(adapter_weights(folder))}
    settings = read_adapter_config(folder)
    if settings.get("task_type") == "SEQ_CLS" and not hasattr(base, "score"):
        raise ModelError(
            "model.wrong-adapter",
            f"the adapter {folder} is of a reward model (task_type SEQ_CLS), which scores text and writes none",
            "merge it, and use the result as a reward model; or name the adapter of a language model",
        )
    trained = tokens_of(settings)
    _grow_for(base, trained, folder)
    with quiet_transformers():
        try:
            config = PeftConfig.from_pretrained(str(folder))
            config.inference_mode = True
            # PEFT would fill matrices of a base without weights: of LoRA on all layers, a tenth of the model's size
            model = PeftModel(base, config, low_cpu_mem_usage=base.device.type == "meta")
        except Exception as error:  # PEFT may raise anything for a config from elsewhere
            raise _wrong(folder, base, reason(error)) from error
        for name, parameter in model.named_parameters():
            if ".lora_" in name:  # PEFT would round the matrices of an embedding to the base's dtype
                parameter.data = parameter.data.float()
        expected = adapter_state(model)
    found = {name: shape for name, shape in found.items() if not is_copy(name)}
    if of_base := sorted(name for name in found.keys() - expected.keys() if _is_of_the_base(name, model)):
        raise ModelError(
            "model.wrong-adapter",
            f"the adapter {folder} also holds weights of the base: '{of_base[0]}'",
            "save it with PEFT's save_pretrained(save_embedding_layers=False); where the embedding was resized or "
            "trained, save the merged model instead",
        )
    for name in sorted(expected.keys() ^ found.keys()):
        raise _wrong(folder, base, f"'{name}' is {'missing' if name in expected else 'unknown'}")
    for name, tensor in expected.items():
        if tuple(tensor.shape) != found[name]:
            raise _wrong(folder, base, f"'{name}' is {list(found[name])} where {list(tensor.shape)} is expected")
    for name, layer in model.named_modules():
        if isinstance(layer, LoraLayer) and not all(map(math.isfinite, layer.scaling.values())):
            raise _wrong(folder, base, f"the scale of {name} is not finite: check lora_alpha in {ADAPTER_CONFIG}")
    return model


def _grow_for(base: "PreTrainedModel", trained: list[int], folder: Path) -> None:
    """Give the base rows for the tokens that an adapter trains beyond its embedding; each new row must be trained."""
    if not trained:
        return
    rows: int = base.get_input_embeddings().weight.shape[0]  # pyright: ignore
    beyond = [number for number in trained if number >= rows]
    if beyond != list(range(rows, rows + len(beyond))):
        raise _wrong(folder, base, f"it trains token {beyond[-1]}, and the base has {rows} embeddings")
    if beyond:
        with quiet_transformers():
            grow(base, beyond[-1] + 1)


def adapter_state(model: "PeftModel") -> "dict[str, torch.Tensor]":
    """The adapter's trained tensors by their names in PEFT's files; not copies."""
    from peft import get_peft_model_state_dict

    found, fixed = get_peft_model_state_dict(model, save_embedding_layers=False), fixed_matrices(model)
    return {name: tensor for name, tensor in found.items() if name not in fixed}


def read_adapter(folder: Path) -> "dict[str, torch.Tensor]":
    """The tensors of an adapter's file; all values are finite.

    Errors: ModelError `model.broken`, `model.pickle`, `model.not-found`.
    """
    from safetensors.torch import load_file

    file = adapter_weights(folder)
    refuse_integers(file, read_header(file))
    tensors = load_file(str(file))
    refuse_not_finite(file, tensors)
    return tensors


def adapter_weights(folder: Path) -> Path:
    """The weights file of an adapter; ModelError for a pickle, or a folder without an adapter."""
    if not is_adapter(folder):
        raise ModelError(
            "model.not-found",
            f"{folder} is not an adapter: it has no {ADAPTER_CONFIG}",
            "give the folder of an adapter",
        )
    if not (folder / ADAPTER_WEIGHTS).is_file():
        refuse_pickle(folder)
    return folder / ADAPTER_WEIGHTS


def is_copy(name: str) -> bool:
    """True for the weight of the base that PEFT saves beside an adapter of an embedding or a head."""
    return name.endswith(".base_layer.weight")


def is_same(copy: "torch.Tensor", weight: "torch.Tensor") -> bool:
    """True if a copy has the values of the base's weight, in the narrower dtype of the two."""
    import torch

    narrow = min(copy.dtype, weight.dtype, key=lambda dtype: dtype.itemsize)
    return copy.shape == weight.shape and torch.equal(copy.to(narrow), weight.detach().to(narrow))


def other_base(folder: Path, name: str) -> ModelError:
    """The error for a copy with other values than the base has."""
    return ModelError(
        "model.wrong-adapter",
        f"the adapter {folder} holds the base's weight '{name}' with other values than the base has",
        "use the base that the adapter was trained on; if that weight was trained too, save the merged model instead",
    )


def _is_of_the_base(name: str, model: "PeftModel") -> bool:
    """True for a frozen weight of the base: PEFT saves embeddings that were resized."""
    parameter = dict(model.named_parameters()).get(name)
    return parameter is not None and ".lora_" not in name and ".modules_to_save." not in name


def _wrong(folder: Path, base: "PreTrainedModel", what: str) -> ModelError:
    return ModelError(
        "model.wrong-adapter",
        f"the adapter {folder} does not match this {base.config.model_type} model: {what}",
        "use the base that the adapter was trained on",
    )
