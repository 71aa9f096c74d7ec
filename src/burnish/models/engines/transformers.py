"""Generates in this process with its own decoding loop over transformers' forward pass.

The loop is our own so that finished prompts leave the batch, and randomness depends on each prompt alone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from burnish.core.events import Chosen, Event, Note
from burnish.models.engines.detokenize import Detokenizer, decode
from burnish.models.engines.forced import forced_log_probs
from burnish.models.engines.protocol import Answer, Forced, IntArray, Progress
from burnish.models.engines.room import Rooms
from burnish.models.engines.sampling import Sampling, drawn, log_probs_of, next_tokens
from burnish.models.engines.ways import WAYS, Way, context_of, find_way, reach_of, refuse_not_finite
from burnish.models.probing import causal_model
from burnish.models.quiet import quiet_transformers
from burnish.specs.evals import GenerationSpec

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_VALUES = {"padded": "own cache", "equal": "equal lengths", "single": "one prompt at a time"}
_DROP_BELOW = 0.75
"""Finished prompts leave the batch when the unfinished share falls below this: leaving copies the cache."""

_LEEWAY = 4
"""Tokens decoded before a text that ends an answer: the first ones of a list may decode differently."""


_PLAIN_SETTINGS = {
    "repetition_penalty": (None, 1.0),
    "no_repeat_ngram_size": (None, 0),
    "encoder_repetition_penalty": (None, 1.0),
    "bad_words_ids": (None,),
    "sequence_bias": (None,),
    "suppress_tokens": (None, []),
    "begin_suppress_tokens": (None, []),
    "forced_bos_token_id": (None,),
    "forced_eos_token_id": (None,),
    "num_beams": (None, 1),
    "min_length": (None, 0),
    "min_new_tokens": (None, 0),
    "encoder_no_repeat_ngram_size": (None, 0),
    "stop_strings": (None, [], ""),
    "exponential_decay_length_penalty": (None,),
    "guidance_scale": (None, 1.0),
    "watermarking_config": (None,),
    "token_healing": (None, False),
    "max_time": (None,),
    "penalty_alpha": (None, 0.0),
    "dola_layers": (None,),
    "constraints": (None,),
    "force_words_ids": (None,),
}
"""Settings of a generation config that change even the greedy answer, with their neutral values."""


_SAMPLE_SETTINGS = {
    "min_p": (None, 0.0),
    "top_h": (None, 1.0),
    "typical_p": (None, 1.0),
    "epsilon_cutoff": (None, 0.0),
    "eta_cutoff": (None, 0.0),
}
"""Settings that change a sample only."""
_OWN_SAMPLE_SETTINGS = {"top_k": (None, 0), "top_p": (None, 1.0)}
"""Those of them that burnish has, too: its own values decide."""


def _ignored_settings(model: "PreTrainedModel", neutral: Mapping[str, tuple[Any, ...]] = _PLAIN_SETTINGS) -> str:
    """Settings of the model's generation config that would change an answer and are not supported here."""
    config = model.generation_config
    found = {name: getattr(config, name, None) for name in neutral}
    return ", ".join(f"{name} {value}" for name, value in found.items() if value not in neutral[name])


@dataclass
class _Open:
    """A prompt and its answer so far."""

    place: int
    room: int
    """Tokens that it may still generate."""
    ids: list[int] = field(default_factory=list)
    reason: str = ""
    end: int | None = None
    log_probs: list[float] = field(default_factory=list)


