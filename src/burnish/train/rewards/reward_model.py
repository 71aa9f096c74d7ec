"""A reward by a reward model: a sequence classifier with one label that reads the prompt and the answer."""

from collections.abc import Sequence
from typing import Any

import torch

from burnish.core.context import Input
from burnish.core.errors import BurnishError, ModelError
from burnish.models.bases import tokenizer_folder
from burnish.models.device import inference_dtype
from burnish.models.engines.ways import context_of
from burnish.models.reward import load_reward_model
from burnish.specs.rewards import RewardModelReward
from burnish.specs.tokens import RenderSpec
from burnish.tokens.load import load_tokenizer
from burnish.tokens.rendering.renderer import Renderer
from burnish.train.rewards.reward import Completion, Rewarded, bad_reward

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class RewardModel:
    """The model's logit for the conversation that ends with the answer, without its reasoning, in its own template.

    Conversations are scored one at a time: padding and other answers in a batch would change a score by rounding.

    Errors: those of loading a model and a tokenizer; ModelError `model.no-template`.
    """

    def __init__(self, spec: RewardModelReward, name: str, model: Input, device: str | torch.device, date: str):
        self.name, self.weight = name, spec.weight
        device = torch.device(device)
        tokenizer = load_tokenizer(tokenizer_folder(model))
        if tokenizer.chat_template is None:
            what = f"{model.ref}: the reward model has no chat template"
            raise ModelError("model.no-template", what, "use a reward model whose tokenizer has one")
        dtype = inference_dtype(device) if spec.dtype == "auto" else _DTYPES[spec.dtype]
        self._model: Any = load_reward_model(model, dtype=dtype, device=device)
        context = context_of(self._model)
        self.longest = context if spec.max_length is None else min(context, spec.max_length)
        self._renderer = Renderer(
            tokenizer, RenderSpec(train_on="all", max_length=self.longest, over_length="drop", date=date)
        )

    def __call__(self, completions: Sequence[Completion]) -> list[Rewarded]:
        scores: dict[tuple[int, ...], float] = {}
        return [self._rewarded(completion, scores) for completion in completions]

    def close(self) -> None:
        """Free the model's memory."""
        self._model = None

    def _rewarded(self, completion: Completion, scores: dict[tuple[int, ...], float]) -> Rewarded:
        try:
            ids = self.ids(completion)
        except BurnishError as error:
            if error.code != "data.control-token":
                raise
            return Rewarded(None, f"the answer cannot be shown to the reward model: {error.reason}")
        if ids is None:
            why = f"prompt and answer are longer than {self.longest:,} tokens"
            return Rewarded(None, why, "raise max_length of the reward, or lower max_new_tokens")
        if ids not in scores:
            scores[ids] = self._score(ids)
            if scores[ids] != scores[ids] or abs(scores[ids]) == float("inf"):
                raise bad_reward(self.name, f"gave {scores[ids]} for row {completion.place}")
        return Rewarded(scores[ids], f"{len(ids):,} tokens")

    def ids(self, completion: Completion) -> tuple[int, ...] | None:
        """The tokens that are scored: the whole conversation; None if it is too long."""
        messages = [*completion.prompt, {"role": "assistant", "content": completion.visible}]
        row = {"kind": "chat", "messages": messages, "source": completion.place}
        if completion.row.get("tools"):
            row["tools"] = completion.row["tools"]
        rendered = self._renderer.render(row)
        return tuple(int(token) for token in rendered[0].ids) if rendered else None

    @torch.inference_mode()
    def _score(self, ids: tuple[int, ...]) -> float:
        tokens = torch.tensor([ids], device=self._model.device)
        return float(self._model(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits[0, 0])
