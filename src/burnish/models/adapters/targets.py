"""Selects the weights that a LoRA adapter trains, by names that PEFT matches to exactly those layers.

    plan = plan_targets(model, spec)     before attach_lora
    plan.modules, plan.parameters        PEFT's target_modules and target_parameters
    plan.report()                        the covered share, and what is left out with the reason

PEFT matches names by suffix. A short name (`q_proj`) is used where it matches the selected layers and no other
module; elsewhere it is extended by as many leading parts as needed.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from burnish.core.errors import ModelError
from burnish.core.events import Note
from burnish.core.naming import nearest
from burnish.specs.train import LoraSpec

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

_TRIED = 64
"""Length of the input that finds the layers a model calls."""
_SHOWN = 4
"""Names listed in a report before the rest is counted."""
_OTHER_TEXT = "outside the language model"
_NO_PLAIN_PRODUCT = "not a plain matrix product"
_FUSED_BY_PEFT = (
    "PEFT matches its name to the experts, and supports the layer only without dropout and DoRA, with init default or "
    "gaussian"
)
_OF_STACKS = ("default", "gaussian")
"""Initialisations that PEFT has for stacked weights."""
_IDLE = "the model reads its weight without calling the layer, or never calls it on text"
_BY_PEFT = "PEFT refuses it in this family"


@dataclass(frozen=True)
class LoraTargets:
    """What an adapter trains, as settings of PEFT, and what stays frozen."""

    modules: list[str]
    """PEFT's `target_modules`."""
    parameters: list[str]
    """PEFT's `target_parameters`: stacked experts, and layers that PEFT supports only this way."""
    left_out: Mapping[str, list[str]]
    """Paths of linear layers without an adapter, by reason."""
    frozen_experts: list[str]
    """Paths of stacked expert weights that are not trained."""
    covered: int
    """Number of parameters in the weights that the adapter changes, and in fully trained modules."""
    expert_parameters: int
    """Number of parameters in `frozen_experts`."""
    total: int
    """Number of parameters of the model."""

    def report(self) -> list[Note]:
        """Lines for the report: the covered share, and each group that is left out."""
        layers = "1 weight" if self.adapted == 1 else f"{self.adapted} weights"
        notes = [Note(text=f"the adapter is on {layers}, {share(self.covered, self.total)} of the model's parameters")]
        if self.frozen_experts:
            text = (
                f"the experts ({_names(self.frozen_experts)}), {share(self.expert_parameters, self.total)} of the "
                f"parameters, are not trained: method.experts: true trains them"
            )
            notes.append(Note(level="warning", text=text))
        for reason, paths in sorted(self.left_out.items()):
            count = "1 linear layer takes" if len(paths) == 1 else f"{len(paths)} linear layers take"
            notes.append(Note(level="warning", text=f"{count} no adapter ({_names(paths)}): {reason}"))
        return notes

    adapted: int = 0
    """Number of weights with an adapter."""


def plan_targets(model: "PreTrainedModel", spec: LoraSpec) -> LoraTargets:
    """The targets of `spec` on a model without an adapter.

    Errors: ModelError `model.unknown-target` for a name that no module has, if no named layer supports an adapter,
    for `experts` of a model without stacked experts, and for experts together with dropout or DoRA.
    """
    modules = dict(model.named_modules())
    experts = stacked_experts(model)
    _check_names(model, spec.train_fully, "train_fully", ())
    fully = [path for path in modules if any(ends_with(path, name) for name in spec.train_fully)]
    in_full = {path for path in modules if any(path == whole or path.startswith(f"{whole}.") for whole in fully)}
    if spec.targets == "all-linear":
        head = model.get_output_embeddings()
        wanted = [path for path, module in modules.items() if _is_linear(module) and module is not head]
        wanted_experts = set[str]()
    else:
        _check_names(model, spec.targets, "targets", experts)
        wanted = [
            path
            for path, module in modules.items()
            if _has_weights(module) and any(ends_with(path, t) for t in spec.targets)
        ]
        wanted_experts = {path for path in experts if any(ends_with(path, name) for name in spec.targets)}
        wanted = [path for path in wanted if not any(expert.startswith(f"{path}.") for expert in experts)]
    if spec.experts:
        if not experts:
            raise ModelError(
                "model.unknown-target",
                f"experts: this {model.config.model_type} model has no stacked experts",
                "remove method.experts: linear layers are covered by targets",
            )
        wanted_experts |= set(experts)
    if wanted_experts:
        _refuse_with_parameters(spec)
    wanted = [path for path in wanted if path not in in_full]
    _refuse_with_init(spec, {path: modules[path] for path in wanted})
    left_out: dict[str, list[str]] = {}
    kept: list[str] = []
    for path in wanted:
        reason = _obstacle(model, path, modules)
        if reason is None:
            kept.append(path)
        else:
            left_out.setdefault(reason, []).append(path)
    if idle := _idle(model, kept):
        left_out[_IDLE] = sorted(idle)
        kept = [path for path in kept if path not in idle]
    diverted = _diverted(model, kept)
    as_parameters = [f"{path}.weight" for path in kept if path in diverted]
    kept = [path for path in kept if path not in diverted]
    if as_parameters and (spec.dropout or spec.dora or spec.init not in _OF_STACKS):
        left_out[_FUSED_BY_PEFT] = sorted(path.removesuffix(".weight") for path in as_parameters)
        as_parameters = []
    as_parameters += sorted(wanted_experts - in_full)
    if not kept and not as_parameters:
        what = "; ".join(f"{_names(paths)}: {reason}" for reason, paths in left_out.items()) or "the model has none"
        raise ModelError(
            "model.unknown-target",
            f"targets: no layer of this {model.config.model_type} model supports an adapter ({what})",
            "name other layers in method.targets, or train with method: full",
        )
    weights = dict(model.named_parameters(remove_duplicate=False))
    changed = {f"{path}.weight" for path in kept} | set(as_parameters)
    changed |= {name for name in weights if name.rpartition(".")[0] in in_full}
    frozen = sorted(set(experts) - changed)
    return LoraTargets(
        modules=shortest(kept, set(modules) - set(kept)),
        parameters=shortest(as_parameters, set(weights) - set(as_parameters)),
        left_out=left_out,
        frozen_experts=frozen,
        covered=_count(weights[name] for name in changed if name in weights),
        expert_parameters=_count(weights[name] for name in frozen),
        total=_count(weights.values()),
        adapted=len(kept) + len(as_parameters),
    )


