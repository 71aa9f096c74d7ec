"""Rows of datasets, read in a child process that stays (`burnish.stages.data.viewing`)."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from burnish.core.errors import AskError
from burnish.core.inputs.checks import check_fetched
from burnish.core.inputs.references import fetched, resolve
from burnish.core.runs.workspace import Workspace
from burnish.specs.data.sources import text_encoding
from burnish.studio.datasets.listing import summary
from burnish.studio.datasets.names import Dataset, find, newest_version, uploaded
from burnish.studio.kept_workrooms import ANSWER_SECONDS, KeptWorkroom
from burnish.studio.recipes.given import refuse_path_outside
from burnish.studio.workrooms import require

MOST_ROWS = 500
_READING_SHARE = 0.9
"""Of the time that an answer may take: for an index. What is read by then is kept, and the next request goes on."""
_TOKENIZER = "tokenizer_config.json"
_VIEWING = KeptWorkroom("burnish.stages.data.viewing")


def dataset(name: str, *, workspace: Path | str | None = None) -> dict[str, Any]:
    """What is known of a dataset: its summary (see `datasets`), `rows`, `bad` rows, `splits`, `columns` and `layout`;
    of an upload also the name of its `newest` version.

    Every row is read the first time. Errors: AskError `ask.bad-reference`; DataError of a file that cannot be read.
    """
    place = Workspace.find(workspace)
    found = find(name, place)
    newest = newest_version(found.name, uploaded(place)) if found.origin == "upload" else None
    return {**summary(found, place, hashed=True), "newest": newest, **ask_viewing("describe", found, place)}


def rows(
    name: str,
    *,
    split: str | None = None,
    offset: int = 0,
    limit: int = 50,
    whole: bool = False,
    encoding: str | None = None,
    subset: str | None = None,
    workspace: Path | str | None = None,
) -> dict[str, Any]:
    """A page of rows as they stand in their file: `rows`, `split`, `offset`, `total` (None until all were read once)
    and the names of all `splits`. A row has its number `row`, `source`, and `value`, or `bad` with the reason.

    A very long row is `cut`; with `whole` and a limit of 1 it is not. Errors: those of `dataset`; AskError
    `ask.wrong-value` for a page out of bounds.
    """
    place = Workspace.find(workspace)
    more = {"whole": whole, "encoding": _known(encoding), "subset": subset}
    return ask_viewing("rows", find(name, place), place, **_page(split, offset, limit), **more)


def preview(
    name: str,
    *,
    tokenizer: str | None = None,
    render: Mapping[str, Any] | None = None,
    split: str | None = None,
    offset: int = 0,
    limit: int = 10,
    format: str = "auto",
    columns: Mapping[str, str] | None = None,
    roles: Mapping[str, str] | None = None,
    encoding: str | None = None,
    subset: str | None = None,
    workspace: Path | str | None = None,
    allowed: Iterable[Path] | None = None,
    downloads: bool = True,
) -> dict[str, Any]:
    """A page of rows as conversations; with a `tokenizer` also its tokens in `pieces`, each with its weight in the loss
    (0: not learned). A row that cannot be used has an `error`. The settings are those of `burnish inspect`.

    With `allowed`, the tokenizer lies in the workspace or in one of these folders. Of one on a hub all but the weights
    is downloaded; without `downloads` it is refused if it is not in the cache: AskError `ask.not-allowed`.

    Errors: those of `rows`; DataError `data.unknown-format`; those of the tokenizer.
    """
    place = Workspace.find(workspace)
    more: dict[str, Any] = {"format": format, "columns": dict(columns or {}), "roles": dict(roles or {})}
    if tokenizer is not None:
        require("transformers", "tokens")
        if allowed is not None:
            refuse_path_outside(tokenizer, (place.root, *allowed), place, "tokenizer")
        known = place.hashes()
        value = resolve(tokenizer, ("tokenizer", "model", "adapter"), place, known)
        value = check_fetched(fetched(value, weights=False, downloads=downloads), known)
        if not downloads and value.kind == "adapter" and not (value.base or (value.path / _TOKENIZER).is_file()):
            what = f"{tokenizer} has no {_TOKENIZER}, and its base may have to be downloaded"
            raise AskError("ask.not-allowed", what, "name its base, or ask with a token of scope run")
        more |= {"tokenizer": value.to_json(), "render": dict(render or {})}
    more |= {"encoding": _known(encoding), "subset": subset}
    return ask_viewing("preview", find(name, place), place, **_page(split, offset, limit), **more)


def ask_viewing(verb: str, found: Dataset, place: Workspace, **more: Any) -> dict[str, Any]:
    """Ask the child process about a dataset."""
    require("pyarrow", "data")
    request = {"verb": verb, "path": str(found.path), "ref": found.ref, "cache": str(place.cache), **more}
    request["seconds"] = ANSWER_SECONDS * _READING_SHARE
    return _VIEWING.ask(request)


def _known(encoding: str | None) -> str | None:
    try:
        return None if encoding is None else text_encoding(encoding)
    except ValueError as error:
        fix = "leave it out for UTF-8, the one of a byte-order mark, or GB18030"
        raise AskError("ask.wrong-value", f"encoding: {error}", fix) from None


def _page(split: str | None, offset: int, limit: int) -> dict[str, Any]:
    if offset < 0 or not 1 <= limit <= MOST_ROWS:
        what = f"a page of {limit} rows from {offset} is out of bounds"
        raise AskError("ask.wrong-value", what, f"set limit to 1 to {MOST_ROWS}, and offset to 0 or more")
    return {"split": split, "offset": offset, "limit": limit}
