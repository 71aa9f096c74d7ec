"""Answers the questions of `burnish.studio.datasets` about the rows of a dataset, one after the other.

`describe` counts, `rows` gives a page, `preview` a page as a training sees it, `line` where a row lies in its file.
"""

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.core.context import Input
from burnish.core.errors import AskError, BurnishError, DataError
from burnish.core.fingerprint import stamp_of
from burnish.core.naming import nearest
from burnish.data.dataset import is_prepared, row_count, splits
from burnish.data.files.opening import is_plain, opened_between
from burnish.data.mapping import Found, Mapped, detect, map_rows, renamed
from burnish.data.paging.index import PageIndex, described, kept_index, open_index
from burnish.data.paging.pages import Budget, Shown, as_json, head, page, prepared_page
from burnish.data.reader import read
from burnish.data.readers.json_lines import as_object, read_json_lines
from burnish.data.record import Bad, ReadReport, Record, RowError, check_size
from burnish.data.sources.listing import find_files
from burnish.specs.tokens import RenderSpec
from burnish.stages.answer import answer_each

if TYPE_CHECKING:
    from burnish.stages.tokens.rendering import RowRenderer

_QUICK_ROWS, _QUICK_BYTES = 1_000, 4 << 20
"""Rows before this one are given without an index, of a source that is larger than this."""
_MOST_TOKENS = 20_000
_LEARNS = {"preference": "dpo", "compared": "dpo", "scored": "dpo", "kto": "kto", "label": "kto"}
Request = Mapping[str, Any]


def describe(request: Request) -> dict[str, Any]:
    """Counts of rows, columns and layout. A layout that is unknown is said in `layout.error`."""
    path = Path(request["path"])
    if is_prepared(path):
        counts = {split: {"rows": row_count(path, split), "bad": 0} for split in splits(path)}
        layout = {"format": "prepared", "reason": "it has stats.json", "error": None, **_training(_first_kind(path))}
        rows = sum(count["rows"] for count in counts.values())
        return {"rows": rows, "bad": 0, "splits": counts, "layout": layout, "columns": [], "notes": []}
    index = _index(request)
    try:
        found = _layout(request)
        layout = {"format": found.format.name, "reason": found.reason, "error": None, **_training(found.format.name)}
    except DataError as error:
        layout = {"format": None, "reason": error.reason, "error": error.as_dict(), **_training("")}
    return {**described(index), "layout": layout, "notes": index.notes}


def _training(rows: str) -> dict[str, str]:
    """The stage that learns from rows of a format, or of a kind where they are prepared, and the recipe that shows it
    on a file of one's own. Rows that cannot be told from others are examples."""
    stage = _LEARNS.get(rows, "sft")
    return {"stage": stage, "recipe": "first-adapter" if stage == "sft" else stage}


def _first_kind(folder: Path) -> str:
    page = (prepared_page(folder, split, 0, 1) for split in splits(folder))
    return next((shown.item.raw["kind"] for found in page for shown in found if isinstance(shown.item, Record)), "")


def rows(request: Request) -> dict[str, Any]:
    """A page of rows: `rows`, the `total` of the split (None while it is unknown), and the names of all splits."""
    split, offset, shown = _page(request)
    whole = bool(request.get("whole")) and len(shown) <= 1
    total, names = _total(request, split)
    budget = Budget(len(shown))
    listed = [as_json(one, budget, whole=whole) for one in shown]
    return {"rows": listed, "split": split, "offset": offset, "total": total, "splits": names}


def preview(request: Request) -> dict[str, Any]:
    """A page of rows as conversations, with the tokens that a training would see, each with its weight.

    A row that cannot be used has an `error`; `pieces` are lists of (text, weight), where 0 is not learned.
    """
    split, offset, shown = _page(request)
    is_ready = is_prepared(Path(request["path"]))
    found = None if is_ready else _layout(request)
    renderer = _renderer(request)
    budget = Budget(len(shown))
    listed = [_previewed(one, found, request, renderer, budget) for one in shown]
    total, names = _total(request, split)
    layout = None if found is None else {"format": found.format.name, "reason": found.reason}
    return {"rows": listed, "split": split, "offset": offset, "total": total, "splits": names, "layout": layout}


def line(request: Request) -> dict[str, Any]:
    """Where a row of a JSON Lines file lies: `start` and `size` in bytes, and its `source`; `stamp` is that of the file
    in which it was found (see `stamp_of`).

    A new `value` is checked as a row of that file. Errors: AskError `ask.wrong-value` for a file of another kind, and
    for a value that is no row of the file's layout; `ask.bad-reference` for a row that is not there.
    """
    path, number = Path(request["path"]), int(request["row"])
    stamp = stamp_of(path.stat()) if path.is_file() else []
    (file,) = find_files(path, ReadReport())
    if file.read is not read_json_lines or not is_plain(path, ReadReport()):
        fix = "convert it to JSON Lines in UTF-8, and upload that"
        raise AskError("ask.wrong-value", f"{path.name} is not JSON Lines in plain UTF-8, and cannot be edited", fix)
    index = _index(request)
    (split,) = index.splits or ("train",)
    entries = index.splits[split].since(number) if index.splits else []
    if not entries or number >= index.rows:
        raise AskError("ask.bad-reference", f"{path.name} has {index.rows:,} rows, and no row {number:,}", "see rows")
    entry, at, left = entries[0], entries[0].start, number - entries[0].first
    with opened_between(path, file.name, ReadReport(), entry.start, entry.stop or file.size) as stream:
        for one in stream.lines():
            if one.data.strip():
                if left == 0:
                    source = f"{file.name}:{entry.before + one.number}"
                    _check_value(request, source)
                    return {"start": at, "size": one.size, "end": one.end.decode(), "source": source, "stamp": stamp}
                left -= 1
            at += one.size
    raise AskError("ask.bad-reference", f"{path.name} has no row {number:,}", "read its rows again")