def stacked_experts(model: "nn.Module") -> list[str]:
    """Names of the parameters with one matrix for each expert, [experts, …, …], as in transformers."""
    return [
        f"{path}.{name}"
        for path, module in model.named_modules()
        if "Experts" in type(module).__name__
        for name, weight in module.named_parameters(recurse=False)
        if weight.dim() == 3
    ]


def _check_names(model: "PreTrainedModel", requested: Iterable[str], field: str, also: Iterable[str]) -> None:
    """Each requested name must be a suffix of the path of a module with weights, or of one of `also`."""
    paths = [path for path, module in model.named_modules() if _has_weights(module)] + list(also)
    for name in requested:
        if not any(ends_with(path, name) for path in paths):
            raise ModelError(
                "model.unknown-target",
                f"{field}: no module of this {model.config.model_type} model is named '{name}'",
                nearest(name, {path.rpartition(".")[2] for path in paths}),
            )


def _refuse_with_parameters(spec: LoraSpec) -> None:
    """PEFT changes a stacked weight itself, where these settings have no effect."""
    init = "" if spec.init in _OF_STACKS else spec.init
    for field, value in (("dropout", spec.dropout), ("dora", spec.dora), ("init", init)):
        if value:
            raise ModelError(
                "model.unknown-target",
                f"experts cannot be trained with {field}: {value}: PEFT changes the stacked weight, not its input",
                f"remove method.{field}, or exclude the experts",
            )


def _refuse_with_init(spec: LoraSpec, named: Mapping[str, "nn.Module"]) -> None:
    """PEFT initialises embeddings in one way, whatever `init` says."""
    others = [path for path, module in named.items() if not _is_linear(module)]
    if spec.init != "default" and others:
        raise ModelError(
            "model.unknown-target",
            f"targets cannot be combined with init: {spec.init}: '{others[0]}' is no linear layer",
            "remove method.init, or exclude the layer from method.targets",
        )


def _obstacle(model: "PreTrainedModel", path: str, modules: Mapping[str, "nn.Module"]) -> str | None:
    """Why a module does not support an adapter, or None."""
    module = modules[path]
    if model.config.get_text_config() is not model.config and not _is_text(model, module):
        return _OTHER_TEXT
    if _refused_by_peft(model, path.rpartition(".")[2]):
        return _BY_PEFT
    return None if not _is_linear(module) or _multiplies(module) else _NO_PLAIN_PRODUCT


def _is_text(model: "PreTrainedModel", module: "nn.Module") -> bool:
    decoder: Any = model.get_decoder()
    return decoder is None or any(module is other for other in decoder.modules()) or module in _ends_of(model)


def _ends_of(model: "PreTrainedModel") -> tuple[Any, Any]:
    return model.get_input_embeddings(), model.get_output_embeddings()


def _refused_by_peft(model: "PreTrainedModel", name: str) -> bool:
    """Runs PEFT's own check: some families read a layer's weight without its forward (Mamba's `out_proj`)."""
    from peft import LoraConfig, LoraModel

    check: Any = LoraModel._check_target_module_compatiblity
    try:
        check(None, LoraConfig(), model, name)
    except ValueError:
        return True
    return False


