"""pretrain: train a model from random weights, or continue training one, on texts and conversations."""

import copy
from typing import TYPE_CHECKING, Any

from burnish.core.context import Context, Outcome
from burnish.core.errors import AskError
from burnish.models.bases import tokenizer_folder
from burnish.models.quiet import quiet_transformers
from burnish.specs.train import PretrainSpec
from burnish.stages.tokens.rendering import TEXTS
from burnish.stages.train.run import Run
from burnish.tokens.load import load_tokenizer
from burnish.train.fit import seed_everything
from burnish.train.precision import Start

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase


def run(spec: PretrainSpec, ctx: Context) -> Outcome:
    """Train on the train split; save the whole model (or the adapter) with its tokenizer."""
    return Pretraining.of(spec, ctx, TEXTS).train()


class Pretraining(Run):
    """The training of a base, or of a new architecture from random weights."""

    @staticmethod
    def base_tokenizer(spec: Any, ctx: Context) -> "PreTrainedTokenizerBase":
        return load_tokenizer(tokenizer_folder(ctx.input("tokenizer" if spec.tokenizer is not None else "base")))

    @staticmethod
    def config_of(base: Any, spec: Any, tokenizer: "PreTrainedTokenizerBase") -> "PretrainedConfig":
        return new_config(spec, tokenizer) if base is None else Run.config_of(base, spec, tokenizer)

    def start(self) -> Start:
        if self.base is not None:
            return super().start()

        def weights() -> dict[str, "Tensor"]:
            return dict(self.base_model().cpu().named_parameters(remove_duplicate=False))

        return Start(weights, dtype=None, is_rounded=False)

    def base_model(self) -> "PreTrainedModel":
        """Random weights, made in the run's dtype: a cast of a whole model would round its rotary frequencies too."""
        if self.base is not None:
            return super().base_model()
        from transformers import AutoModelForCausalLM

        spec = self.spec
        assert isinstance(spec, PretrainSpec)
        config = copy.deepcopy(new_config(spec, self.tokenizer))
        seed_everything(spec.seed)
        return AutoModelForCausalLM.from_config(config, dtype=self.resolved.dtype).to(self.resolved.device)


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
