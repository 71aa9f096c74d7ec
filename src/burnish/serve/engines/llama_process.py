"""The process that answers with a GGUF file: `python -m burnish.serve.engines.llama_process PARENT_PID SETTINGS_JSON`.

Prompts are read in chunks beside the answers under way. A text whose start was read before, such as a conversation,
is read from there on.
"""

import json
import os
import sys
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.core.errors import AskError, BurnishError, MachineError, RunError
from burnish.models.engines.llama.embedding import Embedder
from burnish.models.engines.llama.grammar import Grammar
from burnish.models.engines.llama.model import LlamaModel
from burnish.models.engines.llama.parallel import ParallelContext, Piece, fitting_slots
from burnish.serve.engines.child import News, run_child
from burnish.serve.engines.drawing import Drawing, log_probs
from burnish.serve.engines.protocol import Draw

_CONTEXT = 8192
_MOST_TOKENS = 512
"""Tokens of one step: of prompts, besides one for each answer."""
_FEATURES = ("schema", "log_probs", "embeddings", "adapters", "penalties", "logit_bias", "min_p")


@dataclass
class _Answer:
    """A request, and its text so far: prompt and answer."""

    number: int
    tokens: list[int]
    room: int
    drawing: Drawing
    stops: frozenset[int]
    top: int | None
    adapter: int | None
    """Its C pointer."""
    grammar: Grammar | None


@dataclass
class _Embedding:
    """A request for vectors: those that it has, and what reads its inputs part by part."""

    number: int
    count: int
    parts: Iterator[list[float] | None]
    vectors: list[list[float]] = field(default_factory=list[list[float]])


@dataclass
class _Slot:
    """A text of the context: the tokens read so far, and the answer that it is for."""

    place: int
    read: list[int] = field(default_factory=list[int])
    adapter: int | None = None
    answer: _Answer | None = None
    used: int = 0

    def common(self, answer: _Answer) -> int:
        """How many tokens of the answer's prompt are read already."""
        if self.adapter != answer.adapter:
            return 0
        most = min(len(self.read), len(answer.tokens) - 1)  # the last one is read again, for its scores
        return next((place for place in range(most) if self.read[place] != answer.tokens[place]), most)


