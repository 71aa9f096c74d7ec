"""Generates and scores with a GGUF file, by llama.cpp in this process; samples are drawn as by every other engine."""

import codecs
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch

from burnish.core.errors import RunError
from burnish.core.events import Event
from burnish.models.engines.forced import Part, joined, part_of, refuse_rows
from burnish.models.engines.llama.model import LlamaModel
from burnish.models.engines.protocol import Answer, Forced, IntArray, Progress
from burnish.models.engines.room import Rooms
from burnish.models.engines.sampling import Sampling, drawn, log_probs_of, next_tokens
from burnish.specs.evals import GenerationSpec


@dataclass
class _Row:
    """A prompt and its answer so far."""

    room: int
    ids: list[int] = field(default_factory=list[int])
    log_probs: list[float] = field(default_factory=list[float])
    end: int | None = None
    is_stopped: bool = False


class LlamaEngine:
    """Answers with a GGUF file. Answers also end at the tokens that llama.cpp ends at.

    Prompts are read one by one, and answers continued together: log-probabilities are those of an answer alone up to
    the rounding of float32, below 1e-5 nats. Answers of a file in F16 are continued alone.
    """

    def __init__(self, model: LlamaModel, emit: Callable[[Event], None] = lambda event: None):
        self._model, self.context = model, model.context
        self._rooms = Rooms(model.vocabulary, model.context, emit)
        self._own_stops = model.ends()
        is_spaced = model.metadata("tokenizer.ggml.add_space_prefix") != "false"
        self._drops_a_space = model.metadata("tokenizer.ggml.model") == "llama" and is_spaced

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
        outside the vocabulary.
        """
        sampling, width = Sampling.of(spec), spec.batch_size
        rows = [_Row(room) for room in self._rooms.of(prompts, spec.max_new_tokens)]
        seeds = sampling.seeds(prompts) if sampling else []
        progress(0, len(prompts))
        done = 0
        for places in self._batches(prompts, rows, width):
            some, texts = [rows[place] for place in places], [prompts[place] for place in places]
            draws = drawn([seeds[place] for place in places], max(row.room for row in some)) if sampling else None
            for _ in self._decode(some, texts, stop_ids, sampling, draws, log_probs, until):
                pass
            done += len(places)
            progress(done, len(prompts))
        return [
            Answer(row.ids, self.decode(row.ids), "stop" if row.is_stopped else "length", row.end, tuple(row.log_probs))
            for row in rows
        ]

    def stream(self, prompt: Sequence[int], spec: GenerationSpec, stop_ids: Sequence[int]) -> Iterator[str]:
        """As `Engine.stream`: the pieces add up to the answer of `generate` for this prompt."""
        sampling, [room] = Sampling.of(spec), self._rooms.of([prompt], spec.max_new_tokens)
        row = _Row(room)
        draws = sampling.draws([prompt], row.room) if sampling else None
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        shown = 0
        drops = self._drops_a_space
        for _ in self._decode([row], [prompt], stop_ids, sampling, draws, False, ()):
            piece = decoder.decode(b"".join(map(self._model.piece, row.ids[shown:])))
            shown = len(row.ids)
            if drops and piece:
                piece, drops = piece.removeprefix(" "), False
            if piece:
                yield piece
        if held := decoder.decode(b"", True):
            yield held

    def log_probs(
        self, rows: Sequence[Sequence[int]], *, top: int = 1, at: Sequence[IntArray] | None = None
    ) -> Iterator[Forced]:
        """As `Engine.log_probs`.

        Errors: ModelError `model.broken` for ids outside the vocabulary; DataError `data.too-long` for a row beyond
        the context; RunError `run.not-finite` for scores that are NaN or infinite.
        """
        size = self._model.vocabulary
        refuse_rows(rows, size, self.context)
        for number, row in enumerate(rows):
            requested = None if at is None else at[number]
            parts: list[Part] = []
            if len(row) > 1:
                self._model.start(len(row))
                for first, scores in self._model.scores(row[:-1]):
                    last = first + len(scores)
                    logits = torch.from_numpy(scores)
                    self._refuse_not_finite(logits, f"the tokens after position {first + 1} of row {number + 1}")
                    ids = None if requested is None else requested[first:last]
                    parts.append(part_of(logits, row[first + 1 : last + 1], top, ids))
            yield joined(parts, min(top, size) if requested is None else requested.shape[-1], size)

    def decode(self, ids: Sequence[int]) -> str:
        """Ids as text, with special tokens."""
        text = b"".join(map(self._model.piece, ids)).decode(errors="replace")
        return text.removeprefix(" ") if self._drops_a_space else text

    def close(self) -> None:
        self._model.close()

    def _batches(self, prompts: Sequence[Sequence[int]], rows: Sequence[_Row], width: int) -> Iterator[list[int]]:
        """Places of prompts that are answered together, the longest first."""
        waiting = sorted(range(len(rows)), key=lambda place: -(len(prompts[place]) + rows[place].room))
        while waiting:
            needed = len(prompts[waiting[0]]) + rows[waiting[0]].room
            count = min(width, self._model.most_sequences(needed))
            yield waiting[:count]
            waiting = waiting[count:]

    def _decode(
        self,
        rows: Sequence[_Row],
        prompts: Sequence[Sequence[int]],
        stop_ids: Sequence[int],
        sampling: Sampling | None,
        draws: torch.Tensor | None,
        keeps_log_probs: bool,
        until: Sequence[str],
    ) -> Iterator[None]:
        """Extend the answers token by token; yields after each step. `draws` is [rows, longest room]."""
        stops = {*stop_ids, *self._own_stops}
        needed = max(len(prompt) + row.room for prompt, row in zip(prompts, rows, strict=True))
        self._model.start(needed, len(rows))
        logits = torch.cat([self._read(place, prompt) for place, prompt in enumerate(prompts)])
        alive = list(range(len(rows)))
        for step in range(max(row.room for row in rows)):
            tokens = next_tokens(logits, sampling, None if draws is None else draws[alive, step])
            likely = log_probs_of(tokens, logits, sampling).tolist() if keeps_log_probs else None
            still: dict[int, int] = {}
            for number, (place, token) in enumerate(zip(alive, tokens.tolist(), strict=True)):
                row = rows[place]
                if likely is not None:
                    row.log_probs.append(likely[number])
                if token in stops:
                    row.end, row.is_stopped = token, True
                    continue
                row.ids.append(token)
                row.is_stopped = bool(until) and any(text in self.decode(row.ids) for text in until)
                if not row.is_stopped and len(row.ids) < row.room:
                    still[place] = token
            yield
            if not still:
                return
            alive = list(still)
            logits = torch.from_numpy(self._model.next_scores(still))
            self._refuse_not_finite(logits, "the next token")

    def _read(self, place: int, prompt: Sequence[int]) -> torch.Tensor:
        """[1, vocabulary] the scores of the token after a prompt, which is that sequence from now on."""
        [(_, scores)] = self._model.scores(prompt, last_only=True, sequence=place)
        logits = torch.from_numpy(scores).clone()
        self._refuse_not_finite(logits, "the next token")
        return logits

    def _refuse_not_finite(self, logits: torch.Tensor, where: str) -> None:
        if not bool(logits.isfinite().all()):
            raise RunError(
                "run.not-finite",
                f"{self._model.path}: the scores of {where} are NaN or infinite",
                "make the file again with another type, such as BF16",
            )
