"""profile: what rows look like, as `profile.json`, a page and a picture. Rows are read once, and none is changed."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from burnish.core.context import Context, Input, Outcome
from burnish.core.errors import DataError
from burnish.core.events import Note, Progress, Table
from burnish.core.files import write_atomically, write_json
from burnish.data.dataset import is_prepared
from burnish.data.filters.language import spoken_text
from burnish.data.mixture import Part, open_part, open_prepared
from burnish.data.profile import Profile
from burnish.data.profile.advice import advice
from burnish.data.profile.copies import Copies
from burnish.data.profile.examples import Examples
from burnish.data.profile.licences import Licences
from burnish.data.profile.page import page_of
from burnish.data.profile.personal import Personal
from burnish.data.profile.picture import draw_profile
from burnish.data.profile.reservoir import Reservoir
from burnish.data.profile.schema import Schema
from burnish.data.profile.texts import text_of, texts_of
from burnish.data.profile.topics import topics
from burnish.data.record import Bad, ReadReport
from burnish.data.shards.manifest import read_manifest
from burnish.data.sources.repository import checkout
from burnish.reports.document import html_of
from burnish.specs.data import ProfileSpec
from burnish.stages.data.profiled import Profiled, rows_of
from burnish.stages.data.progress import reported
from burnish.stages.data.sources import layout_of

if TYPE_CHECKING:
    from burnish.tokens.counting import TokenCounter

FORMAT = "burnish profile 1"
_BAD_SHOWN, _BATCH = 10, 256


def run(spec: ProfileSpec, ctx: Context) -> Outcome:
    """Write `profile.json`, `profile.html` and `profile.png`."""
    part = _open(spec, ctx)
    count = _counter(ctx.input("tokenizer")) if spec.tokenizer is not None else None
    collected = _Collected(spec, ctx)
    topic_count, seed = spec.topics, spec.seed
    ctx.check_settings()
    reading = ReadReport()
    items = reported(rows_of(part, reading), "read", reading, ctx)
    for item in items if count is None else _counted(items, count):
        collected.add(item)
    if not collected.rows:
        raise _nothing(ctx.input("source"), collected.bad, collected.first_bad)
    for note in reading.notes:
        ctx.emit(Note(text=note))
    for sentence, matters in reading.messages():
        ctx.emit(Note(level="warning" if matters else "info", text=sentence))
    ctx.emit(Progress(phase="compare rows", done=0, total=collected.rows))
    found = {
        "format": FORMAT,
        "source": _described(ctx.input("source"), part),
        "rows": collected.rows,
        "blank_lines": reading.blank,
        **collected.as_dict(),
        "topics": {"sample": len(collected.texts.kept), "clusters": topics(collected.texts.kept, topic_count, seed)},
    }
    found["warnings"] = advice(found)
    write_json(ctx.out / "profile.json", found)
    write_atomically(ctx.out / "profile.html", html_of(page_of(found)))
    draw_profile(found, ctx.out / "profile.png")
    for sentence in found["warnings"]:
        ctx.emit(Note(level="warning", text=sentence))
    ctx.emit(_table(found))
    return Outcome("profile", _measures(found), {"notes": reading.notes})


class _Collected:
    """Everything that is collected while rows are read."""

    def __init__(self, spec: ProfileSpec, ctx: Context):
        self.rows = self.bad = 0
        self.first_bad: list[Bad] = []
        self.splits: Counter[str] = Counter()
        self.profile, self.schema, self.licences = Profile(languages=spec.sample), Schema(), Licences()
        self.copies = Copies(ctx.scratch, spec.similarity if spec.near_duplicates else None)
        self.personal = Personal()
        self.examples = Examples(spec.examples, spec.seed)
        self.texts = Reservoir[tuple[str, str]](spec.sample, spec.seed)

    def add(self, item: Profiled | Bad) -> None:
        if isinstance(item, Bad):
            self.bad += 1
            self.first_bad += [item] if len(self.first_bad) < _BAD_SHOWN else []
            return
        row, split = item.row, item.split
        self.rows += 1
        self.splits[split] += 1
        self.schema.add(item.columns)
        self.licences.add(item.columns)
        self.profile.add(row, item.tokens, item.learned)
        self.copies.add(row, split)
        self.personal.add(row["source"], texts_of(row))
        self.examples.add(row, split)
        if (place := self.texts.next_place()) is not None:
            self.texts.put(place, (row["source"], spoken_text(row)))

    def as_dict(self) -> dict[str, Any]:
        found = self.profile.as_dict()
        for name in ("characters", "tokens", "turns"):
            if name in found:
                found[name] |= {"histogram": getattr(self.profile, name).histogram()}
        if not self.profile.learned.total:
            found.pop("learned", None)
        return {
            "splits": dict(self.splits),
            "bad": {"rows": self.bad, "first": [bad.as_dict() for bad in self.first_bad]},
            "columns": self.schema.as_list(),
            **found,
            **self.copies.as_dict(),
            "personal": self.personal.as_dict(),
            "licences": dict(self.licences.rows.most_common()),
            "examples": self.examples.as_dict(),
        }


def _open(spec: ProfileSpec, ctx: Context) -> Part:
    """The input as a part; raw rows of no known layout are read as texts, which is reported."""
    given = ctx.input("source")
    format, columns, subset, roles, encoding = spec.format, spec.columns, spec.subset, spec.roles, spec.encoding
    part = open_prepared(given)
    if part is not None:
        part.refuse_settings(format=format, columns=columns, subset=subset, roles=roles, encoding=encoding)
        return part
    path = checkout(given, ctx.scratch)
    try:
        part = open_part(given, path, format, columns, subset, roles, encoding)
    except DataError as error:
        if error.code != "data.unknown-format" or format != "auto":
            raise
        part = Part(given.ref, path, None, columns, subset, encoding=encoding)
        ctx.emit(Note(level="warning", text=f"{error.reason}: all text of a row is taken as its text"))
        return part
    ctx.emit(Note(text=f"{given.ref}: {layout_of(part)}"))
    return part


def _described(given: Input, part: Part) -> dict[str, Any]:
    manifest = read_manifest(part.path) if part.path.is_dir() else None
    about = manifest.about if manifest is not None else {}
    known = {name: str(about[name]) for name in ("source", "revision", "licence") if about.get(name)}
    origin = {"origin": known.pop("source")} if "source" in known else {}
    copies = {"repeated": repeated} if (repeated := _repeated(part)) else {}
    return {"ref": given.ref, "kind": given.kind, "layout": _layout(part), **origin, **known, **copies}


def _repeated(part: Part) -> int:
    """Copies of rows that a mixture wrote into a prepared dataset."""
    stats = part.path / "stats.json"
    return json.loads(stats.read_bytes()).get("repeated", 0) if is_prepared(part.path) else 0


def _layout(part: Part) -> str:
    is_unknown = part.found is None and not is_prepared(part.path)
    return "unknown, all text of a row is taken" if is_unknown else layout_of(part)


def _counter(given: Input) -> "TokenCounter":
    from burnish.stages.tokens.counting import counter_of  # brings transformers, which takes seconds to import

    return counter_of(given)


def _counted(items: Iterable[Profiled | Bad], count: "TokenCounter") -> Iterator[Profiled | Bad]:
    """The items with the tokens of their texts."""
    waiting = iter(items)
    while batch := list(islice(waiting, _BATCH)):
        texts = [text_of(item.row) for item in batch if isinstance(item, Profiled)]
        lengths = iter(count(texts))
        for item in batch:
            yield item if isinstance(item, Bad) else replace(item, tokens=next(lengths), learned=0)


def _nothing(given: Input, bad: int, first_bad: list[Bad]) -> DataError:
    if not bad:
        return DataError("data.empty", f"{given.ref} has no rows", "check the path and its content")
    what = f"{given.ref} has no readable row: {bad:,} bad, the first is {first_bad[0]}"
    return DataError("data.empty", what, "fix the file, or set format or columns")


def _table(found: dict[str, Any]) -> Table:
    rows = [["rows", f"{found['rows']:,}"]]
    rows += [[name, f"{count:,}"] for name, count in found["splits"].items() if len(found["splits"]) > 1]
    rows += [["bad rows", f"{found['bad']['rows']:,}"]] if found["bad"]["rows"] else []
    rows += [[name, f"{found[name]['total']:,}"] for name in ("characters", "tokens") if name in found]
    rows += [["columns", f"{len(found['columns']):,}"]]
    languages, sample = found["languages"]["rows"], found["languages"]["sample"]
    shares = ", ".join(f"{name} {count / sample:.0%}" for name, count in list(languages.items())[:4])
    rows += [["languages", shares]]
    for name, groups in found["duplicates"].items():
        rows.append([f"{name} duplicates", f"{groups['rows']:,} ({groups['share']:.1%})"])
    for name, split in found["leakage"].items():
        rows.append([f"leaks in {name}", f"{sum(split.get(kind, 0) for kind in ('exact', 'question', 'near')):,}"])
    if personal := found["personal"]["rows"]:
        rows.append(["with personal data", f"{personal:,} ({found['personal']['share']:.1%})"])
    return Table(title="Profile", columns=["", "value"], rows=rows)


def _measures(found: dict[str, Any]) -> dict[str, Any]:
    measures = {"rows": found["rows"], "bad_rows": found["bad"]["rows"], "splits": found["splits"]}
    measures |= {f"{name}_duplicates": groups["rows"] for name, groups in found["duplicates"].items()}
    return measures | {"leaks": {name: split["share"] for name, split in found["leakage"].items()}}
