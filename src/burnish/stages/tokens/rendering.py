"""Rows of every kind as tokens, for the stages that train on them, measure or show them."""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from burnish.core.context import Input
from burnish.core.errors import BurnishError, DataError
from burnish.core.processes import map_in_order, usable_cores
from burnish.data.document import Row, answers_of
from burnish.data.profile import characters
from burnish.data.record import Bad, cut
from burnish.models.bases import tokenizer_folder
from burnish.specs.base import watch
from burnish.specs.tokens import RenderSpec
from burnish.tokens.load import load_tokenizer
from burnish.tokens.rendering.refusals import wrong_kind
from burnish.tokens.rendering.renderer import Rendered, Renderer, prompt_messages

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Tokens = tuple[NDArray[np.int32], NDArray[np.float32]]
"""Ids [T] and weights [T] of a piece."""


@dataclass(frozen=True)
class Layout:
    """Which kinds of rows a training takes, and what each becomes: `width` sequences and some values."""

    kinds: tuple[str, ...]
    width: int = 1
    values: tuple[str, ...] = ()
    is_prompt: bool = False
    """True if only the prompt of a row is rendered, of which nothing is learned."""

    def values_of(self, row: Row) -> dict[str, float]:
        """The values of a row by name: its fields, or else extra columns, 0 where there is none.

        Errors: DataError `data.unknown-format` for a column that is not a finite number.
        """
        return {name: _number(row, name) for name in self.values}


TEXTS = Layout(("chat", "text"))
PAIRS = Layout(("preference",), width=2)
PAIRS_WITH_MARGIN = Layout(("preference",), width=2, values=("margin",))
LABELS = Layout(("label",), values=("label",))
PROMPTS = Layout(("prompt", "chat"), is_prompt=True)
LAYOUTS = (TEXTS, PAIRS, LABELS)


def _number(row: Row, name: str) -> float:
    value = row.get(name, row.get("extra", {}).get(name))
    if value is None:
        return 0.0
    with suppress(TypeError, ValueError):
        if math.isfinite(number := float(value)):
            return number
    raise DataError(
        "data.unknown-format",
        f"the column '{name}' is {value!r}, and a number is expected",
        f"set it to a number, or {name}: false in the training to ignore it",
    ).at(row["source"])


@dataclass(frozen=True)
class RenderedRow:
    """The result of a row: its pieces or its error, and its counts."""

    pieces: list[Tokens]
    counts: Mapping[str, int]
    error: BurnishError | None = None


Item = TypeVar("Item")
_OF_ONE_ROW = ("data.control-token", "model.bad-template")
"""Errors of a single row: it is quarantined, and the other rows are processed."""
_CHUNK_ROWS, _CHUNK_CHARACTERS = 128, 1 << 20


class RowRenderer:
    """Renders rows of every kind with one tokenizer."""

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", spec: RenderSpec):
        self.tokenizer, self.spec = tokenizer, spec
        self._renderer = Renderer(tokenizer, spec)
        self.read: set[str] = set()
        """The settings that took effect in `stream`, or in a rendering that was reused."""

    @classmethod
    def of(cls, tokenizer: Input, spec: RenderSpec) -> "RowRenderer":
        """With the tokenizer of an input: a tokenizer alone, of a model, or of an adapter."""
        return cls(load_tokenizer(tokenizer_folder(tokenizer)), spec)

    @property
    def renderer(self) -> Renderer:
        """The renderer of single rows."""
        return self._renderer

    @property
    def counts(self) -> Counter[str]:
        """The renderer's counts."""
        return self._renderer.counts

    @property
    def template(self) -> str:
        """The chat template's text."""
        return self._renderer.template

    @property
    def date(self) -> str | None:
        """The date that the chat template prints; None where it prints none."""
        return self._renderer.date

    @property
    def template_in_use(self) -> str:
        """The template to save with a model that was trained on what `counts` counted."""
        return self._renderer.template_in_use

    def warnings(self) -> list[str]:
        """Messages with counts of what was left out, cut or not learned."""
        return self._renderer.warnings()

    def pieces(self, row: Row) -> list[Rendered]:
        """The input of a model for a row: its pieces, both answers of a preference, or the prompt alone.

        The list is empty when the row is dropped. Raises what the renderer raises, each naming the row's source.
        """
        if row["kind"] == "prompt":
            text, ids = self._renderer.prompt(row)
            return [Rendered(text, np.array(ids, np.int32), np.zeros(len(ids), np.float32))]
        answers = answers_of(row)
        return self._renderer.render_answers(row, answers) if answers else self._renderer.render(row)

    def to_train(self, row: Row, layout: Layout) -> list[Rendered]:
        """The sequences of a row to train on; empty when it is dropped, or an answer has no learned token.

        Errors: DataError `data.unknown-format` for a row of another kind; those of `pieces`.
        """
        if row["kind"] not in layout.kinds:
            raise wrong_kind(row["kind"], layout.kinds).at(row["source"])
        return self._prompt(row) if layout.is_prompt else self.pieces(row)

    def _prompt(self, row: Row) -> list[Rendered]:
        """The prompt of a row, if it is not too long.

        Errors: DataError `data.unknown-format` for a row of an answer alone, `data.too-long`.
        """
        self.counts["rows"] += 1
        if not prompt_messages(row["messages"]):
            fix = "remove the row, or add the turn that is answered"
            raise DataError("data.unknown-format", "the row has no turn before its answer", fix).at(row["source"])
        text, ids = self._renderer.prompt(row)
        longest, over_length = self.spec.max_length, self.spec.over_length
        if len(ids) <= longest:
            return [Rendered(text, np.array(ids, np.int32), np.zeros(len(ids), np.float32))]
        if over_length == "drop":
            self.counts["dropped"] += 1
            return []
        raise DataError(
            "data.too-long",
            f"the prompt has {len(ids)} tokens, more than render.max_length {longest}",
            "raise render.max_length, or set render.over_length: drop",
        ).at(row["source"])

    def shown(self, piece: Rendered) -> list[tuple[str, float]]:
        """A piece as (token text, weight): weight 0 is not learned."""
        return self._renderer.pieces(piece)

    def stream(
        self,
        items: Iterable[Item],
        row_of: Callable[[Item], Row | None],
        *,
        processes: int | None = None,
        layout: Layout | None = None,
    ) -> Iterator[tuple[Item, RenderedRow | None]]:
        """Each item with its row rendered, in order; with None where `row_of` gives none.

        Long work is shared by `processes`, all cores by default. Counts and reads of settings are those of rendering
        here. A row of a kind that the `layout` of a training does not take is an error.
        """
        made = _Maker(self.tokenizer, self.spec, layout)
        chunks = _Chunks(items, row_of)
        for rows, chunk in map_in_order(made, chunks, processes or usable_cores()):
            self.were_read(chunk.read)
            for item, rendered in zip(chunks.items_of(rows), chunk.results, strict=True):
                if rendered is not None:
                    self.counts.update(rendered.counts)
                yield item, rendered

    def were_read(self, names: Iterable[str]) -> None:
        """Tell the consumption ledger which settings took effect in a rendering made by another run."""
        self.read.update(names)
        for name in names:
            getattr(self.spec, name)


