"""The commands `datasets list | show | rows | preview | profile | quarantine | add | edit | remove`."""

import json
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer

from burnish.cli import completion
from burnish.cli.command import Command, Commands
from burnish.cli.render import Output, plain
from burnish.core.errors import AskError
from burnish.core.paths import expanded

Name = Annotated[
    str,
    typer.Argument(
        help="An upload, a file below data/, or an artifact, as `datasets list` shows it.",
        autocompletion=completion.datasets,
    ),
]
Split = Annotated[str | None, typer.Option(help="The split. Default: the first.")]
First = Annotated[int, typer.Option("--from", min=0, help="The first row, counted from 0.")]
Most = Annotated[int, typer.Option(min=1, max=500, help="The maximum number of rows.")]
_WIDEST = 400
app = typer.Typer(cls=Commands, help="List, show, add and check the datasets of the workspace.", no_args_is_help=True)


@app.command("list", cls=Command)
def list_(ctx: typer.Context) -> None:
    """List uploads, files below data/, and artifacts that hold rows."""
    from burnish.core.files import file_size
    from burnish.studio.datasets import datasets

    output: Output = ctx.obj
    found = datasets(workspace=output.workspace)
    if output.json:
        return output.print_json(found)
    if not found["datasets"]:
        output.console.print("there is no dataset; add a file: burnish datasets add rows.jsonl")
        return None
    rows = [(row, "" if row.get("bytes") is None else file_size(row["bytes"])) for row in found["datasets"]]
    columns = ("name", "origin", "rows", "size", "reference")
    output.table("", columns, [(r["name"], r["origin"], r.get("rows"), size, r["ref"]) for r, size in rows])
    if found["not_listed"]:
        output.console.print(f"{found['not_listed']:,} more files are not listed")
    return None


@app.command(cls=Command)
def show(ctx: typer.Context, name: Name) -> None:
    """Show the counts, the columns and the layout of a dataset; every row is read the first time."""
    from burnish.studio.datasets import dataset

    output: Output = ctx.obj
    found = dataset(name, workspace=output.workspace)
    if output.json:
        return output.print_json(found)
    layout = found.pop("layout") or {}
    columns = found.pop("columns")
    simple = [(key, value) for key, value in found.items() if isinstance(value, str | int) and value != ""]
    output.table(found["name"], ("", ""), [*simple, ("layout", layout.get("format") or layout.get("error") or "")])
    if columns:
        shown = [(c["name"], c["rows"], c["missing"], c["null"], ", ".join(c["types"])) for c in columns]
        output.table("", ("column", "rows", "missing", "null", "types"), shown)
    for note in found["notes"]:
        output.console.print(plain(str(note)), markup=False)
    return None


@app.command(cls=Command)
def rows(
    ctx: typer.Context,
    name: Name,
    split: Split = None,
    first: First = 0,
    most: Most = 10,
    encoding: Annotated[str | None, typer.Option(help="The encoding of a text file, such as gb18030.")] = None,
    subset: Annotated[str | None, typer.Option(help="The subset of dataset_info.json.")] = None,
) -> None:
    """Show rows as they stand in their file; bad ones with the reason."""
    from burnish.studio.datasets import rows as rows_of

    output: Output = ctx.obj
    options: dict[str, Any] = {"encoding": encoding, "subset": subset, "workspace": output.workspace}
    _page(output, rows_of(name, split=split, offset=first, limit=most, **options))


@app.command(cls=Command)
def preview(
    ctx: typer.Context,
    name: Name,
    tokenizer: Annotated[
        str | None,
        typer.Option(help="Also show the tokens that are learned.", autocompletion=completion.references),
    ] = None,
    split: Split = None,
    first: First = 0,
    most: Most = 10,
    format: Annotated[str, typer.Option(help="The format of the rows.")] = "auto",
) -> None:
    """Show rows as conversations, as a training reads them; `burnish inspect` also takes what is no dataset yet."""
    from burnish.cli.stages import as_reference
    from burnish.studio.datasets import preview as preview_of

    output: Output = ctx.obj
    model = None if tokenizer is None else as_reference(tokenizer)
    page: dict[str, Any] = {"split": split, "offset": first, "limit": most, "format": format}
    _page(output, preview_of(name, tokenizer=model, **page, workspace=output.workspace))


@app.command(cls=Command)
def profile(
    ctx: typer.Context,
    name: Name,
    queue: Annotated[bool, typer.Option("--queue", help="Queue it for `burnish worker`, unless it is made.")] = False,
) -> None:
    """Show the profile of a dataset as it is now: lengths, languages, duplicates, leaks."""
    from burnish.studio.datasets.profiling import make_profile
    from burnish.studio.datasets.profiling import profile as profile_of

    output: Output = ctx.obj
    found = (make_profile if queue else profile_of)(name, workspace=output.workspace)
    if output.json:
        return output.print_json(found)
    if found["profile"] is None:
        hint = "" if found["state"] != "none" else f"; make it: burnish datasets profile {name} --queue"
        output.console.print(plain(f"the profile of {name} is {found['state']}{hint}"), markup=False)
        return None
    output.table(f"{name}: {found['run']}", ("", ""), _summary(found["profile"]))
    for warning in found["profile"]["warnings"]:
        output.warn(warning)
    output.console.print(
        f"all of it: burnish --json datasets profile {name}; its report: the files of {found['run']}", markup=False
    )
    return None


