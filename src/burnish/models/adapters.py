"""LoRA adapters: put one on a model, save it as PEFT does, find its base, load it, and tell when it does not fit."""

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.core.context import Input
from burnish.core.errors import ModelError
from burnish.core.naming import nearest
from burnish.models.load import is_adapter, quiet_transformers
from burnish.models.weights import ADAPTER_CONFIG, ADAPTER_WEIGHTS, read_header, read_json, refuse_pickle
from burnish.specs.train import LoraSpec

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel


def attach_lora(model: "PreTrainedModel | PeftModel", spec: LoraSpec) -> "PeftModel":
    """The model, frozen, with fresh LoRA matrices on the layers that `spec` names; it answers as before.

    What is trained is float32 whatever the model is. The head is left out of `all-linear`. A model that has an
    adapter already gets it merged first.
    Errors: ModelError `model.unknown-target`.
    """
    from peft import LoraConfig, get_peft_model
    from transformers.pytorch_utils import Conv1D

    model = without_adapter(model)
    targets = _linear_layers(model) if spec.targets == "all-linear" else spec.targets
    _check_names(model, targets, "targets")
    _check_names(model, spec.train_fully, "train_fully")
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=spec.rank,
        lora_alpha=_alpha(spec),
        lora_dropout=spec.dropout,
        target_modules=targets,
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


def _linear_layers(model: "PreTrainedModel") -> list[str]:
    """The names of all linear layers but the head, as they end: the config stays short and fits any engine."""
    from torch.nn import Linear
    from transformers.pytorch_utils import Conv1D

    head = model.get_output_embeddings()
    linear = {path for path, module in model.named_modules() if isinstance(module, (Linear, Conv1D))}
    return sorted({path.rpartition(".")[2] for path in linear if model.get_submodule(path) is not head})


def _check_names(model: "PreTrainedModel", asked: Iterable[str], field: str) -> None:
    """Each name asked for must end the dotted path of a module that has weights of its own."""
    paths = [path for path, module in model.named_modules() if next(module.parameters(recurse=False), None) is not None]
    for name in asked:
        if not any(path == name or path.endswith(f".{name}") for path in paths):
            raise ModelError(
                "model.unknown-target",
                f"{field}: no module of this {model.config.model_type} model is named '{name}'",
                nearest(name, {path.rpartition(".")[2] for path in paths}),
            )


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
    model.save_pretrained(str(folder), save_embedding_layers=False)


def base_of(source: Input | Path) -> Input | Path:
    """Where the base of an adapter lies: the artifact's own input `base`, or else what PEFT wrote down.

    Errors: ModelError `model.not-found` when neither leads to a folder.
    """
    folder = source.path if isinstance(source, Input) else source
    if isinstance(source, Input) and "base" in source.inputs:
        return source.inputs["base"]
    named = read_json(folder / ADAPTER_CONFIG).get("base_model_name_or_path")
    for candidate in (Path(named), folder / named) if named else ():
        if candidate.is_dir():
            return candidate
    raise ModelError(
        "model.not-found",
        f"the base of the adapter {folder} is not here: {ADAPTER_CONFIG} says '{named}', which is no folder",
        "give the base: burnish merge --base, or write its folder into base_model_name_or_path",
    )


def tokenizer_folder(source: Input | Path) -> Path:
    """Where a model's tokenizer lies: in its folder, or with the base where an adapter came without one."""
    folder = source.path if isinstance(source, Input) else source
    if is_adapter(folder) and not (folder / "tokenizer_config.json").is_file():
        return tokenizer_folder(base_of(source))
    return folder


def without_adapter(model: "PreTrainedModel | PeftModel") -> "PreTrainedModel":
    """The model itself, with its adapter merged in memory if it has one."""
    return model.merge_and_unload() if hasattr(model, "peft_config") else model  # pyright: ignore


def load_adapter(base: "PreTrainedModel", folder: Path) -> "PeftModel":
    """The base with the adapter of that folder on it, frozen and in eval mode.

    Errors: ModelError `model.wrong-adapter` when names or shapes do not fit, `model.broken`, `model.pickle`.
    """
    from peft import PeftConfig, PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
    from safetensors.torch import load_file

    file = adapter_weights(folder)
    found = {tensor.name: tensor.shape for tensor in read_header(file)}
    with quiet_transformers():
        try:
            config = PeftConfig.from_pretrained(str(folder))
            config.inference_mode = True
            model = PeftModel(base, config)
            for name, parameter in model.named_parameters():
                if ".lora_" in name:  # PEFT would round those of an embedding to the base's dtype
                    parameter.data = parameter.data.float()
        except (ValueError, TypeError, KeyError) as error:
            raise _wrong(folder, base, str(error).strip().splitlines()[0]) from error
        expected = get_peft_model_state_dict(model, save_embedding_layers=False)
        for name in sorted(expected.keys() ^ found.keys()):
            raise _wrong(folder, base, f"'{name}' is {'missing' if name in expected else 'unknown'}")
        for name, tensor in expected.items():
            if tuple(tensor.shape) != found[name]:
                raise _wrong(folder, base, f"'{name}' is {list(found[name])} where {list(tensor.shape)} is needed")
        set_peft_model_state_dict(model, load_file(str(file)))
    return model.requires_grad_(False).eval()


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