VERBS: Mapping[str, Callable[[Request], dict[str, Any]]] = {
    "describe": describe,
    "rows": rows,
    "preview": preview,
    "line": line,
}


def _check_value(request: Request, source: str) -> None:
    """Check a new row against the layout of the other rows of its file; None, which removes the row, needs no check."""
    value = request.get("value")
    if value is None:
        return
    try:
        check_size(len(str(value)))
        as_object(value)
        with_layout = _layout(request)
        for item in _mapped(Record(value, source), with_layout, request):
            if isinstance(item, Bad):
                raise RowError(item.field, item.reason)
    except RowError as error:
        where = f"{source}: {error.field}" if error.field else source
        raise AskError(
            "ask.wrong-value", f"{where}: {error.reason}", "correct that field; the file was not changed"
        ) from None
    except DataError as error:
        if error.code != "data.unknown-format":
            raise  # rows of no known layout are texts of any columns


def _page(request: Request) -> tuple[str, int, list[Shown]]:
    path, offset, limit = Path(request["path"]), int(request["offset"]), int(request["limit"])
    split = request.get("split")
    if is_prepared(path):
        split = _chosen(split, splits(path), request)
        return split, offset, prepared_page(path, split, offset, limit)
    index = _kept(request)
    if index is None and offset + limit <= _QUICK_ROWS and split in (None, "train") and _is_large(request):
        found = head(path, "train", offset, limit, request.get("subset"), request.get("encoding"))
        if found:
            return "train", offset, found
    index = index or _index(request)
    split = _chosen(split, list(index.splits), request)
    return split, offset, page(index, split, offset, limit)


def _total(request: Request, split: str) -> tuple[int | None, list[str]]:
    path = Path(request["path"])
    if is_prepared(path):
        return row_count(path, split), splits(path)
    index = _kept(request)
    return (None, [split]) if index is None else (index.splits[split].rows if index.splits else 0, list(index.splits))


def _chosen(split: str | None, names: list[str], request: Request) -> str:
    """The requested split, or the first."""
    if split is None or (split == "train" and not names):
        return "train" if "train" in names or not names else names[0]
    if split not in names:
        raise AskError("ask.bad-reference", f"{request['ref']} has no split '{split}'", nearest(split, names))
    return split


def _is_large(request: Request) -> bool:
    files = find_files(Path(request["path"]), ReadReport(), request.get("subset"))
    return sum(file.size for file in files) > _QUICK_BYTES


def _kept(request: Request) -> PageIndex | None:
    return kept_index(Path(request["path"]), Path(request["cache"]), request.get("subset"), request.get("encoding"))


def _index(request: Request) -> PageIndex:
    named = (request.get("subset"), request.get("encoding"))
    return open_index(Path(request["path"]), Path(request["cache"]), *named, seconds=request.get("seconds"))


def _layout(request: Request) -> Found:
    """The layout, detected from the first rows of the file as it is now."""
    columns, roles = request.get("columns") or {}, request.get("roles") or {}
    reading = ReadReport(encoding=request.get("encoding"))
    items = renamed(read(Path(request["path"]), reading, request.get("subset")), columns)
    found, _ = detect(items, request["ref"], request.get("format") or "auto", roles)
    return found


def _mapped(item: Record | Bad, found: Found, request: Request) -> list[Mapped | Bad]:
    return list(map_rows(renamed([item], request.get("columns") or {}), found))


def _previewed(
    shown: Shown, found: Found | None, request: Request, renderer: "RowRenderer | None", budget: Budget
) -> dict[str, Any]:
    """One row of a preview."""
    row: dict[str, Any] = {"row": shown.number, "source": shown.item.source, "value": None, "pieces": [], "cut": False}
    (item,) = [shown.item] if found is None else _mapped(shown.item, found, request)
    if isinstance(item, Bad):
        return {**row, "error": str(item), "field": item.field}
    value = item.row if isinstance(item, Mapped) else item.raw
    row["value"], row["cut"] = budget.fitted(value)
    if renderer is None:
        return {**row, "error": None}
    try:
        pieces = renderer.pieces(value)
    except BurnishError as error:
        return {**row, "error": error.reason, "code": error.code}
    if not pieces:
        return {**row, "error": "longer than max_length, and dropped"}
    tokens = sum(map(len, pieces))
    learned = sum(piece.learned for piece in pieces)
    row["cut"] |= any(len(piece) > _MOST_TOKENS for piece in pieces)
    row["pieces"] = [
        [(text, float(weight)) for text, weight in renderer.shown(piece)[:_MOST_TOKENS]] for piece in pieces
    ]
    return {**row, "error": None, "tokens": int(tokens), "learned": int(learned)}


def _renderer(request: Request) -> "RowRenderer | None":
    if request.get("tokenizer") is None:
        return None
    return _made_renderer(json.dumps(request["tokenizer"], sort_keys=True), json.dumps(request.get("render") or {}))


@lru_cache(maxsize=4)
def _made_renderer(tokenizer: str, render: str) -> "RowRenderer":
    """The renderer, which takes seconds to make the first time: it brings transformers."""
    from burnish.stages.tokens.rendering import RowRenderer

    return RowRenderer.of(Input.from_json(json.loads(tokenizer)), RenderSpec.model_validate(json.loads(render)))


if __name__ == "__main__":
    answer_each(lambda request: VERBS[request["verb"]](request))