@app.command(cls=Command)
def quarantine(ctx: typer.Context, name: Name, first: First = 0, most: Most = 10) -> None:
    """Show the rows that a step could not use, with the reason of each; and the counts of all rows it read."""
    from burnish.studio.datasets import quarantine as quarantine_of

    output: Output = ctx.obj
    found = quarantine_of(name, offset=first, limit=most, workspace=output.workspace)
    if output.json:
        return output.print_json(found)
    counts = [(key, _short(value)) for key, value in found.items() if key != "rows"]
    output.table(name, ("", ""), counts)
    shown = [(row["source"], row["field"], row["reason"], _short(row["text"])) for row in found["rows"]]
    output.table("", ("source", "field", "reason", "text"), shown)
    return None


@app.command(cls=Command)
def add(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="The file.", autocompletion=completion.any_files)],
    name: Annotated[str | None, typer.Option(help="Its name among the datasets. Default: that of the file.")] = None,
    version: Annotated[bool, typer.Option("--version", help="If the name is taken, add a new version of it.")] = False,
) -> None:
    """Copy a file into the workspace, as an upload of the page is: whole, or not at all."""
    from burnish.studio.datasets import upload

    output: Output = ctx.obj
    path = expanded(file)
    if not path.is_file():
        raise AskError("ask.bad-reference", f"there is no file {file}", "check the path")
    with path.open("rb") as stream:
        pieces = iter(lambda: stream.read(1 << 20), b"")
        existing = "version" if version else "refuse"
        found = upload(name or path.name, pieces, existing=existing, workspace=output.workspace)
    _report(output, found, f"added {found['name']}; a recipe names it file:data/uploads/{found['name']}")


@app.command(cls=Command)
def edit(
    ctx: typer.Context,
    name: Name,
    row: Annotated[int, typer.Argument(min=0, help="The number of the row, as `datasets rows` shows it.")],
    value: Annotated[str | None, typer.Option(help="Its new value, as JSON.")] = None,
    leave_out: Annotated[bool, typer.Option("--leave-out", help="Leave the row out.")] = False,
) -> None:
    """Write a new version of an uploaded file in JSON Lines with another value of a row; the old version stays."""
    from burnish.studio.datasets import edit_row

    output: Output = ctx.obj
    if (value is None) != leave_out:
        raise AskError("ask.missing-key", "edit needs a value, or --leave-out", "add one of them: --value '{…}'")
    try:
        given = None if value is None else json.loads(value)
    except ValueError as error:
        raise AskError("ask.wrong-value", f"--value is not JSON: {error}", "write a row as in the file") from None
    found = edit_row(name, row, given, workspace=output.workspace)
    _report(output, found, f"wrote {found['name']}")


@app.command(cls=Command)
def remove(ctx: typer.Context, name: Name) -> None:
    """Remove an upload; files of yours and artifacts are not removed here."""
    from burnish.studio.datasets import delete

    output: Output = ctx.obj
    found = delete(name, workspace=output.workspace)
    _report(output, found, f"removed {found['name']}")


def _page(output: Output, found: dict[str, Any]) -> None:
    if output.json:
        return output.print_json(found)
    total = "" if found["total"] is None else f" of {found['total']:,}"
    title = f"{found['split']}: {len(found['rows'])} rows from {found['offset']:,}{total}"
    output.table(title, ("row", "source", "value"), [(r["row"], r["source"], _value(r)) for r in found["rows"]])
    return None


def _value(row: dict[str, Any]) -> str:
    """A row in one line: what a training learns of it in brackets, where it is known; why it cannot be used."""
    bad = row.get("bad")
    if problem := (bad["reason"] if bad else row.get("error")):
        return f"cannot be used: {problem}"
    if row.get("pieces"):
        tokens = ((text, weight > 0) for piece in row["pieces"] for text, weight in piece)
        parts = ((learned, "".join(text for text, _ in part)) for learned, part in groupby(tokens, lambda one: one[1]))
        return "".join(f"[{text}]" if learned else text for learned, text in parts)
    return _short(row["value"])


def _summary(profile: dict[str, Any]) -> list[tuple[str, str]]:
    duplicates = profile["duplicates"]
    characters = {key: profile["characters"].get(key) for key in ("mean", "p50", "p99", "max")}
    shown = {
        **{key: profile[key] for key in ("rows", "splits", "kinds")},
        "bad rows": profile["bad"]["rows"],
        "characters": characters,
        "languages": profile["languages"]["rows"],
        "exact duplicates": duplicates["exact"]["rows"],
        "near duplicates": duplicates["near"]["rows"],
        "leaks": profile["leakage"],
        "rows with personal data": profile["personal"]["rows"],
    }
    return [(key, _short(value)) for key, value in shown.items()]


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _WIDEST else f"{text[:_WIDEST]}…"


def _report(output: Output, found: dict[str, Any], said: str) -> None:
    if output.json:
        output.print_json(found)
    else:
        output.console.print(plain(said), markup=False)


def register(main: typer.Typer) -> None:
    """Add the commands."""
    main.add_typer(app, name="datasets")