class TransformersEngine:
    """Answers with a model loaded in this process (`burnish.models.load.load_model`).

    Answers also end at the stop tokens of the model's generation config. `context` is that of `context_of`. How the
    model is run is tested once (`ways`); a way slower than the default is reported as Chosen `generation`.

    Errors: ModelError `model.unsupported` for a model that cannot reproduce transformers' own `generate`.
    """

    def __init__(
        self,
        model: "PreTrainedModel | PeftModel",
        tokenizer: "PreTrainedTokenizerBase",
        emit: Callable[[Event], None] = lambda event: None,
    ):
        self._model, self._tokenizer = causal_model(model).eval(), tokenizer
        self.context = context_of(self._model)
        self._vocabulary: int = self._model.config.get_text_config().vocab_size
        ends = self._model.generation_config.eos_token_id
        self._own_stops: list[int] = ends if isinstance(ends, list) else [] if ends is None else [ends]
        if ignored := _ignored_settings(self._model):
            text = f"the model's generation config sets {ignored}, which burnish does not apply"
            emit(Note(level="warning", text=text))
        self._way, reason = find_way(self._model)
        if self._way != WAYS[0]:
            emit(
                Chosen(
                    field="generation",
                    value=_VALUES[self._way.batch],
                    reason=f"{self._model.config.model_type}: {reason}",
                )
            )
        self._reach, self._emit = reach_of(self._model), emit
        self._rooms = Rooms(self._vocabulary, self.context, emit)
        self._has_sampled = False

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        spec: GenerationSpec,
        stop_ids: Sequence[int],
        progress: Progress = lambda done, total: None,
        *,
        log_probs: bool = False,
        until: Sequence[str] = (),
    ) -> list[Answer]:
        """As `Engine.generate`; an answer also ends at the end of the model's context.

        Errors: DataError `data.too-long` for a prompt that fills the context, ModelError `model.broken` for ids
        outside the model's embedding.
        """
        sampling, width = self._sampling(spec), spec.batch_size
        rooms = self._rooms.of(prompts, spec.max_new_tokens)
        seeds = sampling.seeds(prompts) if sampling else []
        progress(0, len(prompts))
        far = sum(len(prompt) + room > self._reach for prompt, room in zip(prompts, rooms, strict=True))
        if far and self._way != WAYS[-1]:
            text = (
                f"{far} prompts may exceed {self._reach} tokens, where layers of this model change; each is run alone"
            )
            self._emit(Note(text=text))
        answers: dict[int, Answer] = {}
        for way, places in self._batches(prompts, rooms, width):
            rows = [_Open(place, rooms[place]) for place in places]
            draws = drawn([seeds[place] for place in places], max(row.room for row in rows)) if sampling else None
            batch = [prompts[place] for place in places]
            for _ in self._decode(way, rows, batch, stop_ids, sampling, draws, log_probs, until):
                pass
            for row in rows:
                reason = "stop" if row.reason == "stop" else "length"
                text = decode(self._tokenizer, row.ids)
                answers[row.place] = Answer(row.ids, text, reason, row.end, tuple(row.log_probs))
            progress(len(answers), len(prompts))
        return [answers[place] for place in range(len(prompts))]

    def stream(self, prompt: Sequence[int], spec: GenerationSpec, stop_ids: Sequence[int]) -> Iterator[str]:
        """As `Engine.stream`: the pieces add up to the answer of `generate` for this prompt."""
        sampling, [room] = self._sampling(spec), self._rooms.of([prompt], spec.max_new_tokens)
        row, written = _Open(0, room), Detokenizer(self._tokenizer)
        draws = sampling.draws([prompt], room) if sampling else None
        [(way, _)] = self._batches([prompt], [row.room], 1)
        for _ in self._decode(way, [row], [prompt], stop_ids, sampling, draws):
            if row.reason != "stop" and (piece := written.add(row.ids[-1])):
                yield piece
        if held := written.end():
            yield held

    def log_probs(
        self, rows: Sequence[Sequence[int]], *, top: int = 1, at: Sequence[IntArray] | None = None
    ) -> Iterator[Forced]:
        """As `Engine.log_probs`; see `forced_log_probs` for the errors."""
        return forced_log_probs(self._model, rows, top=top, at=at)

    def close(self) -> None:
        del self._model

    def _sampling(self, spec: GenerationSpec) -> Sampling | None:
        """The requested sampling; reports once which settings of the model's generation config it leaves out."""
        sampling = Sampling.of(spec)
        if sampling is None or self._has_sampled:
            return sampling
        self._has_sampled = True
        own = {name: neutral for name, neutral in _OWN_SAMPLE_SETTINGS.items() if name not in spec.model_fields_set}
        config = "generation config"
        if ignored := _ignored_settings(self._model, _SAMPLE_SETTINGS):
            text = f"when sampling, the model's {config} sets {ignored}, which burnish does not apply"
            self._emit(Note(level="warning", text=text))
        if ignored := _ignored_settings(self._model, own):
            text = f"when sampling, the settings of the model's {config} are used only if they are set: {ignored}"
            self._emit(Note(level="warning", text=text))
        return sampling

    def _batches(
        self, prompts: Sequence[Sequence[int]], rooms: Sequence[int], width: int
    ) -> Iterator[tuple[Way, list[int]]]:
        """Indices of prompts that are answered together, from the longest to the shortest, and how to run them."""
        together: list[int] = []
        for place in sorted(range(len(prompts)), key=lambda place: -len(prompts[place])):
            if len(prompts[place]) + rooms[place] > self._reach:
                yield WAYS[-1], [place]
                continue
            fits = self._way.batch == "padded" or (together and len(prompts[together[0]]) == len(prompts[place]))
            if together and (not fits or len(together) == width or self._way.batch == "single"):
                yield self._way, together
                together = []
            together.append(place)
        if together:
            yield self._way, together

    def _decode(
        self,
        way: Way,
        rows: list[_Open],
        prompts: Sequence[Sequence[int]],
        stop_ids: Sequence[int],
        sampling: Sampling | None,
        draws: torch.Tensor | None,
        keeps_log_probs: bool = False,
        until: Sequence[str] = (),
    ) -> Iterator[None]:
        """Extend `rows` token by token; yields after each step. `draws` is [rows, longest room]."""
        device, stops = self._model.device, {*stop_ids, *self._own_stops}
        draws = None if draws is None else draws.to(device)
        alive, chosen = list(rows), None
        with quiet_transformers():
            steps = way.start(self._model, prompts)
        for step in range(max(row.room for row in rows)):
            logits = steps.logits(chosen)  # [alive, vocabulary]
            refuse_not_finite(self._model, logits, f"token {step + 1} of an answer")
            chosen = next_tokens(logits, sampling, None if draws is None else draws[:, step])
            likely = log_probs_of(chosen, logits, sampling).tolist() if keeps_log_probs else None
            for place, (row, token) in enumerate(zip(alive, chosen.tolist(), strict=True)):
                if row.reason:
                    continue
                if likely is not None:
                    row.log_probs.append(likely[place])
                if token in stops:
                    row.reason, row.end = "stop", token
                else:
                    row.ids.append(token)
                    row.reason = "stop" if self._completes(until, row.ids) else ""
                    row.reason = row.reason or ("length" if len(row.ids) == row.room else "")
            yield
            still = [number for number, row in enumerate(alive) if not row.reason]
            if not still:
                return
            if steps.leaving and len(still) < _DROP_BELOW * len(alive):
                keep = torch.tensor(still, device=device)
                steps.keep(keep)
                chosen, draws = chosen[keep], None if draws is None else draws[keep]
                alive = [alive[number] for number in still]

    def _completes(self, until: Sequence[str], ids: list[int]) -> bool:
        """Whether the last token completes one of the texts: a token has at least one byte of them."""
        if not until:
            return False
        end = decode(self._tokenizer, ids[-max(len(text.encode()) for text in until) - _LEEWAY :])
        return any(text in end for text in until if text)
