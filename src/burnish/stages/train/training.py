"""Shared by the training stages: rendering rows, resolving settings, saving weights."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from burnish.core.context import Context, Input, Outcome
from burnish.core.errors import AskError, BurnishError, DataError, ModelError
from burnish.core.events import Note, Progress
from burnish.core.faults import reason
from burnish.data.dataset import open_rows, split_names
from burnish.data.document import Row
from burnish.models.adapters.attach import attach_lora, excess_rank, save_adapter, without_adapter
from burnish.models.adapters.new_tokens import TrainedTokens
from burnish.models.adapters.targets import plan_targets
from burnish.models.bases import folder_of, is_adapter, whole_model
from burnish.models.device import pick_device, set_float32_precision
from burnish.models.freezing import freeze, trained_parameters
from burnish.models.load import describe, load_plain, read_config, refuse_remote_code
from burnish.models.quantization.compressed import refuse_rounded_activations
from burnish.models.quantization.layers import report
from burnish.models.quantization.library import require
from burnish.models.quantization.record import Quantization
from burnish.models.quiet import quiet_transformers
from burnish.models.streaming import StreamedWeights
from burnish.models.tensors import DTYPES
from burnish.models.weights import read_tensors
from burnish.specs.train import AdamW8bitSpec, FreezeSpec, LoraSpec, Method, QloraSpec, TrainSpec
from burnish.stages.tokens.rendering import TEXTS, Layout, RowRenderer
from burnish.stages.tokens.tokenising import tokenised_split
from burnish.tokens.added import add_tokens
from burnish.tokens.rendering.renderer import Renderer
from burnish.tokens.tokenised import TokenisedRows
from burnish.train.fit import Fitted
from burnish.train.forecast.footprint import ModelShape
from burnish.train.precision import Start
from burnish.train.resolve import Machine, Resolved, beyond_context, refuse_without_device, resolve, slow_dtype
from burnish.train.trackers import tracking

if TYPE_CHECKING:
    from torch import nn
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase


_EXAMPLES = 8
Keep = Callable[[str, TokenisedRows, Input, Renderer], None]
"""Called with the name of a split, its rows, the dataset, and the renderer of the rows."""


def tokenised(
    spec: TrainSpec,
    ctx: Context,
    tokenizer: "PreTrainedTokenizerBase",
    layout: Layout = TEXTS,
    keep: Keep = lambda *_: None,
) -> tuple[TokenisedRows, TokenisedRows | None]:
    """The train split and, where there is one, the validation split, rendered.

    A requested chat template becomes the tokenizer's own, and is saved with the weights.
    So does the mode of thinking in which all turns were learned. `keep` is called with each split that has rows.

    Errors: MachineError `machine.no-device`, `machine.no-package`; AskError `ask.wrong-value` when an evaluation is
    requested without validation rows; DataError `data.empty`, `data.nothing-learned`, and what reading and rendering
    raise; RunError `run.interrupted`.
    """
    refuse_without_device(spec.device, Machine.here())  # fails before the long work
    tracking.require(spec.track)
    _require_bitsandbytes(spec)
    data, renderer = ctx.input("data"), RowRenderer(tokenizer, spec.render)
    if spec.render.chat_template is not None:
        tokenizer.chat_template = renderer.template
    has_validation = "validation" in split_names(data)
    if not has_validation:
        _refuse_evaluations(spec)
    rows = _tokens_of(renderer, data, "train", spec, ctx, layout)
    if not len(rows):
        raise DataError(
            "data.nothing-learned",
            f"no token of {data.ref} would be learned",
            "look at the rows with burnish inspect; render.train_on says which turns are learned",
        )
    in_use = renderer.template_in_use if renderer.counts["turns"] else None
    held_out = _tokens_of(renderer, data, "validation", spec, ctx, layout) if has_validation else None
    for split, found in (("train", rows), ("validation", held_out)):
        if found is not None and len(found):
            keep(split, found, data, renderer.renderer)
    ctx.release_input("data")
    if in_use is not None and in_use != renderer.template:
        tokenizer.chat_template = in_use
        ctx.emit(
            Note(text="all turns were learned in one mode of thinking: it is saved as the chat template's default")
        )
    if held_out is not None and not len(held_out):
        _refuse_evaluations(spec)
        return rows, None
    return rows, held_out


def first_rows(spec: TrainSpec, ctx: Context) -> list[Row]:
    """The first rows of the train split, for a check that they are trained as they are served."""
    if spec.prove == "off":
        return []
    with suppress(BurnishError):  # reading the rows for training reports it
        return list(islice(open_rows(ctx.input("data"), "train", report=lambda text: None), _EXAMPLES))
    return []


def _require_bitsandbytes(spec: TrainSpec) -> None:
    """MachineError `machine.no-package` or `machine.no-device` for a setting that needs bitsandbytes."""
    method = getattr(spec, "method", None)
    if isinstance(method, QloraSpec):
        require(f"method: {method.kind}", pick_device(spec.device).type)
    if isinstance(spec.optimizer, AdamW8bitSpec):
        require(f"optimizer: {spec.optimizer.kind}", pick_device(spec.device).type)


def _refuse_evaluations(spec: TrainSpec) -> None:
    """AskError `ask.wrong-value` when an evaluation is requested; to be called where there are no rows for it."""
    for field in ("eval_every", "eval_rows", "early_stop", "keep_best"):
        if field in spec.model_fields_set and getattr(spec, field) not in (None, False):
            raise AskError(
                "ask.wrong-value",
                f"{field} needs validation rows, and the data has none with learned tokens",
                "add a validation split in prepare, or remove the setting",
            )


def resolve_run(
    spec: TrainSpec,
    ctx: Context,
    config: "PretrainedConfig",
    rows: TokenisedRows,
    held_out: TokenisedRows | None,
    trains_all: bool,
    more_tokens: int = 0,
) -> Resolved:
    """Resolve every `auto`, report the choices in the events, and set the threads; rows grow by `more_tokens`."""
    longest = max(int(split.lengths.max()) for split in (rows, held_out) if split is not None) + more_tokens
    try:
        shape = ModelShape.of(config)
    except Exception as error:  # any error of transformers for a foreign config
        raise ModelError(
            "model.broken",
            f"a {config.model_type} is not a causal language model known to transformers: {reason(error)}",
            "choose a model that writes text, such as one of the families qwen3, llama, gemma3 or mistral",
        ) from error
    for name, split in (("train", rows), ("validation", held_out)):
        if split is not None and (warning := beyond_context(split, shape)):
            ctx.emit(Note(level="warning", text=f"{name}: {warning}"))
    machine = Machine.here().shared_by(ctx.processes)
    method = getattr(spec, "method", None)
    trained = trained_parameters(config, method) if isinstance(method, FreezeSpec) else None
    resolved, chosen = resolve(spec, machine, shape, longest, trains_all, trained)
    for choice in chosen:
        ctx.emit(choice)
    if resolved.threads > machine.cores:
        text = f"threads: {resolved.threads}, but this process may use only {machine.cores} cores"
        ctx.emit(Note(level="warning", text=text))
    if (slow := slow_dtype(resolved, machine)) is not None:
        ctx.emit(Note(level="warning", text=slow))
    torch.set_num_threads(resolved.threads)
    set_float32_precision(resolved.dtype)
    return resolved


def config_of(base: Input) -> "PretrainedConfig":
    """The config of a model, or of an adapter's base.

    Errors: ModelError `model.not-found`, `model.broken`, `model.remote-code`.
    """
    from transformers import AutoConfig

    folder = folder_of(whole_model(base))
    stated = read_config(folder)
    refuse_remote_code(folder / "config.json", stated)
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # any error of transformers for a foreign config
        raise ModelError(
            "model.broken",
            f"{folder / 'config.json'}: transformers does not know the type {stated['model_type']}: {reason(error)}",
            "upgrade transformers, or choose a model of a family that it knows",
        ) from error


def base_model(base: Input, method: Method, resolved: Resolved) -> "PreTrainedModel":
    """The model to train: an adapter merged into its base, and for QLoRA the linear layers in 4 bits.

    Errors: those of `load_plain`.
    """
    quantization = None
    if isinstance(method, QloraSpec):
        quantization = Quantization(method.quantization, method.double_quantization, skip=tuple(method.train_fully))
    return load_plain(base, dtype=resolved.dtype, device=resolved.device, quantization=quantization)


def start_of(base: Input, resolved: Resolved) -> Start:
    """The weights of a base as it is on disk, an adapter merged into it."""
    folder = folder_of(whole_model(base))
    kept = {DTYPES.get(tensor.dtype) for tensor in read_tensors(folder).values()}
    is_merged = is_adapter(base.path)

    def weights() -> Mapping[str, torch.Tensor]:
        with suppress(ValueError, BurnishError):  # where it cannot, the whole model takes more memory, and is as exact
            return StreamedWeights(base)
        return dict(load_plain(base, dtype=torch.float32).named_parameters(remove_duplicate=False))

    return Start(
        weights,
        dtype=DTYPES.get(describe(folder).dtype),
        is_rounded=resolved.dtype != torch.float32 and (is_merged or kept != {resolved.dtype}),
    )


def trained_tokens(tokenizer: "PreTrainedTokenizerBase", method: Any, ctx: Context) -> TrainedTokens | None:
    """Add the method's new tokens to the tokenizer; what is new and what is known is reported.

    To be called before rows are rendered. None without new tokens. Errors: ModelError `model.unsupported`.
    """
    if not isinstance(method, LoraSpec) or not (method.new_tokens or method.new_special_tokens):
        return None
    found = add_tokens(tokenizer, method.new_tokens, method.new_special_tokens)
    numbers: dict[str, int] = {token: tokenizer.convert_tokens_to_ids(token) for token in found}  # pyright: ignore
    new, known = ([token for token in found if found[token] is is_new] for is_new in (True, False))
    if new:
        ctx.emit(Note(text=f"new tokens: {', '.join(new)}; their embeddings start at the mean of all others"))
    if known:
        ctx.emit(Note(text=f"the tokenizer has {', '.join(known)} already: trained from the embeddings of the base"))
    return TrainedTokens(sorted(numbers.values()), sorted(numbers[token] for token in new))


def with_method(model: Any, method: Any, ctx: Context, tokens: TrainedTokens | None = None) -> "nn.Module":
    """Prepare the model for a method: with fresh LoRA matrices on frozen weights, or with some or all weights trained.

    What an adapter covers and leaves out, and what is frozen, is reported. `tokens` is the result of `trained_tokens`.
    """
    refuse_rounded_activations(model, "burnish cannot train on")
    if isinstance(method, LoraSpec):
        whole = without_adapter(model)
        plan = plan_targets(whole, method)
        for note in [*report(whole), *plan.report()]:
            ctx.emit(note)
        adapted = attach_lora(whole, method, plan, tokens)
        if excess := excess_rank(adapted, method.rank):
            ctx.emit(excess)
        return adapted
    whole = without_adapter(model)
    _refuse_quantized(whole, method)
    whole.requires_grad_(True)
    if isinstance(method, FreezeSpec):
        for note in freeze(whole, method):
            ctx.emit(note)
    return whole


def _refuse_quantized(model: "PreTrainedModel", method: Method) -> None:
    """ModelError `model.unsupported` for a method that trains weights which are integers in the model's files."""
    packed = next((name for name, weight in model.named_parameters() if not weight.is_floating_point()), None)
    if packed is not None:
        raise ModelError(
            "model.unsupported",
            f"method: {method.kind} trains the base's weights, and those of this base are quantized: '{packed}'",
            "use method: lora, or the model's original weights",
        )


