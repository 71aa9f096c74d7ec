"""Print the result of `burnish inspect`: format, counts, lengths, and rows with the trained tokens in colour."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from burnish.cli.render import make_table
from burnish.core.printable import printable

_LEARNED, _READ = "bold green", "dim"
_RENDERED = ("tokens", "learned")
_LENGTHS = ("characters", "turns", *_RENDERED)


def print_inspection(console: Console, found: Mapping[str, Any]) -> None:
    """Print the result of `burnish.inspect`. Control characters in rows are escaped."""
    found = _printable(found)
    console.print(Text("format: ", "bold") + Text(f"{found['format']} ({found['reason']})"))
    counts = f"{found['rows']:,} rows, {found['bad']:,} bad, {found['blank']:,} blank lines"
    console.print(Text("counts: ", "bold") + Text(counts))
    stats = found["stats"]
    for name in ("kinds", "roles", "rows_with", "tags"):
        if stats.get(name):
            console.print(Text(f"{name.replace('_', ' ')}: ", "bold") + Text(_joined(stats[name])))
    if stats.get("languages"):
        sample = stats["languages"]["sample"]
        of = f" (in a sample of {sample:,} rows)" if sample < found["rows"] else ""
        console.print(Text("languages: ", "bold") + Text(_joined(stats["languages"]["rows"]) + of))
    lengths = [(name, stats[name]) for name in _LENGTHS if stats.get(name, {}).get("count")]
    columns = ("min", "mean", "p50", "p90", "p99", "max", "total")
    is_sample = found["rendered"] < found["rows"]
    rows = []
    for name, length in lengths:
        cells = {column: f"{length[column]:,}" for column in columns}
        rows.append((name, *(cells | ({"total": "–"} if is_sample and name in _RENDERED else {})).values()))
    console.print(make_table("", ("per row", *columns), rows))
    if found["rendered"] and is_sample:
        console.print(Text(_sample_note(found)))
    of = f" (of {found['rendered']:,} rendered)" if is_sample else ""
    for code, count in found["unrendered"].items():
        console.print(Text(f"{count:,} rows{of} cannot be rendered: {code}", "yellow"))
    for bad in found["first_bad"]:
        where = ": ".join(part for part in (bad["source"], bad["field"]) if part)
        console.print(Text(f"bad: {where}: {bad['reason']}", "red"))
    for note in found["notes"]:
        console.print(Text(note, "dim"))
    for shown in found["shown"]:
        _print_row(console, shown)
    if any(shown["pieces"] for shown in found["shown"]):
        console.print(_legend(console))


def _printable(value: Any) -> Any:
    """Escape the control characters of all strings, keys included."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {_printable(key): _printable(member) for key, member in value.items()}
    return [_printable(member) for member in value] if isinstance(value, list | tuple) else value


def _sample_note(found: Mapping[str, Any]) -> str:
    """Say that token counts come from a sample, and extrapolate the totals."""
    note = f"tokens and learned are counted on a random sample of {found['rendered']:,} rows"
    share, totals = found["rows"] / found["rendered"], list[str]()
    for name in _RENDERED:
        if found["stats"].get(name, {}).get("count"):
            about = float(f"{found['stats'][name]['total'] * share:.2g}")
            totals.append(f"{about:,.0f} {name}")
    return f"{note}; all {found['rows']:,} rows: about {', '.join(totals)}" if totals else note


def _joined(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _print_row(console: Console, shown: Mapping[str, Any]) -> None:
    row = shown["row"]
    learned = sum(weight > 0 for piece in shown["pieces"] for _, weight in piece)
    total = sum(map(len, shown["pieces"]))
    title = f"{row['source']}  {row['kind']}" + (f"  {learned} of {total} tokens learned" if total else "")
    console.print(Rule(Text(title), align="left", characters="─"))
    if shown["error"]:
        console.print(Text(shown["error"], "yellow"))
    for piece in shown["pieces"]:
        console.print(_coloured(console, piece))
    if not shown["pieces"]:
        for label, text in conversation(row):
            console.print(Text(label and f"{label}: ", "bold cyan") + Text(text))


def _coloured(console: Console, piece: list[tuple[str, float]]) -> Text:
    """Learned tokens in colour, or between ⟦ and ⟧ without colour. A weight other than 1 is shown."""
    text = Text()
    for weight, group in groupby(piece, key=lambda token: token[1]):
        words = "".join(token for token, _ in group)
        mark = f"×{weight:g}" if weight not in (0, 1) else ""
        if weight and not console.is_terminal:
            words = f"⟦{words}⟧{mark}"
        elif weight:
            words += mark
        text.append(words, _LEARNED if weight else _READ)
    return text


def conversation(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(speaker, text) of each part of a row; a text alone has no speaker."""
    lines = [("", row["text"])] if row.get("text") else []
    for part in ("messages", "chosen", "rejected", "completion"):
        for message in row.get(part) or ():
            lines.append(
                (message["role"] if part == "messages" else f"{part}: {message['role']}", _message_text(message))
            )
    return lines


def _message_text(message: Mapping[str, Any]) -> str:
    calls = [f"{call['function']['name']}({call['function']['arguments']})" for call in message.get("tool_calls") or ()]
    return " ".join([message.get("content") or "", *calls]).strip()


def _legend(console: Console) -> Text:
    if console.is_terminal:
        return Text("learned", _LEARNED) + Text("  not learned", _READ)
    return Text("⟦learned⟧ not learned")
