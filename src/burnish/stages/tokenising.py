"""The tokens of a split: rendered once on all cores, kept in the workspace's cache, and mapped by every training.

A rendering is found by its origin: the rows' bytes, the tokenizer, the settings, and burnish's own code that reads and
renders. It is checked by its digest each time, and made anew when it is damaged.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

import burnish.data
import burnish.tokens
from burnish.core import fingerprint
from burnish.core.context import Context, Input
from burnish.core.errors import BurnishError, RunError
from burnish.core.events import Note, Progress
from burnish.data.dataset import is_prepared, open_rows, row_count, split_file
from burnish.data.document import Row
from burnish.stages.rendering import RowRenderer, Tokens
from burnish.tokens.tokenised import Rendering, RenderingWriter, open_rendering, remove_rendering

_LIBRARIES = ("tokenizers", "transformers", "jinja2")
_ROWS_BETWEEN_REPORTS = 2000
_MAX_CACHE_BYTES = 20 * 10**9
"""Older renderings are deleted when all of them take more."""


def tokenised_split(
    renderer: RowRenderer, data: Input, split: str, ctx: Context, *, processes: int | None = None
) -> Rendering:
    """The learned pieces of a split's chat and text rows; what was left out is in the renderer's counts.

    Raises what reading and rendering raise, and RunError `run.interrupted`.
    """
    origin = origin_of(renderer, data, split)
    folder = _shelf(ctx) / origin[:32]
    with _alone(folder, split, ctx):
        rendering = open_rendering(folder, origin)
        if rendering is not None:
            ctx.emit(Note(text=f"{split}: the tokens of an earlier rendering are used, {folder}"))
            renderer.were_read(rendering.read)
            renderer.counts.clear()
            renderer.counts.update(rendering.counts)
            return rendering
        rendering = _render(renderer, data, split, ctx, processes, folder, origin)
    _make_room(_shelf(ctx), folder)
    return rendering


def origin_of(renderer: RowRenderer, data: Input, split: str) -> str:
    """The fingerprint of all that a split's rendering depends on."""
    tokenizer: Any = renderer.tokenizer
    return fingerprint.of_value(
        {
            "rows": fingerprint.of_path(split_file(data.path, split) if is_prepared(data.path) else data.path, {}),
            "split": split,
            "tokenizer": tokenizer.backend_tokenizer.to_str(),
            "special": {name: str(token) for name, token in tokenizer.special_tokens_map.items()},
            "template": tokenizer.chat_template,
            "settings": renderer.spec.model_dump(mode="json"),
            "code": _code(),
            "libraries": {name: version(name) for name in _LIBRARIES},
        }
    )


@cache
def _code() -> str:
    """The fingerprint of the code that turns a file into tokens, so that no upgrade reuses what older code made."""
    folders = [Path(room.__path__[0]) for room in (burnish.data, burnish.tokens)]
    files = sorted(file for folder in folders for file in folder.rglob("*") if file.suffix in (".py", ".jinja"))
    return fingerprint.of_value([[file.name, fingerprint.of_path(file, {})] for file in files])


def _shelf(ctx: Context) -> Path:
    shelf = ctx.cache / "rendered"
    shelf.mkdir(parents=True, exist_ok=True)
    return shelf


@contextmanager
def _alone(folder: Path, split: str, ctx: Context) -> Iterator[None]:
    """Hold the lock of a rendering: of several runs that need it, one makes it and the others wait."""
    lock = FileLock(folder.with_suffix(".lock"))
    waits = False
    while True:
        try:
            lock.acquire(timeout=0.2)
            break
        except Timeout:
            if not waits:
                ctx.emit(Note(text=f"{split}: waiting for another run that renders the same rows"))
            waits = True
            _heed_a_stop(ctx, 0, split)
    try:
        yield
    finally:
        lock.release()


def _render(
    renderer: RowRenderer, data: Input, split: str, ctx: Context, processes: int | None, folder: Path, origin: str
) -> Rendering:
    total = row_count(data.path, split) if is_prepared(data.path) else 0
    done = 0
    renderer.counts.clear()
    with RenderingWriter(folder.with_suffix(".partial")) as writer:
        rows = open_rows(data, split)
        for row, tokens in renderer.stream(rows, lambda row: row, processes=processes, to_train=True):
            if isinstance(tokens, BurnishError):
                raise tokens
            add_learned(writer, row, done, tokens)
            done += 1
            if done % _ROWS_BETWEEN_REPORTS == 0:
                ctx.emit(Progress(phase=f"tokenise {split}", done=done, total=total))
            _heed_a_stop(ctx, done, split)
        return writer.publish(folder, origin, renderer.counts, renderer.read)


def add_learned(writer: RenderingWriter, row: Row, ordinal: int, tokens: list[Tokens]) -> None:
    """Add the pieces of a row of which something is learned; the pieces of a row that was split are numbered."""
    for number, (ids, weights) in enumerate(tokens, start=1):
        if weights.any():
            writer.add(row["id"] if len(tokens) == 1 else f"{row['id']}#{number}", ordinal, ids, weights)


def _heed_a_stop(ctx: Context, done: int, split: str) -> None:
    if ctx.stopping:
        raise RunError("run.interrupted", f"stopped after {done:,} rows of {split} were tokenised", "run it again")


def _make_room(shelf: Path, newest: Path) -> None:
    """Delete the renderings that were made first, until the rest fits; a training that maps one keeps its files."""
    made = {
        folder: sum(file.stat().st_size for file in folder.iterdir())
        for folder in sorted(shelf.iterdir(), key=lambda folder: folder.stat().st_mtime_ns)
        if (folder / "rendering.json").is_file()
    }
    for folder in list(made):
        if folder != newest and sum(made.values()) > _MAX_CACHE_BYTES:
            remove_rendering(folder)
            del made[folder]