def save(model: Any, write: Callable[[Any, Path], None], ctx: Context, fitted: Fitted) -> Outcome:
    """Write an adapter or a whole model by `write`, unless nothing was trained."""
    if fitted.is_proof:
        return Outcome("proof", fitted.measures)
    write(model, ctx.out)
    return Outcome("adapter" if hasattr(model, "peft_config") else "model", fitted.measures, fitted.provenance)


def write(model: Any, tokenizer: "PreTrainedTokenizerBase", base: Input | None, folder: Path) -> None:
    """Write an adapter as PEFT does, or a whole model in safetensors, with its tokenizer and chat template."""
    with quiet_transformers():
        if hasattr(model, "peft_config"):
            assert base is not None
            save_adapter(model, folder, base)
        else:
            model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _tokens_of(
    renderer: RowRenderer, data: Input, split: str, spec: TrainSpec, ctx: Context, layout: Layout
) -> TokenisedRows:
    """Tokens and weights of every row with learned tokens; what was left out, cut or not learned is reported."""
    processes = None if spec.threads == "auto" else spec.threads
    rendering = tokenised_split(renderer, data, split, ctx, layout=layout, processes=processes)
    found = rendering.of_first(spec.eval_rows if split == "validation" else None)
    rows = renderer.counts["rows"]
    ctx.emit(Progress(phase=f"tokenise {split}", done=rows, total=rows))
    used = len(np.unique(rendering.ordinals[: len(found)]))
    shown = f"{rows} rows" if used == rows else f"{used} of {rows} rows"
    ctx.emit(Note(text=f"{split}: {shown}, {len(found.ids)} tokens, of which {found.learned} are learned"))
    for sentence in renderer.warnings():
        ctx.emit(Note(level="warning", text=f"{split}: {sentence}"))
    return found
