"""The tokens of a split: rendered once on all cores, cached in the workspace, and memory-mapped by every training.

A rendering is found by its origin: the rows' bytes, the tokenizer, the settings, and burnish's own code that reads and
renders. It is checked by its digest each time, and made again when it is damaged.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

import burnish.data
import burnish.tokens
from burnish.core import fingerprint
from burnish.core.context import Context, Input
from burnish.core.errors import RunError
from burnish.core.events import Note, Progress
from burnish.core.inputs.checks import refuse_rewritten, stamps
from burnish.data.dataset import is_prepared, open_rows, row_count, split_file
from burnish.data.document import Row
from burnish.stages.tokens import rendering as rendering_module
from burnish.stages.tokens.rendering import LAYOUTS, TEXTS, Layout, RenderedRow, RowRenderer, Tokens
from burnish.tokens.tokenised import Rendering, RenderingWriter, open_rendering, remove_rendering

_LIBRARIES = ("tokenizers", "transformers", "jinja2")
_ROWS_BETWEEN_REPORTS = 2000
_MAX_CACHE_BYTES = 20 * 10**9
"""Older renderings are deleted when all of them take more."""


def tokenised_split(
    renderer: RowRenderer,
    data: Input,
    split: str,
    ctx: Context,
    *,
    layout: Layout = TEXTS,
    processes: int | None = None,
) -> Rendering:
    """The learned sequences of a split's rows; what was left out is in the renderer's counts.

    Raises what reading and rendering raise, and RunError `run.interrupted`.
    """
    before = stamps(data.path)
    origin = origin_of(renderer, data, split, layout)
    folder = _shelf(ctx) / origin[:32]
    with _locked(folder, split, ctx):
        rendering = open_rendering(folder, origin)
        if rendering is not None:
            ctx.emit(Note(text=f"{split}: using the cached tokens in {folder}"))
            for text in rendering.notes:
                ctx.emit(Note(text=text))
            renderer.were_read(rendering.read)
            renderer.counts.clear()
            renderer.counts.update(rendering.counts)
            return rendering
        with RenderingWriter(folder.with_suffix(".partial"), layout.width, layout.values) as writer:
            notes = _render(renderer, data, split, ctx, layout, processes, writer)
            refuse_rewritten(data.ref, before, stamps(data.path))  # the origin identifies the content before
            rendering = writer.publish(folder, origin, renderer.counts, renderer.read, notes)
    _make_room(_shelf(ctx), folder)
    return rendering


def origin_of(renderer: RowRenderer, data: Input, split: str, layout: Layout = TEXTS) -> str:
    """The fingerprint of all that a split's rendering depends on."""
    tokenizer: Any = renderer.tokenizer
    return fingerprint.of_value(
        {
            "rows": fingerprint.of_path(split_file(data.path, split) if is_prepared(data.path) else data.path, {}),
            "split": split,
            "layout": asdict(layout),
            "tokenizer": tokenizer.backend_tokenizer.to_str(),
            "special": {name: str(token) for name, token in tokenizer.special_tokens_map.items()},
            "template": tokenizer.chat_template,
            "date": renderer.date,
            "settings": renderer.spec.model_dump(mode="json"),
            "code": _code(),
            "libraries": {name: version(name) for name in _LIBRARIES},
        }
    )


@cache
def _code() -> str:
    """The fingerprint of the code that turns a file into tokens, so that an upgrade does not reuse older renderings."""
    folders = [Path(room.__path__[0]) for room in (burnish.data, burnish.tokens)]
    files = sorted(file for folder in folders for file in folder.rglob("*") if file.suffix in (".py", ".jinja"))
    files += [Path(rendering_module.__file__), Path(__file__)]
    return fingerprint.of_value([[file.name, fingerprint.of_path(file, {})] for file in files])


def _shelf(ctx: Context) -> Path:
    shelf = ctx.cache / "rendered"
    shelf.mkdir(parents=True, exist_ok=True)
    return shelf


@contextmanager
def _locked(folder: Path, split: str, ctx: Context) -> Iterator[None]:
    """Hold the lock of a rendering: of several runs that need it, one renders and the others wait."""
    lock = FileLock(folder.with_suffix(".lock"))
    waits = False
    while True:
        try:
            lock.acquire(timeout=0.2)
            break
        except Timeout:
            if not waits:
                ctx.emit(Note(text=f"{split}: waiting for another run that is rendering the same rows"))
            waits = True
            _raise_if_stopping(ctx, 0, split)
    try:
        yield
    finally:
        lock.release()


def _render(
    renderer: RowRenderer,
    data: Input,
    split: str,
    ctx: Context,
    layout: Layout,
    processes: int | None,
    writer: RenderingWriter,
) -> list[str]:
    """Add every row to the writer; returns the notes of the reader."""
    notes: list[str] = []

    def report(text: str) -> None:
        notes.append(text)
        ctx.emit(Note(text=text))

    total = row_count(data.path, split) if is_prepared(data.path) else 0
    renderer.counts.clear()
    rows = open_rows(data, split, report=report)
    stream = renderer.stream(rows, lambda row: row, processes=processes, layout=layout)
    for number, (row, rendered) in enumerate(stream):
        assert rendered is not None
        if rendered.error is not None:
            raise rendered.error
        _add_learned(writer, row, number, rendered.pieces, layout)
        done = number + 1
        if done % _ROWS_BETWEEN_REPORTS == 0:
            ctx.emit(Progress(phase=f"tokenise {split}", done=done, total=total))
        _raise_if_stopping(ctx, done, split)
    return notes