class _Chunks(Generic[Item]):
    """Items grouped into chunks of rows; the items themselves stay in this process."""

    def __init__(self, items: Iterable[Item], row_of: Callable[[Item], Row | None]):
        self._items, self._row_of = items, row_of
        self._held: dict[int, list[Item]] = {}

    def __iter__(self) -> Iterator[list[Row | None]]:
        held, rows, size = [], [], 0
        for item in self._items:
            held.append(item)
            rows.append(self._row_of(item))
            size += characters(row) if (row := rows[-1]) is not None else 0
            if len(rows) >= _CHUNK_ROWS or size >= _CHUNK_CHARACTERS:
                self._held[id(rows)] = held
                yield rows
                held, rows, size = [], [], 0
        if rows:
            self._held[id(rows)] = held
            yield rows

    def items_of(self, rows: list[Row | None]) -> list[Item]:
        """The items of a chunk, once."""
        return self._held.pop(id(rows))


@dataclass(frozen=True)
class _Chunk:
    """The results of a chunk of rows, and the settings that were read."""

    results: list[RenderedRow | None]
    read: frozenset[str]


@dataclass(frozen=True)
class _Maker:
    """Makes the function that renders chunks, in this process or another."""

    tokenizer: "PreTrainedTokenizerBase"
    spec: RenderSpec
    layout: Layout | None

    def __call__(self) -> Callable[[list[Row | None]], _Chunk]:
        renderer, layout = RowRenderer(self.tokenizer, self.spec), self.layout
        pieces = renderer.pieces if layout is None else lambda row: renderer.to_train(row, layout)

        def render(rows: list[Row | None]) -> _Chunk:
            read: set[str] = set()
            unwatch = watch(lambda spec, name: read.add(name) if spec is self.spec else None)
            try:
                results = [None if row is None else _render(renderer, pieces, row) for row in rows]
            finally:
                unwatch()
            return _Chunk(results, frozenset(read))

        return render


def _render(renderer: RowRenderer, pieces_of: Callable[[Row], list[Rendered]], row: Row) -> RenderedRow:
    before = dict(renderer.counts)
    try:
        pieces, error = [(piece.ids, piece.weights) for piece in pieces_of(row)], None
    except BurnishError as raised:
        pieces, error = [], raised
    counts = {name: more for name, count in renderer.counts.items() if (more := count - before.get(name, 0))}
    return RenderedRow(pieces, counts, error)


def length(row: Row, rendered: RenderedRow) -> tuple[int, int] | Bad | None:
    """(tokens, learned tokens) of a row; Bad when it cannot be rendered, None when it is too long and dropped.

    Raises the row's error when it affects other rows too.
    """
    error = rendered.error
    if error is not None:
        if error.code not in _OF_ONE_ROW:
            raise error
        return Bad(row["source"], "", error.reason, cut(json.dumps(row, ensure_ascii=False)))
    if not rendered.pieces:
        return None
    tokens = sum(len(ids) for ids, _ in rendered.pieces)
    return tokens, sum(int(np.count_nonzero(weights)) for _, weights in rendered.pieces)
