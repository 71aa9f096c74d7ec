"""The page of a profile: what `profile.json` says, for a person to read."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from burnish.data.profile.personal import name_of
from burnish.reports.document import Bar, Block, Document, Excerpt, Figure, Heading, Table, Text, Tiles
from burnish.reports.excerpts import beginning
from burnish.reports.style import Style, style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SHOWN, _COLUMNS, _VALUES = 15, 60, 4
_KINDS = {
    "exact": "equals a training row",
    "question": "asks in the same context what a training row learns",
    "near": "nearly equals a training row",
}
_EXAMPLES = {"first": "First rows", "longest": "Longest rows", "shortest": "Shortest rows", "random": "Random rows"}
Found = Mapping[str, Any]


def page_of(found: Found) -> Document:
    """The report of a profile."""
    return Document(f"Profile of {found['source']['ref']}", list(_blocks(found)))


def _blocks(found: Found) -> Iterator[Block]:
    yield Text(_introduction(found["source"]))
    yield Tiles(_tiles(found))
    yield from (Text(sentence, "warning") for sentence in found["warnings"])
    if not found["warnings"]:
        yield Text("nothing that stands out: no leaks, few duplicates, no bad rows", "good")
    yield from _lengths(found)
    yield from _conversations(found)
    yield Heading("Languages")
    languages, sample = found["languages"]["rows"], found["languages"]["sample"]
    yield _shares(f"Detected in {sample:,} rows", "language", languages)
    yield from _topics(found)
    yield from _duplicates(found)
    yield from _leakage(found)
    yield from _personal(found["personal"])
    yield from _licences(found)
    yield from _columns(found)
    yield from _bad(found["bad"])
    yield from _examples(found["examples"])


def _introduction(source: Found) -> str:
    known = [f"{name} {source[name]}" for name in ("origin", "revision", "licence") if source.get(name)]
    known += [f"{source['repeated']:,} rows are copies that a mixture made"] if source.get("repeated") else []
    return ". ".join([f"Layout: {source['layout']}", *known])


def _tiles(found: Found) -> list[tuple[str, str, str]]:
    splits = found["splits"]
    exact, near = found["duplicates"]["exact"], found["duplicates"].get("near")
    tiles = [
        ("rows", _short(found["rows"]), ", ".join(f"{count:,} {name}" for name, count in splits.items())),
        ("characters", _short(found["characters"]["total"]), f"median {found['characters']['p50']:,} a row"),
    ]
    if "tokens" in found:
        tiles.append(("tokens", _short(found["tokens"]["total"]), f"median {found['tokens']['p50']:,} a row"))
    if found["turns"]["count"]:
        tiles.append(("turns a row", f"{found['turns']['mean']:g}", f"most {found['turns']['max']:,}"))
    tiles.append(("exact duplicates", f"{exact['share']:.1%}", f"{exact['rows']:,} rows"))
    if near is not None:
        tiles.append(("near duplicates", f"{near['share']:.1%}", f"{near['rows']:,} rows more"))
    if found["leakage"]:
        leaks = sum(_leaked(split) for split in found["leakage"].values())
        tiles.append(("leaked rows", f"{leaks:,}", "held out, known from training"))
    if found["bad"]["rows"]:
        tiles.append(("bad rows", f"{found['bad']['rows']:,}", "cannot be read or mapped"))
    return tiles


def _lengths(found: Found) -> Iterator[Block]:
    yield Heading("Lengths")
    names = [name for name in ("characters", "tokens", "turns") if found.get(name, {}).get("count")]
    for name in names[:2]:
        if name != "turns":
            lengths = found[name]
            alt = f"median {lengths['p50']:,}, 99 % below {lengths['p99']:,}, longest {lengths['max']:,} {name}"
            yield Figure(f"{name.capitalize()} a row", _histogram(lengths["histogram"], name), alt, 2.6)
    keys = ("total", "mean", "min", "p50", "p90", "p99", "max")
    rows = [[name, *(f"{found[name][key]:,}" for key in keys)] for name in names]
    yield Table("", ["", "total", "mean", "least", "median", "90 %", "99 %", "most"], rows)


def _conversations(found: Found) -> Iterator[Block]:
    if not found["turns"]["count"]:
        return
    yield Heading("Conversations")
    yield _shares("Turns by role", "role", found["roles"])
    if found["rows_with"]:
        yield _shares("Rows with", "what", found["rows_with"], found["rows"])
    if len(found["kinds"]) > 1:
        yield _shares("Kinds of rows", "kind", found["kinds"])


def _topics(found: Found) -> Iterator[Block]:
    topics = found["topics"]
    if not topics["clusters"]:
        return
    yield Heading("Topics")
    yield Text(
        f"{topics['sample']:,} rows, clustered by their words; a cluster has no name but the words it is richest in."
    )
    rows = [
        [
            ", ".join(topic["terms"]),
            Bar(f"{topic['share']:.0%}", topic["share"]),
            beginning(" ".join(topic["example"]["text"].split()), 160),
        ]
        for topic in topics["clusters"]
    ]
    yield Table("", ["words", "share", "the row nearest to its centre"], rows)


def _duplicates(found: Found) -> Iterator[Block]:
    yield Heading("Duplicates")
    for name, title in (("exact", "Equal rows"), ("near", "Nearly equal rows")):
        groups = found["duplicates"].get(name)
        if groups is None:
            continue
        most = f" (similarity {groups['similarity']:g} or more)" if name == "near" else ""
        if not groups["groups"]:
            yield Text(f"{title}{most}: none.")
            continue
        yield Text(f"{title}{most}: {groups['rows']:,} beyond the first of each of {groups['groups']:,} groups.")
        for group in groups["largest"]:
            turns = [(f"{member['source']} ({member['split']})", member["text"]) for member in group["members"]]
            shown = turns[:1] if name == "exact" else turns
            first = beginning(" ".join(group["members"][0]["text"].split()), 80)
            yield Excerpt(f"{group['rows']:,} rows: {first}", shown)


def _leakage(found: Found) -> Iterator[Block]:
    if len(found["splits"]) < 2:
        return
    yield Heading("Leaks between splits")
    if not found["leakage"]:
        yield Text("No split is named train: there is nothing that the others could be compared with.")
        return
    names = [kind for kind in _KINDS if any(kind in split for split in found["leakage"].values())]
    rows = [
        [name, f"{split['rows']:,}", *(f"{split[kind]:,}" for kind in names), f"{split['share']:.2%}"]
        for name, split in found["leakage"].items()
    ]
    yield Table("", ["split", "rows", *(_KINDS[kind] for kind in names), "share"], rows)
    for name, split in found["leakage"].items():
        for example in split["examples"]:
            title = f"{name}: {example['source']} {_KINDS[example['kind']]}"
            yield Excerpt(title, [("text", example["text"])])


def _personal(personal: Found) -> Iterator[Block]:
    yield Heading("Personal data")
    if not personal["rows"]:
        yield Text("None that has a known shape: names and postal addresses are not looked for.")
        return
    yield Text(
        f"{personal['rows']:,} rows ({personal['share']:.2%}) have what looks like it; it is not shown here. "
        "clean masks it with rewriting.pii. Names and postal addresses are not looked for."
    )
    rows = [
        [name_of(kind), Bar(f"{of['share']:.2%}", of["share"]), f"{of['rows']:,}", ", ".join(of["first"])]
        for kind, of in personal["kinds"].items()
    ]
    yield Table("", ["kind", "share of rows", "rows", "the first"], rows)


def _licences(found: Found) -> Iterator[Block]:
    licences = found["licences"]
    named = {name: count for name, count in licences.items() if name}
    if not named:
        return
    yield Heading("Licences")
    missing = {"no licence named": licences[""]} if licences.get("") else {}
    yield _shares("Named by the rows", "licence", named | missing)


def _columns(found: Found) -> Iterator[Block]:
    yield Heading("Columns")
    total, rows = found["rows"], []
    for column in found["columns"][:_COLUMNS]:
        types = ", ".join(column["types"]) or "null"
        absent = column["missing"] + column["null"] + column["empty"]
        distinct = f"{column['distinct']:,}" if column["distinct_is_exact"] else f"{column['distinct']:,} (±2 %)"
        values = column.get("values", {})
        often = [f"{beginning(name, 24)} ({count:,})" for name, count in list(values.items())[:_VALUES]]
        more = ["…"] if len(values) > _VALUES else []
        filled = Bar(f"{1 - absent / max(1, total):.0%}", 1 - absent / max(1, total))
        rows.append([column["name"], types, filled, distinct, ", ".join(often + more)])
    title = f"The first {_COLUMNS} of {len(found['columns'])}" if len(found["columns"]) > _COLUMNS else ""
    yield Table(title, ["column", "types", "filled", "distinct", "frequent values"], rows)


def _bad(bad: Found) -> Iterator[Block]:
    if not bad["rows"]:
        return
    yield Heading("Bad rows")
    yield Text(f"{bad['rows']:,} rows cannot be read or mapped. prepare puts them into quarantine.")
    rows = [[one["source"], one["field"], one["reason"], beginning(one["raw"], 200)] for one in bad["first"]]
    yield Table("The first", ["source", "field", "reason", "text"], rows)


def _examples(examples: Mapping[str, Sequence[Found]]) -> Iterator[Block]:
    if not any(examples.values()):
        return
    yield Heading("Examples")
    for kind, title in _EXAMPLES.items():
        yield Heading(title, 3)
        for number, example in enumerate(examples[kind]):
            turns = [(turn["role"], _cut(turn)) for turn in example["turns"]]
            named = f"{example['source']} · {example['split']} · {example['characters']:,} characters"
            yield Excerpt(named, turns, is_open=kind == "first" and number == 0)


def _cut(turn: Found) -> str:
    return turn["text"] + (f"… ({turn['cut']:,} characters more)" if turn["cut"] else "")


def _shares(title: str, name: str, counts: Mapping[str, int], total: int | None = None) -> Table:
    whole = total or sum(counts.values()) or 1
    shown = dict(list(counts.items())[:_SHOWN])
    rest = sum(counts.values()) - sum(shown.values())
    if rest:
        shown[f"{len(counts) - len(shown):,} others"] = rest
    rows = [[key, Bar(f"{count / whole:.1%}", count / whole), f"{count:,}"] for key, count in shown.items()]
    return Table(title, [name, "share", "count"], rows)


def _leaked(split: Found) -> int:
    return sum(split.get(kind, 0) for kind in _KINDS)


def _histogram(bins: Sequence[Sequence[int]], unit: str) -> Any:
    """A function that draws the bins; their edges grow by a constant factor, so they are equally wide here."""

    def draw(axes: "Axes", style: Style) -> None:
        draw_histogram(axes, style, bins, unit)

    return draw


def draw_histogram(axes: "Axes", style: Style, bins: Sequence[Sequence[int]], unit: str) -> None:
    """Draw [least, most, count] as bars of equal width, some of them labelled by their least number."""
    axes.bar(range(len(bins)), [count for _, _, count in bins], width=0.9, color=style.strong, zorder=2)
    step = max(1, -(-len(bins) // 9))
    axes.set_xticks(range(0, len(bins), step), [_short(bins[place][0]) for place in range(0, len(bins), step)])
    axes.set_xlabel(f"{unit}, each bar a constant factor wide", size=8.5, color=style.faint)
    axes.set_ylabel("rows", size=8.5, color=style.faint)
    style_axes(axes, "y", style)


def _short(number: float) -> str:
    """12.3 M for 12,345,678."""
    for size, letter in ((1e9, " G"), (1e6, " M"), (1e4, " k")):
        if number >= size:
            scaled = number / (1e3 if letter == " k" else size)
            return f"{scaled:.3g}{letter}" if scaled < 1000 else f"{scaled:,.0f}{letter}"
    return f"{number:,.0f}"
