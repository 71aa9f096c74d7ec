"""What the training stages share: rows become tokens, settings become values, weights become an artifact."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch

from burnish.core.context import Context, Input, Outcome
from burnish.core.errors import AskError, DataError, ModelError, RunError
from burnish.core.events import Note, Progress
from burnish.data.dataset import open_rows, split_names
from burnish.models.adapters import attach_lora, base_of, save_adapter, without_adapter
from burnish.models.load import is_adapter, quiet_transformers, read_config, refuse_remote_code
from burnish.specs.train import LoraSpec, TrainSpec
from burnish.tokens.chat import Renderer
from burnish.train import trackers
from burnish.train.batches import TokenisedRows
from burnish.train.resolve import Machine, ModelShape, Resolved, refuse_without_device, resolve

if TYPE_CHECKING:
    from torch import nn
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

_ROWS_BETWEEN_REPORTS = 2000


def tokenised(
    spec: TrainSpec, ctx: Context, tokenizer: "PreTrainedTokenizerBase"
) -> tuple[TokenisedRows, TokenisedRows | None]:
    """The train split and, where there is one, the validation split, rendered.

    A chat template that was asked for becomes the tokenizer's own: saved with the weights, it is met again in use.

    Errors: MachineError `machine.no-device`, `machine.no-package`; AskError `ask.wrong-value` when an evaluation is
    asked for without validation rows; DataError `data.empty`, `data.nothing-learned`, and what reading and rendering
    raise; RunError `run.interrupted`.
    """
    refuse_without_device(spec.device, Machine.here())  # what can be told at once is told before the long work
    trackers.require(spec.track)
    data, renderer = ctx.input("data"), Renderer(tokenizer, spec.render)
    if spec.render.chat_template is not None:
        tokenizer.chat_template = renderer.template
    has_validation = "validation" in split_names(data)
    if not has_validation:
        _refuse_evaluations(spec)
    rows = _render(renderer, open_rows(data, "train"), "train", ctx)
    if not len(rows):
        raise DataError(
            "data.nothing-learned",
            f"no token of {data.ref} would be learned",
            "look at the rows with burnish inspect; render.train_on says which turns are learned",
        )
    if not has_validation:
        return rows, None
    held_out = _render(renderer, _first(open_rows(data, "validation"), spec), "validation", ctx)
    if not len(held_out):
        _refuse_evaluations(spec)
        return rows, None
    return rows, held_out


def _refuse_evaluations(spec: TrainSpec) -> None:
    """AskError `ask.wrong-value` when an evaluation is asked for; to be called where there are no rows for it."""
    for field in ("eval_every", "early_stop"):
        if getattr(spec, field) is not None:
            raise AskError(
                "ask.wrong-value",
                f"{field} needs validation rows, and the data has none of which anything is learned",
                "give prepare a split with validation rows, or remove the setting",
            )


def resolve_run(
    spec: TrainSpec,
    ctx: Context,
    config: "PretrainedConfig",
    rows: TokenisedRows,
    held_out: TokenisedRows | None,
    trains_all: bool,
) -> Resolved:
    """Every `auto` as a value, told in the events; the threads are set."""
    longest = max(int(split.lengths.max()) for split in (rows, held_out) if split is not None)
    try:
        shape = ModelShape.of(config)
    except (ValueError, AttributeError) as error:
        raise ModelError(
            "model.broken",
            f"a {config.model_type} is no causal language model that transformers knows",
            "choose a model that writes text, such as one of the families qwen3, llama, gemma3 or mistral",
        ) from error
    resolved, chosen = resolve(spec, Machine.here(), shape, longest, trains_all)
    for choice in chosen:
        ctx.emit(choice)
    torch.set_num_threads(resolved.threads)
    return resolved


def config_of(base: Input) -> "PretrainedConfig":
    """The config of a model, or of the model that an adapter stands on.

    Errors: ModelError `model.not-found`, `model.broken`, `model.remote-code`.
    """
    from transformers import AutoConfig

    source = base
    while is_adapter(source.path if isinstance(source, Input) else source):
        source = base_of(source)
    folder = source.path if isinstance(source, Input) else source
    stated = read_config(folder)
    refuse_remote_code(folder / "config.json", stated)
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(
            "model.broken",
            f"{folder / 'config.json'}: transformers knows no such {stated['model_type']} model",
            "upgrade transformers, or choose a model of a family that it knows",
        ) from error


def with_method(model: Any, method: Any) -> "nn.Module":
    """The model made ready for a method: with fresh LoRA matrices on frozen weights, or with every weight trained."""
    if isinstance(method, LoraSpec):
        return attach_lora(model, method)
    return without_adapter(model).requires_grad_(True)


def save(
    model: Any,
    tokenizer: "PreTrainedTokenizerBase",
    base: Input | None,
    ctx: Context,
    measures: dict[str, Any],
) -> Outcome:
    """Write an adapter as PEFT does, or a whole model in safetensors, with its tokenizer and chat template."""
    is_lora = hasattr(model, "peft_config")
    with quiet_transformers():
        if is_lora:
            assert base is not None
            save_adapter(model, ctx.out, base)
        else:
            model.save_pretrained(ctx.out)
        tokenizer.save_pretrained(ctx.out)
    return Outcome("adapter" if is_lora else "model", measures)


def _first(rows: Iterable[dict[str, Any]], spec: TrainSpec) -> Iterable[dict[str, Any]]:
    for number, row in enumerate(rows):
        if spec.eval_rows is not None and number >= spec.eval_rows:
            return
        yield row


def _render(renderer: Renderer, rows: Iterable[dict[str, Any]], split: str, ctx: Context) -> TokenisedRows:
    """Tokens and weights of every row; what was left out, cut or not learned is told aloud."""
    renderer.counts.clear()

    def rendered() -> Iterable[tuple[str, Any, Any]]:
        for row in rows:
            pieces = renderer.render(row)
            for number, piece in enumerate(pieces):
                if piece.weights.any():
                    yield (row["id"] if len(pieces) == 1 else f"{row['id']}#{number + 1}"), piece.ids, piece.weights
            done = renderer.counts["rows"]
            if ctx.stopping:
                raise RunError("run.interrupted", f"stopped after {done:,} rows of {split}", "run it again")
            if done % _ROWS_BETWEEN_REPORTS == 0:
                ctx.emit(Progress(phase=f"tokenise {split}", done=done))

    found = TokenisedRows.of(rendered())
    counts = renderer.counts
    ctx.emit(Progress(phase=f"tokenise {split}", done=counts["rows"], total=counts["rows"]))
    ctx.emit(
        Note(text=f"{split}: {counts['rows']} rows, {len(found.ids)} tokens, of which {found.learned} are learned")
    )
    for sentence in renderer.told():
        ctx.emit(Note(level="warning", text=f"{split}: {sentence}"))
    return found
