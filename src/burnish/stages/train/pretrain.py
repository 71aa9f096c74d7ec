"""pretrain: train a model from random weights, or continue training one, on texts and conversations."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.core.context import Context, Outcome
from burnish.core.errors import AskError
from burnish.models.bases import tokenizer_folder
from burnish.models.quiet import quiet_transformers
from burnish.specs.train import PretrainSpec
from burnish.stages.train.training import (
    base_model,
    config_of,
    first_rows,
    resolve_run,
    save,
    start_of,
    tokenised,
    trained_tokens,
    with_method,
    write,
)
from burnish.tokens.load import load_tokenizer
from burnish.tokens.rendering.renderer import Renderer
from burnish.train.fit import fit, seed_everything
from burnish.train.precision import Start
from burnish.train.proofs.examples import examples_of
from burnish.train.proofs.subject import Known
from burnish.train.resolve import Resolved

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase


def run(spec: PretrainSpec, ctx: Context) -> Outcome:
    """Train on the train split; save the whole model (or the adapter) with its tokenizer."""
    base = ctx.input("base") if spec.base is not None else None
    tokenizer = load_tokenizer(tokenizer_folder(ctx.input("tokenizer" if spec.tokenizer is not None else "base")))
    tokens = trained_tokens(tokenizer, spec.method, ctx)
    first = first_rows(spec, ctx)
    rows, held_out = tokenised(spec, ctx, tokenizer)
    config = config_of(base) if base is not None else new_config(spec, tokenizer)
    resolved = resolve_run(spec, ctx, config, rows, held_out, spec.method.kind in ("full", "freeze"))

    def made(ctx: Context) -> "nn.Module":
        seed_everything(spec.seed)
        model = _new_model(config, resolved, spec.seed) if base is None else base_model(base, spec.method, resolved)
        return with_method(model, spec.method, ctx, tokens)

    def written(model: Any, folder: Path) -> None:
        write(model, tokenizer, base, folder)

    start = _start_of_new(config, resolved, spec.seed) if base is None else start_of(base, resolved)
    quiet = replace(ctx, emit=lambda event: None)
    shown = examples_of(first, Renderer(tokenizer, spec.render.model_copy(update={"chat_template": None})))
    known = Known(tokenizer, base, shown, lambda: made(quiet), written, start.is_rounded)
    model = made(ctx)
    fitted = fit(spec, ctx, model, rows, held_out, resolved, start, known=known)
    return save(model, written, ctx, fitted)


def _new_model(config: "PretrainedConfig", resolved: Resolved, seed: int) -> "PreTrainedModel":
    """Random weights, made in the run's dtype: a cast of a whole model would round its rotary frequencies too."""
    from transformers import AutoModelForCausalLM

    seed_everything(seed)
    return AutoModelForCausalLM.from_config(copy.deepcopy(config), dtype=resolved.dtype).to(resolved.device)


def _start_of_new(config: "PretrainedConfig", resolved: Resolved, seed: int) -> Start:
    def weights() -> dict[str, "Tensor"]:
        return dict(_new_model(config, resolved, seed).cpu().named_parameters(remove_duplicate=False))

    return Start(weights, dtype=None, is_rounded=False)


def new_config(spec: PretrainSpec, tokenizer: "PreTrainedTokenizerBase") -> "PretrainedConfig":
    """The config of a new architecture; vocabulary and special tokens are the tokenizer's unless given.

    Errors: AskError `ask.missing-key` without a model_type, `ask.wrong-value` when transformers refuses the config.
    """
    from transformers import AutoConfig

    settings = dict(spec.architecture or {})
    family = settings.pop("model_type", None)
    if family is None:
        raise AskError("ask.missing-key", "architecture has no model_type", "add one, such as model_type: qwen3")
    known = {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    try:
        with quiet_transformers():
            return AutoConfig.for_model(family, **{**known, **settings})
    except (ValueError, TypeError, KeyError) as error:
        raise AskError(
            "ask.wrong-value",
            f"transformers refuses the architecture: {error}",
            f"see the config of {family} in the documentation of transformers",
        ) from error
