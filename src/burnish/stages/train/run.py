"""One training of a model, shared by the training stages: what is trained, on which rows, and how it is written."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.core.context import Context, Outcome
from burnish.models.adapters.new_tokens import TrainedTokens
from burnish.models.bases import tokenizer_folder
from burnish.stages.tokens.rendering import Layout
from burnish.stages.train.training import (
    Keep,
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
from burnish.tokens.tokenised import TokenisedRows
from burnish.train.fit import CAUSAL, Complete, as_they_are, fit, seed_everything
from burnish.train.objectives.objective import Objective
from burnish.train.precision import Start
from burnish.train.proofs.examples import Example, examples_of
from burnish.train.proofs.subject import Known
from burnish.train.resolve import Resolved
from burnish.train.source import Source

if TYPE_CHECKING:
    from torch import nn
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from burnish.specs.train import TrainSpec


@dataclass(frozen=True)
class Run:
    """One training of a base: its rows are rendered, every `auto` is resolved, and no weights are loaded yet."""

    spec: "TrainSpec"
    ctx: Context
    base: Any
    """The `Input` that is trained; None for a new architecture."""
    tokenizer: "PreTrainedTokenizerBase"
    rows: TokenisedRows
    held_out: TokenisedRows | None
    resolved: Resolved
    tokens: TrainedTokens | None
    """Tokens whose embeddings are trained with an adapter."""
    examples: tuple[Example, ...] = ()
    """The first conversations of the train split, as they are served."""

    @classmethod
    def of(cls, spec: Any, ctx: Context, layout: Layout, keep: Keep = lambda *_: None, more_tokens: int = 0) -> "Run":
        """Prepare a training of `spec.base` with `spec.method`, in which rows grow by at most `more_tokens`.

        `keep` is called for each split while its dataset is open. Errors: those of `tokenised` and `resolve_run`.
        """
        base = ctx.input("base") if spec.base is not None else None
        tokenizer = cls.base_tokenizer(spec, ctx)
        tokens = trained_tokens(tokenizer, spec.method, ctx)
        first = first_rows(spec, ctx)
        rows, held_out = tokenised(spec, ctx, tokenizer, layout, keep)
        render = spec.render.model_copy(update={"chat_template": None})  # the tokenizer has it by now
        trains_all = spec.method.kind in ("full", "freeze")
        config = cls.config_of(base, spec, tokenizer)
        resolved = resolve_run(spec, ctx, config, rows, held_out, trains_all, more_tokens)
        return cls(
            spec,
            ctx,
            base,
            tokenizer,
            rows,
            held_out,
            resolved,
            tokens,
            examples_of(first, Renderer(tokenizer, render)),
        )

    def train(
        self,
        objective: Objective = CAUSAL,
        complete: Complete = as_they_are,
        source: Source | None = None,
        model: Any = None,
    ) -> Outcome:
        """Load the base, train it, and save the adapter, or the whole model, with its tokenizer.

        `model` is the result of `made`, if already computed.
        """
        start = self.start()
        model = self.made(self.ctx) if model is None else model
        quiet = replace(self.ctx, emit=lambda event: None)
        known = Known(
            self.tokenizer,
            self.base,
            self.examples,
            make=lambda: self.made(quiet),
            save=self.write,
            is_rounded=start.is_rounded,
        )
        rows, held_out = self.rows, self.held_out
        given = self.resolved, start, objective, complete, known, source
        fitted = fit(self.spec, self.ctx, model, rows, held_out, *given)
        return save(model, self.write, self.ctx, fitted)

    @staticmethod
    def base_tokenizer(spec: Any, ctx: Context) -> "PreTrainedTokenizerBase":
        """The tokenizer before the method adds tokens."""
        return load_tokenizer(tokenizer_folder(ctx.input("base")))

    @staticmethod
    def config_of(base: Any, spec: Any, tokenizer: "PreTrainedTokenizerBase") -> "PretrainedConfig":
        """The config of the model. Errors: those of `config_of`."""
        return config_of(base)

    def start(self) -> Start:
        """The weights before the first step."""
        return start_of(self.base, self.resolved)

    def write(self, model: Any, folder: Path) -> None:
        """Write what is trained to a folder, as the artifact has it."""
        write(model, self.tokenizer, self.base, folder)

    def made(self, ctx: Context) -> "nn.Module":
        """The model before its first step: the seed alone determines the new weights."""
        spec: Any = self.spec
        seed_everything(spec.seed)
        return with_method(self.base_model(), spec.method, ctx, self.tokens)

    def base_model(self) -> "PreTrainedModel":
        """The model that the method prepares."""
        spec: Any = self.spec
        return base_model(self.base, spec.method, self.resolved)