class LlamaDecoder:
    """Answers several requests at a time with one model; each has the whole context."""

    def __init__(self, path: Path, *, context: int | None, slots: int, threads: int, adapters: dict[str, Path]):
        """Errors: AskError for a context beyond the model's; MachineError where one text does not fit into memory."""
        self._model = LlamaModel(path, threads=threads)
        self._ends = frozenset(self._model.ends())
        if context is not None and context > self._model.context:
            what = f"context is {context:,}, and {path.name} has {self._model.context:,}"
            raise AskError("ask.wrong-value", what, f"set context to {self._model.context} or less")
        self._size = min(self._model.context, _CONTEXT) if context is None else context
        self._count, self._threads = fitting_slots(self._model, self._size, slots), threads
        self._adapters = {name: self._model.load_adapter(file) for name, file in adapters.items()}
        self._removed: set[int] = set()
        self._waiting: deque[_Answer] = deque()
        self._slots = [_Slot(place) for place in range(self._count)]
        self._embedder: Embedder | None = None
        self._embeddings: deque[_Embedding] = deque()
        self._clock = 0
        self._context = self._new_context()
        self._in_use: int | None = None
        self._turn = 0

    def describe(self) -> dict[str, Any]:
        return {"context": self._size, "features": _FEATURES, "slots": self._count, "ends": sorted(self._ends)}

    def add(self, number: int, request: dict[str, Any]) -> None:
        """Errors: AskError for ids outside the vocabulary, an unknown adapter, and a schema that is no schema."""
        prompt, name, schema = request["prompt"], request.get("adapter"), request.get("schema")
        draw = Draw(**{**request["draw"], "logit_bias": {int(k): v for k, v in request["draw"]["logit_bias"].items()}})
        self._check_ids(prompt, "the prompt")
        self._check_ids(draw.logit_bias, "logit_bias")
        if not 0 < len(prompt) < self._size:
            what = f"the prompt has {len(prompt)} tokens, and the context is {self._size}"
            raise AskError("ask.wrong-value", what, "shorten the prompt")
        adapter = None if name is None else self._adapter(name)
        grammar = None if schema is None else Grammar(self._model, schema, request.get("after", ""))
        room = min(request["max_tokens"], self._size - len(prompt))
        stops = frozenset(request["stop_ids"])
        top = request.get("top_log_probs")
        self._waiting.append(_Answer(number, list(prompt), room, Drawing(draw, prompt), stops, top, adapter, grammar))

    def embed(self, number: int, prompts: list[list[int]]) -> None:
        """Errors: AskError for no inputs, ids outside the vocabulary, and no tokens or too many; MachineError."""
        if not prompts:
            raise AskError("ask.wrong-value", "there is no input", "send one")
        for prompt in prompts:
            self._check_ids(prompt, "an input")
            if not 0 < len(prompt) <= self._size:
                what = f"an input has {len(prompt)} tokens, and the context is {self._size}"
                raise AskError("ask.wrong-value", what, "shorten it")
        if self._embedder is None:
            self._embedder = Embedder(self._model, places=self._size, threads=self._threads)
        self._embeddings.append(_Embedding(number, len(prompts), self._embedder.embed(prompts)))

    def cancel(self, number: int) -> None:
        self._embeddings = deque(one for one in self._embeddings if one.number != number)
        for answer in [answer for answer in self._waiting if answer.number == number]:
            self._waiting.remove(answer)
            if answer.grammar is not None:
                answer.grammar.close()
            self._free_removed()
        for slot in self._slots:
            if slot.answer is not None and slot.answer.number == number:
                self._free(slot)

    def has_work(self) -> bool:
        return bool(self._waiting) or bool(self._embeddings) or any(slot.answer for slot in self._slots)

    def step(self, news: News) -> None:
        """A token of each answer of one adapter, and a part of an input that is embedded."""
        self._embed_a_part(news)
        self._fill_slots()
        working = [slot for slot in self._slots if slot.answer is not None]
        if not working:
            return
        slots = self._of_one_adapter(working)
        pieces = self._pieces(slots)
        try:
            found = self._context.read([piece for _, piece in pieces])
        except BurnishError as error:
            for slot, _ in pieces:
                assert slot.answer is not None
                news.errors.append([slot.answer.number, "failed", error.what])
                self._free(slot)
                self._forget(slot, 0)
            return
        for (slot, piece), scores in zip(pieces, found, strict=True):
            slot.read.extend(piece.tokens)
            if scores is not None:
                self._continue(slot, scores, news)

    def command(self, name: str, request: dict[str, Any]) -> Any:
        """`add_adapter` and `remove_adapter`; both leave the answers under way as they are."""
        adapter = request.get("name", "")
        if name == "add_adapter":
            if adapter in self._adapters:
                raise AskError("ask.wrong-value", f"there is an adapter '{adapter}'", "use another name")
            self._adapters[adapter] = self._loaded(Path(request["path"]))
            return None
        if name == "remove_adapter":
            self._removed.add(self._adapter(adapter))
            del self._adapters[adapter]
            self._free_removed()
            return None
        raise AskError("ask.wrong-value", f"llama.cpp has no command '{name}'", "use another engine")

    def _check_ids(self, ids: Collection[int], what: str) -> None:
        if ids and not 0 <= min(ids) <= max(ids) < self._model.vocabulary:
            fix = f"use ids below {self._model.vocabulary}"
            raise AskError("ask.wrong-value", f"{what} has ids outside the vocabulary", fix)

    def _adapter(self, name: str) -> int:
        if name not in self._adapters:
            raise AskError("ask.wrong-value", f"there is no adapter '{name}'", "load it first")
        return self._adapters[name]

    def _new_context(self) -> ParallelContext:
        most = max(_MOST_TOKENS, self._count)
        return ParallelContext(
            self._model, texts=self._count, places=self._size, threads=self._threads, most_tokens=most
        )

    def _loaded(self, path: Path) -> int:
        """The C pointer of one more adapter. Errors: ModelError; MachineError where there is no memory for it."""
        adapter = self._model.load_adapter(path)
        try:
            self._renew_context()
        except MachineError:
            self._model.free_adapter(adapter)
            try:
                self._renew_context()  # as it was: the answers under way go on
            except MachineError as error:
                raise SystemExit(f"there is no memory for the context any more: {error.what}") from error
            raise
        return adapter

    def _renew_context(self) -> None:
        """llama.cpp plans a context for the adapters that are loaded: what was read is read again in a new one.

        The old one is freed first: there may be no room for both. Errors: MachineError; there is no context then.
        """
        self._context.close()
        self._context = self._new_context()
        self._in_use = None
        for slot in self._slots:
            slot.read.clear()

    def _fill_slots(self) -> None:
        """Give waiting requests the free slots: the one that has read most of the prompt, or else the oldest."""
        while self._waiting and (free := [slot for slot in self._slots if slot.answer is None]):
            answer = self._waiting.popleft()
            slot = max(free, key=lambda slot: (slot.common(answer), -slot.used))
            self._forget(slot, slot.common(answer))
            slot.adapter, slot.answer = answer.adapter, answer

    def _embed_a_part(self, news: News) -> None:
        if not self._embeddings:
            return
        one = self._embeddings[0]
        try:
            vector = next(one.parts)
        except BurnishError as error:
            news.errors.append([one.number, "failed", error.what])
            self._embeddings.popleft()
            return
        if vector is not None:
            one.vectors.append(vector)
        if len(one.vectors) == one.count:
            news.results.append([one.number, one.vectors])
            self._embeddings.popleft()

    def _of_one_adapter(self, slots: list[_Slot]) -> list[_Slot]:
        """Those that are read with the same adapter, in turn: llama.cpp applies adapters to a whole step."""
        adapters = list(dict.fromkeys(slot.adapter for slot in slots))
        self._turn += 1
        adapter = adapters[self._turn % len(adapters)]
        self._use(adapter)
        return [slot for slot in slots if slot.adapter == adapter]

    def _use(self, adapter: int | None) -> None:
        if adapter != self._in_use:
            self._context.use([] if adapter is None else [adapter])
            self._in_use = adapter

    def _pieces(self, slots: list[_Slot]) -> list[tuple[_Slot, Piece]]:
        """One token of each answer under way, then as much of the prompts as fits into a step."""
        room = self._context.most_tokens
        pieces: list[tuple[_Slot, Piece]] = []
        for slot in sorted(slots, key=_left):
            assert slot.answer is not None
            first = len(slot.read)
            tokens = slot.answer.tokens[first : first + room]
            room -= len(tokens)
            if tokens:
                is_last = first + len(tokens) == len(slot.answer.tokens)
                pieces.append((slot, Piece(slot.place, tokens, first, is_last)))
        return pieces

    def _continue(self, slot: _Slot, scores: NDArray[np.float32], news: News) -> None:
        """Draw the next token of an answer; the answer ends at a stop token, at its length, or with its grammar."""
        answer = slot.answer
        assert answer is not None
        if not np.isfinite(scores.max()):
            news.errors.append([answer.number, "failed", "the scores of the next token are NaN or infinite"])
            self._free(slot)
            return
        try:
            token = self._drawn(answer, scores)
        except RunError as error:
            news.errors.append([answer.number, "failed", error.what])
            self._free(slot)
            return
        if token < 0:
            news.ends.append([answer.number, "stop", None, None])
            self._free(slot)
            return
        log_prob, top = (None, ()) if answer.top is None else log_probs(scores, token, answer.top)
        if token in answer.stops or (answer.grammar is not None and token in self._ends):
            news.ends.append([answer.number, "stop", token, log_prob])
            self._free(slot)
            return
        answer.drawing.count(token)
        if answer.grammar is not None:
            answer.grammar.accept(token)
        answer.tokens.append(token)
        answer.room -= 1
        news.tokens.append([answer.number, token, log_prob, top])
        if answer.room <= 0:
            news.ends.append([answer.number, "length", None, None])
            self._free(slot)

    def _drawn(self, answer: _Answer, scores: NDArray[np.float32]) -> int:
        token = answer.drawing.next(scores)
        if answer.grammar is None or answer.grammar.allows(token):
            return token
        return answer.drawing.next(scores, answer.grammar.allowed())

    def _free(self, slot: _Slot) -> None:
        """What the slot has read stays, for a prompt that starts with it."""
        if slot.answer is not None and slot.answer.grammar is not None:
            slot.answer.grammar.close()
        self._clock += 1
        slot.answer, slot.used = None, self._clock
        self._free_removed()

    def _forget(self, slot: _Slot, start: int) -> None:
        if start < len(slot.read) and not self._context.forget(slot.place, start):
            self._context.forget(slot.place, 0)
            start = 0
        del slot.read[start:]

    def _free_removed(self) -> None:
        used = {slot.adapter for slot in self._slots if slot.answer} | {one.adapter for one in self._waiting}
        for adapter in self._removed - used:
            for slot in self._slots:
                if slot.adapter == adapter:
                    self._forget(slot, 0)
                    slot.adapter = None
            if self._in_use == adapter:
                self._use(None)
            self._model.free_adapter(adapter)
            self._removed.discard(adapter)


def _left(slot: _Slot) -> int:
    """Tokens of a slot's answer that are not read."""
    assert slot.answer is not None
    return len(slot.answer.tokens) - len(slot.read)


def main(arguments: list[str]) -> None:
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # at each token the server needs a core, too: never spin
    parent, settings = int(arguments[0]), json.loads(arguments[1])
    paths = {name: Path(path) for name, path in settings.pop("adapters").items()}
    run_child(lambda: LlamaDecoder(Path(settings.pop("path")), adapters=paths, **settings), parent)


if __name__ == "__main__":
    main(sys.argv[1:])
