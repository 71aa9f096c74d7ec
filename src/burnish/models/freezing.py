"""Freezes a model except for its last layers or named modules; the backward pass ends at the lowest trained one.

freeze(model, spec)      sets `requires_grad` of every weight, and returns what to report
"""

import copy
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from burnish.core.errors import AskError, ModelError
from burnish.core.events import Note
from burnish.core.naming import nearest
from burnish.models.adapters.targets import ends_with, share
from burnish.specs.train import FreezeSpec

if TYPE_CHECKING:
    from torch import nn
    from transformers import PretrainedConfig, PreTrainedModel


def freeze(model: "PreTrainedModel", spec: FreezeSpec) -> list[Note]:
    """Train what `spec` names, and freeze the rest.

    Errors: AskError `ask.wrong-value` for more layers than the model has; ModelError `model.unsupported` where its
    layers or its head cannot be found, `model.unknown-target` for a name that no module has.
    """
    trained: set[int] = set()
    layers = _layers(model) if spec.layers is not None else []
    if spec.layers is not None and spec.layers > len(layers):
        raise AskError(
            "ask.wrong-value",
            f"method.layers is {spec.layers}, and this {model.config.model_type} model has {len(layers)} layers",
            f"set layers: {len(layers)}, or method: full",
        )
    for layer in layers[len(layers) - (spec.layers or 0) :]:
        trained |= _ids(layer.parameters())
    for name in spec.modules:
        trained |= _named(model, name)
    embedding: Any = model.get_input_embeddings()
    head: Any = model.get_output_embeddings()
    for field, wanted, module in (
        ("train_embeddings", spec.train_embeddings, embedding),
        ("train_head", spec.train_head, head),
    ):
        if wanted and module is None:
            raise _unsupported(model, f"{field}: this family has none that can be found", "name it in method.modules")
        trained |= _ids(module.parameters()) if wanted and module is not None else set()
    for weight in model.parameters():
        weight.requires_grad_(id(weight) in trained)
    return _report(model, layers, spec.layers or 0, embedding, head)


def trained_parameters(config: "PretrainedConfig", spec: FreezeSpec) -> int:
    """How many parameters `freeze` trains in a model of this config, without its weights. Errors: those of `freeze`."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(copy.deepcopy(config))
    freeze(model, spec)
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad)


def _report(model: "PreTrainedModel", layers: "list[nn.Module]", wanted: int, embedding: Any, head: Any) -> list[Note]:
    weights = list(model.parameters())
    count = sum(weight.numel() for weight in weights if weight.requires_grad)
    what = f"{share(count, sum(weight.numel() for weight in weights))} of the model's parameters are trained"
    first = next((at for at, layer in enumerate(layers) if any(w.requires_grad for w in layer.parameters())), None)
    if first is not None and not any(weight.requires_grad for weight in _outside(embedding)):
        what += f"; the backward pass ends at layer {first + 1} of {len(layers)}"
    notes = [Note(text=what)]
    if first is not None and first < len(layers) - wanted:
        text = f"layers of this model share weights, so weights of layer {first + 1} are trained too"
        notes.append(Note(level="warning", text=text))
    tied = getattr(embedding, "weight", None)
    if tied is not None and tied.requires_grad and tied is getattr(head, "weight", None):
        notes.append(Note(text="embedding and head share one weight, so both are trained"))
    return notes


def _outside(embedding: Any) -> "Iterable[nn.Parameter]":
    return [] if embedding is None else embedding.parameters()


def _layers(model: "PreTrainedModel") -> "list[nn.Module]":
    """The transformer layers in order."""
    from torch.nn import ModuleList

    decoder: Any = getattr(model, "get_decoder", lambda: None)() or model
    count = getattr(model.config.get_text_config(decoder=True), "num_hidden_layers", None)
    for module in (*decoder.modules(), *model.modules()):
        if isinstance(module, ModuleList) and len(module) == count:
            return list(module)
    raise _unsupported(model, "its layers are not in one list", "name modules in method.modules")


def _named(model: "PreTrainedModel", name: str) -> set[int]:
    """Ids of the weights in modules, or of the single weights, whose path ends with `name`."""
    found: set[int] = set()
    paths: set[str] = set()
    for path, module in model.named_modules(remove_duplicate=False):
        weights = _ids(module.parameters())
        paths |= {path.rpartition(".")[2]} if weights else set()
        found |= weights if path and ends_with(path, name) else set()
    for path, weight in model.named_parameters(remove_duplicate=False):
        found |= {id(weight)} if ends_with(path, name) else set()
    if not found:
        raise ModelError(
            "model.unknown-target",
            f"modules: no module with weights of this {model.config.model_type} model is named '{name}'",
            nearest(name, {path for path in paths if path}),
        )
    return found


def _ids(weights: "Iterable[nn.Parameter]") -> set[int]:
    return {id(weight) for weight in weights}


def _unsupported(model: "PreTrainedModel", why: str, fix: str) -> ModelError:
    return ModelError(
        "model.unsupported", f"this {model.config.model_type} model cannot be frozen in parts: {why}", fix
    )
