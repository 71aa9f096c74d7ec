"""The engine that runs a model in this process, with a decoding loop of its own over transformers' forward pass.

Its own loop, so that prompts leave the batch as they finish, and that chance belongs to each prompt alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from burnish.core.errors import DataError, ModelError
from burnish.models.engines.detokenize import Detokenizer, decode
from burnish.models.engines.protocol import Answer, Progress
from burnish.models.engines.sampling import Sampling, next_tokens
from burnish.specs.evals import GenerationSpec

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_DROP_BELOW = 0.75
"""Finished prompts leave the batch when fewer than this share are still open: leaving copies the cache."""


def context_of(model: "PreTrainedModel | PeftModel") -> int:
    """The most tokens that a prompt and its answer may have together; 2³⁰ where the config names no limit."""
    return getattr(model.config.get_text_config(), "max_position_embeddings", None) or 1 << 30


@dataclass
class _Open:
    """A prompt that is being answered."""

    place: int
    room: int
    """Tokens that it may still write."""
    ids: list[int] = field(default_factory=list)
    reason: str = ""


class TransformersEngine:
    """Answers with a model that is loaded here (`burnish.models.load.load_model`).

    Answers also end where the model's own generation config ends them.
    `context` is that of `context_of`.
    """

    def __init__(self, model: "PreTrainedModel | PeftModel", tokenizer: "PreTrainedTokenizerBase"):
        self._model, self._tokenizer = model.eval(), tokenizer
        self.context = context_of(model)
        self._vocabulary: int = model.config.get_text_config().vocab_size
        ends = model.generation_config.eos_token_id
        self._own_stops: list[int] = ends if isinstance(ends, list) else [] if ends is None else [ends]

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        spec: GenerationSpec,
        stop_ids: Sequence[int],
        progress: Progress = lambda done, total: None,
    ) -> list[Answer]:
        """As `Engine.generate`; an answer also ends, for length, at the end of the model's context.

        Errors: DataError `data.too-long` for a prompt that fills the context, ModelError `model.broken` for ids
        that the model does not embed.
        """
        sampling, longest, width = Sampling.of(spec), spec.max_new_tokens, spec.batch_size
        rooms = [self._room(prompt, longest) for prompt in prompts]
        draws = sampling.draws(prompts, longest) if sampling and prompts else None
        progress(0, len(prompts))
        order = sorted(range(len(prompts)), key=lambda place: -len(prompts[place]))  # equal lengths need no padding
        answers: dict[int, Answer] = {}
        for start in range(0, len(order), width):
            rows = [_Open(place, rooms[place]) for place in order[start : start + width]]
            mine = None if draws is None else draws[[row.place for row in rows]]
            for _ in self._decode(rows, [prompts[row.place] for row in rows], stop_ids, sampling, mine):
                pass
            for row in rows:
                text = decode(self._tokenizer, row.ids)
                answers[row.place] = Answer(row.ids, text, "stop" if row.reason == "stop" else "length")
            progress(len(answers), len(prompts))
        return [answers[place] for place in range(len(prompts))]

    def stream(self, prompt: Sequence[int], spec: GenerationSpec, stop_ids: Sequence[int]) -> Iterator[str]:
        """As `Engine.stream`: the pieces add up to the text that `generate` gives for this prompt alone."""
        sampling, longest = Sampling.of(spec), spec.max_new_tokens
        row, written = _Open(0, self._room(prompt, longest)), Detokenizer(self._tokenizer)
        draws = sampling.draws([prompt], longest) if sampling else None
        for _ in self._decode([row], [prompt], stop_ids, sampling, draws):
            if row.reason != "stop" and (piece := written.add(row.ids[-1])):
                yield piece
        if held := written.end():
            yield held

    def close(self) -> None:
        del self._model

    def _room(self, prompt: Sequence[int], longest: int) -> int:
        """How many tokens may follow the prompt."""
        if not prompt or max(prompt) >= self._vocabulary or min(prompt) < 0:
            raise ModelError(
                "model.broken",
                f"a prompt is empty or has ids outside the {self._vocabulary} tokens that the model embeds",
                "use the tokenizer that belongs to the model",
            )
        if len(prompt) >= self.context:
            raise DataError(
                "data.too-long",
                f"a prompt has {len(prompt)} tokens, and the model's context is {self.context}",
                "shorten or leave out the row: the model could not answer it",
            )
        return min(longest, self.context - len(prompt))

    def _decode(
        self,
        rows: list[_Open],
        prompts: Sequence[Sequence[int]],
        stop_ids: Sequence[int],
        sampling: Sampling | None,
        draws: torch.Tensor | None,
    ) -> Iterator[None]:
        """Fill `rows` token by token; yields after each step. `draws` is [rows, longest answer]."""
        from transformers import DynamicCache

        device, stops = self._model.device, {*stop_ids, *self._own_stops}
        lengths = torch.tensor([len(prompt) for prompt in prompts])
        total = int(lengths.max())
        ids = torch.zeros(len(prompts), total, dtype=torch.long)
        for number, prompt in enumerate(prompts):
            ids[number, total - len(prompt) :] = torch.tensor(prompt)  # padded on the left
        mask = (torch.arange(total) >= (total - lengths)[:, None]).long()  # [rows, total]
        positions = (mask.cumsum(dim=-1) - 1).clamp(min=0)
        is_padded = not bool(mask.all())
        cache = DynamicCache(config=self._model.config.get_text_config())
        ids, mask, positions = ids.to(device), mask.to(device), positions.to(device)
        draws = None if draws is None else draws.to(device)
        alive = list(rows)
        for step in range(max(row.room for row in rows)):
            logits = self._forward(ids, mask if is_padded else None, positions, cache)  # [alive, vocabulary]
            chosen = next_tokens(logits, sampling, None if draws is None else draws[:, step])
            for row, token in zip(alive, chosen.tolist(), strict=True):
                if row.reason:
                    continue
                if token in stops:
                    row.reason = "stop"
                else:
                    row.ids.append(token)
                    row.reason = "length" if len(row.ids) == row.room else ""
            yield
            still = [number for number, row in enumerate(alive) if not row.reason]
            if not still:
                return
            ids, positions = chosen[:, None], positions[:, -1:] + 1
            mask = torch.cat([mask, mask.new_ones(len(alive), 1)], dim=-1)
            if len(still) < _DROP_BELOW * len(alive):
                keep = torch.tensor(still, device=device)
                cache.batch_select_indices(keep)
                ids, positions, mask = ids[keep], positions[keep], mask[keep]
                draws = None if draws is None else draws[keep]
                alive = [alive[number] for number in still]

    @torch.inference_mode()
    def _forward(
        self, ids: torch.Tensor, mask: torch.Tensor | None, positions: torch.Tensor, cache: object
    ) -> torch.Tensor:
        output = self._model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return output.logits[:, -1].float()