def _add_learned(writer: RenderingWriter, row: Row, ordinal: int, pieces: list[Tokens], layout: Layout) -> None:
    """Add what is learned of a row: a group of sequences, or each piece; several pieces of one row are numbered."""
    if layout != TEXTS:
        if pieces:
            writer.add_group(row["id"], ordinal, pieces, layout.values_of(row))
        return
    for number, (ids, weights) in enumerate(pieces, start=1):
        if weights.any():
            writer.add(row["id"] if len(pieces) == 1 else f"{row['id']}#{number}", ordinal, ids, weights)


class KeptTokens:
    """The tokens of the rows that `prepare` keeps, for the trainings that will use the dataset.

    Rows are added as they are rendered, before their splits are known; `publish` sorts them by split.
    """

    def __init__(self, renderer: RowRenderer, ctx: Context):
        self.renderer, self._ctx = renderer, ctx
        self._writers = {
            layout: RenderingWriter(ctx.scratch / "kept-tokens" / layout.kinds[0], layout.width, layout.values)
            for layout in LAYOUTS
        }
        self._layouts: list[Layout | None] = []
        self._counts: dict[int, Mapping[str, int]] = {}  # of rows at which more is counted than the row itself

    def __enter__(self) -> "KeptTokens":
        self._stack = ExitStack()
        for writer in self._writers.values():
            self._stack.enter_context(writer)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def add(self, row: Row, rendered: RenderedRow) -> int:
        """Keep a row's tokens; returns its number for `publish`."""
        number = len(self._layouts)
        layout = next((layout for layout in LAYOUTS if row["kind"] in layout.kinds), None)
        self._layouts.append(layout)
        if layout is not None:
            _add_learned(self._writers[layout], row, number, rendered.pieces, layout)
        if rendered.counts != {"rows": 1}:
            self._counts[number] = rendered.counts
        return number

    def publish(self, dataset: Path, order: Mapping[str, Sequence[int]]) -> None:
        """Keep a rendering of each split that can be trained on; `order` has the numbers of its rows, in their order.

        To be called when the dataset is written.
        """
        kept = {layout: writer.mapped() for layout, writer in self._writers.items()}
        for split, numbers in order.items():
            layouts = {self._layouts[number] for number in numbers}
            layout = layouts.pop()
            if layouts or layout is None:  # no training takes rows of several layouts, or of this kind
                continue
            origin = origin_of(self.renderer, Input("", "dataset", dataset), split, layout)
            folder = _shelf(self._ctx) / origin[:32]
            partial = RenderingWriter(folder.with_suffix(".partial"), layout.width, layout.values)
            with _locked(folder, split, self._ctx), partial as writer:
                _copy_rows(kept[layout], numbers, writer)
                writer.publish(folder, origin, self._counts_of(numbers), self.renderer.read)
            _make_room(_shelf(self._ctx), folder)

    def _counts_of(self, numbers: Sequence[int]) -> Counter[str]:
        counted = [self._counts[number] for number in numbers if number in self._counts]
        total = Counter({"rows": len(numbers) - len(counted)})
        for counts in counted:
            total.update(counts)
        return total


def _copy_rows(kept: Rendering, numbers: Sequence[int], writer: RenderingWriter) -> None:
    """Add the tokens of the rows with these ordinals, in this order."""
    rows = kept.rows
    ends = np.searchsorted(kept.ordinals, np.asarray(numbers)[:, None] + np.array([0, 1]))  # [rows, 2]
    for ordinal, (begin, end) in enumerate(ends.tolist()):
        for row in range(begin, end):
            sequences = [(rows.ids[span], rows.weights[span]) for span in rows.spans(row)]
            values = {name: float(array[row]) for name, array in rows.values.items()}
            writer.add_group(rows.row_ids[row], ordinal, sequences, values)


def _raise_if_stopping(ctx: Context, done: int, split: str) -> None:
    if ctx.stopping:
        raise RunError("run.interrupted", f"stopped after {done:,} rows of {split} were tokenised", "run it again")


def _make_room(shelf: Path, newest: Path) -> None:
    """Delete the renderings that were made first, until the rest fits, and what killed processes left half made.

    A training that maps one keeps its files. Other processes may publish and delete at the same time.
    """
    for partial in shelf.glob("*.partial"):
        with suppress(Timeout), FileLock(partial.with_suffix(".lock"), blocking=False):
            remove_rendering(partial)
    made: list[tuple[int, Path, int]] = []
    for record in shelf.glob("*/rendering.json"):
        with suppress(FileNotFoundError):
            size = sum(file.stat().st_size for file in record.parent.iterdir())
            made.append((record.stat().st_mtime_ns, record.parent, size))
    total = sum(size for _, _, size in made)
    for _, folder, size in sorted(made):
        if total > _MAX_CACHE_BYTES and folder != newest and folder.suffix != ".partial":
            remove_rendering(folder)
            total -= size