def _is_linear(module: "nn.Module") -> bool:
    from torch.nn import Linear
    from transformers.pytorch_utils import Conv1D

    return isinstance(module, (Linear, Conv1D))


def _has_weights(module: "nn.Module") -> bool:
    return next(module.parameters(recurse=False), None) is not None


def _multiplies(module: Any) -> bool:
    """True if a linear layer computes x·Wᵀ + b: some routers inherit from Linear and return more."""
    import torch
    from torch.nn import Linear
    from transformers.pytorch_utils import Conv1D

    if type(module).forward in (Linear.forward, Conv1D.forward) or not type(module).__module__.startswith(
        "transformers"
    ):
        return True  # a quantized layer of another library has its own forward, and PEFT supports it
    try:
        with torch.no_grad():
            sample = torch.linspace(-1, 1, module.in_features, device=module.weight.device, dtype=module.weight.dtype)
            found = module(sample[None, None])
            expected = torch.nn.functional.linear(sample[None, None], module.weight, module.bias)
    except (RuntimeError, TypeError, ValueError, IndexError):
        return False
    return isinstance(found, torch.Tensor) and found.shape == expected.shape and torch.allclose(found, expected, 1e-2)


def _idle(model: "PreTrainedModel", paths: list[str]) -> set[str]:
    """Layers that are never called on text: an adapter there would learn nothing, yet change the merged model.

    Layers whose paths differ only in numbers count as one, so an expert that no token selected is kept. Empty if the
    model cannot run on ids alone.
    """
    import torch

    from burnish.models.probing import error_text, not_drawing

    called: set[str] = set()
    kinds = {model.get_submodule(path): _kind(path) for path in paths}
    hooks = [module.register_forward_pre_hook(lambda layer, _: called.add(kinds[layer])) for module in kinds]
    was_training = model.training
    try:
        with torch.no_grad(), not_drawing(model):
            text = model.config.get_text_config()
            length = min(_TRIED, getattr(text, "max_position_embeddings", None) or _TRIED)
            ids = torch.arange(length, device=model.device)[None] % text.vocab_size
            model.train()(input_ids=ids, use_cache=False)
    except Exception as error:  # the model needs other inputs: training itself reports the error
        error_text(error)  # raises it again if memory ran out
        return set()
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    return {path for path in paths if _kind(path) not in called}


def _kind(path: str) -> str:
    """The path without its numbers."""
    return re.sub(r"\d+", "*", path)


def _diverted(model: "PreTrainedModel", paths: list[str]) -> set[str]:
    """Modules that PEFT would map to the stacked experts: in some families it reads `gate_proj` as in old files."""
    from peft import LoraConfig
    from peft.utils.transformers_weight_conversion import convert_peft_config_for_transformers

    names = {path.rpartition(".")[2] for path in paths}
    taken: set[str] = set()
    for name in names:
        config = copy(LoraConfig(target_modules=[name]))
        try:
            convert_peft_config_for_transformers(config, model, None)
        except ValueError:  # one of several that are fused
            taken.add(name)
            continue
        if name not in (config.target_modules or ()):
            taken.add(name)
    return {path for path in paths if path.rpartition(".")[2] in taken}


def shortest(wanted: Iterable[str], others: set[str]) -> list[str]:
    """The shortest suffixes of `wanted` that match none of `others`."""
    ends_of_others = {ending for path in others for ending in _endings(path)}
    found: set[str] = set()
    for path in wanted:
        endings = [ending for ending in _endings(path) if ending not in ends_of_others]
        if not any(ending in found for ending in endings):
            found.add(endings[0] if endings else path)
    return sorted(found)


def _endings(path: str) -> list[str]:
    """`c`, `b.c`, `a.b.c` of `a.b.c`."""
    parts = path.split(".")
    return [".".join(parts[start:]) for start in range(len(parts) - 1, -1, -1)]


def ends_with(path: str, name: str) -> bool:
    """True if a dotted path is the name, or ends with it."""
    return path == name or path.endswith(f".{name}")


def _count(weights: Iterable["nn.Parameter"]) -> int:
    """Number of parameters in distinct weights; one in 4 bits counts the elements that it stands for."""
    return sum({id(weight): _elements(weight) for weight in weights}.values())


def _elements(weight: "nn.Parameter") -> int:
    state = getattr(weight, "quant_state", None)
    return weight.numel() if state is None else math.prod(state.shape)


def share(part: int, whole: int) -> str:
    """A part as a percentage."""
    return f"{part / max(whole, 1):.1%}".replace(".0%", "%")


def _names(paths: Iterable[str]) -> str:
    """The distinct last parts of the paths."""
    counted = Counter(path.rpartition(".")[2] if "experts." not in path else _endings(path)[1] for path in paths)
    shown = sorted(counted)[:_SHOWN]
    more = len(counted) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")
