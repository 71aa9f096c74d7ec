"""The command `runs rows`: rows of a training step with their text and their loss at each visit."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from burnish.cli.command import Full, RunName, TrainingStep
from burnish.cli.render import Output, cell, plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_LINES_OF_PART, _PARTS = 2, 6
"""What is shown of a text without --full: lines of each turn, and turns."""
_INDENT = "    "


def rows(
    ctx: typer.Context,
    name: RunName = "latest",
    worst: Annotated[int | None, typer.Option(help="The number of rows with the highest loss. [20]")] = None,
    best: Annotated[int | None, typer.Option(help="The number of rows with the lowest loss.")] = None,
    row: Annotated[list[str] | None, typer.Option(help="The id of a row; repeatable.")] = None,
    sort: Annotated[
        str, typer.Option(help="last: the loss at the last visit; mean; rise: from the first to the last visit.")
    ] = "last",
    at: Annotated[
        int | None, typer.Option(help="Only rows that this optimizer step visited, by their loss there.")
    ] = None,
    step: TrainingStep = None,
    full: Full = False,
) -> None:
    """Show rows of a training step with their loss at each visit.

    By default the 20 worst. Sorted by rise, they are the rows that are being forgotten.
    """
    from burnish.studio.rows import rows as find

    output: Output = ctx.obj
    found = find(name, step=step, worst=worst, best=best, row=row or (), sort=sort, at=at, workspace=output.workspace)
    if output.json:
        return output.print_json(found)
    for note in found["notes"]:
        output.warn(note)
    print_rows(output.console, found, full=full)
    return None


def print_rows(console: "Console", found: Mapping[str, Any], *, full: bool = False) -> None:
    """Print the result of `burnish.rows`; texts are cut unless `full`."""
    from rich.rule import Rule
    from rich.text import Text

    counts = f"{found['rows']:,} rows, {found['visits']:,} visits up to step {found['step']:,}"
    console.print(Text(plain(found["run"]), "bold") + Text(f"  {counts}"))
    if found["data"]:
        console.print(Text(f"texts from {plain(found['data'])}", "dim"))
    extra = [name for name in found["columns"] if name not in ("epoch", "step", "loss", "learned_tokens")]
    is_cut = False
    for kind, title in (
        ("worst", "highest {}"),
        ("best", "lowest {}"),
        ("named", "requested rows"),
    ):
        entries = found[kind]
        if not entries:
            continue
        console.print(Rule(Text(title.format(_measure(found))), align="left", characters="─"))
        for number, entry in enumerate(entries, start=1):
            console.print(_heading(number, entry, found["sort"]))
            for line in _visits(entry["visits"], ("step", "loss", *_varying(entry), *extra), console.width):
                console.print(line, soft_wrap=True)
            lines, cut = _text(console, entry, full=full)
            is_cut |= cut
            for line in lines:
                console.print(line, soft_wrap=True)
            console.print()
    if is_cut:
        console.print(Text("texts are cut: --full shows them whole", "dim"))


_MEASURES = {"last": "loss at the last visit", "mean": "mean loss", "rise": "rise of the loss"}


def _measure(found: Mapping[str, Any]) -> str:
    """What the rows are sorted by."""
    return _MEASURES[found["sort"]] if found["at"] is None else f"loss at step {found['at']:,}"


def _heading(number: int, entry: Mapping[str, Any], sort: str) -> "Text":
    from rich.text import Text

    row, learned = entry["row"] or {}, {visit.get("learned_tokens") for visit in entry["visits"]} - {None}
    parts = [plain(part) for part in (row.get("source"), row.get("kind")) if part]
    if len(learned) == 1:
        parts.append(f"{cell(learned.pop())} learned tokens")
    if entry["copies"] > 1:
        parts.append(f"{entry['copies']} equal rows")
    if sort != "last" and entry[sort] is not None:
        parts.append(f"{sort} {entry[sort]:+.4g}" if sort == "rise" else f"{sort} {cell(entry[sort])}")
    return Text(f"{number:>3} ") + Text(plain(entry["id"]), "bold cyan") + Text("".join(f"  {part}" for part in parts))


def _varying(entry: Mapping[str, Any]) -> list[str]:
    """`learned_tokens` where they differ between visits; otherwise the heading has them."""
    return ["learned_tokens"] if len({visit.get("learned_tokens") for visit in entry["visits"]}) > 1 else []


def _visits(visits: Sequence[Mapping[str, Any]], names: Sequence[str], width: int) -> Iterator["Text"]:
    """A line for each column and a place for each visit, in blocks that fit."""
    from rich.text import Text

    label = max(map(len, names))
    cells = [[cell(visit[name]) for name in names] for visit in visits]
    place = max(len(text) for column in cells for text in column) + 2
    most = max(1, (width - len(_INDENT) - label) // place)
    for start in range(0, len(cells), most):
        for index, name in enumerate(names):
            values = "".join(f"{column[index]:>{place}}" for column in cells[start : start + most])
            style = "dim" if name == "step" else "bold" if name == "loss" else ""
            yield Text(f"{_INDENT}{name:<{label}}", "dim") + Text(values, style)


def _text(console: "Console", entry: Mapping[str, Any], *, full: bool) -> tuple[list["Text"], bool]:
    """The lines of a row's text, and whether any of it is left out."""
    from rich.text import Text

    from burnish.cli.rows.inspection import conversation

    if entry["row"] is None:
        return [Text(f"{_INDENT}no text: {plain(entry['missing'])}", "yellow")], False
    parts, lines, is_cut = conversation(entry["row"]), list[Text](), False
    skipped = 0 if full else max(0, len(parts) - _PARTS)
    for number, (label, text) in enumerate(parts):
        if skipped and number == _PARTS // 2:
            lines.append(Text(f"{_INDENT}… {skipped} more turns", "dim"))
            is_cut = True
        if _PARTS // 2 <= number < _PARTS // 2 + skipped:
            continue
        shown, cut = _part(console, label, text, full=full)
        lines += shown
        is_cut |= cut
    return lines, is_cut


def _part(console: "Console", label: str, text: str, *, full: bool) -> tuple[list["Text"], bool]:
    """A turn, indented: whole, or its first lines with line breaks as spaces."""
    from rich.text import Text

    width = max(20, console.width - len(_INDENT))
    text = plain(text) if full else " ".join(plain(text).split())
    whole = Text(label and f"{plain(label)}: ", "cyan") + Text(text)
    lines = list(whole.split("\n") if full and console.soft_wrap else whole.wrap(console, width))
    kept = lines if full else lines[:_LINES_OF_PART]
    if len(kept) < len(lines):
        kept[-1].truncate(width - 2)
        kept[-1].append(" …")
    return [Text(_INDENT) + line for line in kept], len(kept) < len(lines)
