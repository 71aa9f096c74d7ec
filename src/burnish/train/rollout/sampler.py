"""Samples completions from the model in training, in its weights of now."""

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from burnish.core.errors import MachineError
from burnish.core.events import Note
from burnish.core.faults import first_line, is_out_of_memory
from burnish.models.engines.protocol import Answer
from burnish.models.engines.transformers import TransformersEngine
from burnish.specs.evals import GenerationSpec
from burnish.specs.rl import SamplingSpec
from burnish.train.passes import ForwardPasses

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Sampler:
    """An engine on the model of the passes; the model's own attention is used meanwhile, and dropout is off."""

    def __init__(
        self,
        passes: ForwardPasses,
        tokenizer: "PreTrainedTokenizerBase",
        spec: SamplingSpec,
        stop_ids: Sequence[int],
    ):
        self._passes, self._tokenizer, self._stop_ids = passes, tokenizer, stop_ids
        self.longest, self._top_p, self._top_k = spec.max_new_tokens, spec.top_p, spec.top_k
        self._batch_size = spec.batch_size
        self._engine: TransformersEngine | None = None

    @property
    def stop_ids(self) -> frozenset[int]:
        """Tokens that end a completion: those of the template, and the model's own."""
        own: Any = self._passes.scorer.causal.generation_config.eos_token_id
        return frozenset(self._stop_ids) | frozenset(own if isinstance(own, list) else [] if own is None else [own])

    def text_of(self, ids: Sequence[int]) -> str:
        """Tokens as text, special tokens included."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def shorten(self, most: int) -> None:
        """Sample at most this many tokens of each completion."""
        self.longest = min(self.longest, most)

    def sample(
        self, prompts: Sequence[Sequence[int]], temperature: float, seed: int, progress: Callable[[int, int], None]
    ) -> list[Answer]:
        """A completion of each prompt with its log-probabilities; a repeated prompt gets other random numbers.

        What is sampled is a function of the weights, the seed and the prompts. If memory runs out, fewer are generated
        at once from then on.
        Errors: those of the engine; MachineError `machine.no-memory` when a single one does not fit.
        """
        while True:
            try:
                return self._generate(prompts, temperature, seed, progress)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                reason = first_line(error)
            self._halve(min(self._at_once, len(prompts)), reason)

    @property
    def _at_once(self) -> int:
        limit = self._passes.state.completions_at_once
        return self._batch_size if limit is None else min(limit, self._batch_size)

    def _generate(
        self, prompts: Sequence[Sequence[int]], temperature: float, seed: int, progress: Callable[[int, int], None]
    ) -> list[Answer]:
        settings: dict[str, Any] = {"max_new_tokens": self.longest, "batch_size": self._at_once, "seed": seed}
        if temperature:
            settings |= {"temperature": temperature, "top_p": self._top_p, "top_k": self._top_k}
        forward, emit = self._passes.scorer, self._passes.emit
        with forward.own_attention():
            if self._engine is None:
                self._engine = TransformersEngine(forward.model, self._tokenizer, emit)  # pyright: ignore
            return self._engine.generate(prompts, GenerationSpec(**settings), self._stop_ids, progress, log_probs=True)

    def _halve(self, at_once: int, reason: str) -> None:
        if at_once == 1:
            raise MachineError(
                "machine.no-memory",
                f"memory ran out while a single completion was generated: {reason}",
                "lower generation.max_new_tokens or render.max_length, or use a smaller model",
            )
        self._passes.state.completions_at_once = at_once // 2
        text = f"memory ran out while completions were generated; from now on {at_once // 2} at once ({reason})"
        self._passes.emit(Note(level="warning", text=text))


def seed_of(seed: int, what: str) -> int:
    """A seed for one purpose, such as a rollout."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{what}".encode()).digest()[:8], "little")
