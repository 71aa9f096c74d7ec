"""Rows from sources of code and documentation, in two passes: all rows into a file, then the sample with its splits.

Memory holds the places of rows and sketches of files, not the rows.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from burnish.core.errors import DataError
from burnish.data.document import Row, make_row
from burnish.data.record import RowError
from burnish.data.synthesize.docs.choosing import sampled, splits
from burnish.data.synthesize.docs.copies import groups, line_hash, sketch
from burnish.data.synthesize.docs.extractors import EXTRACTORS
from burnish.data.synthesize.docs.items import Item
from burnish.data.synthesize.docs.licences import of_file
from burnish.data.synthesize.docs.project import Project, UnreadableError
from burnish.data.synthesize.docs.reading import read
from burnish.data.synthesize.docs.sources import Source
from burnish.data.synthesize.docs.templates import TEMPLATES
from burnish.data.synthesize.docs.templates.draft import Draft, Wording
from burnish.data.synthesize.generated import Generated

_LONG_BODY = 200
Report = Callable[[int, int], None]


@dataclass(frozen=True)
class Wanted:
    """What to make of the sources. `fim` are the tokens before prefix, suffix and middle."""

    templates: tuple[str, ...]
    completion: str = "chat"
    fim: tuple[str, str, str] | None = None
    limit: int | None = None
    seed: int = 0
    validation: float = 0.0
    test: float = 0.0


def generate(
    sources: Sequence[Source], wanted: Wanted, scratch: Path, report: Report = lambda done, total: None
) -> Generated:
    """Read every file, then give the rows with their split. `report` gets (files read, files) now and then.

    DataError `data.empty` if no row can be made.
    """
    first = _FirstPass(scratch / "rows.jsonl", wanted)
    total = sum(len(source.files) for source in sources)
    with first:
        for source in sources:
            first.read(source, len(sources) > 1, lambda done: report(done, total))
    if not first.rows:
        raise _nothing(first.counts)
    answerable = first.answerable()
    chosen = sampled([first.rows[place] for place in answerable], wanted.limit, wanted.seed)
    kept = [answerable[place] for place in chosen]
    group_of = groups(first.sketches, first.joined)
    sizes = Counter(group_of[first.rows[place][0]] for place in kept)
    split_of = splits(sizes, wanted.validation, wanted.test, wanted.seed)
    by_template: Counter[str] = Counter()

    def rows() -> Iterator[tuple[Row, str]]:
        with first.path.open("rb") as file:
            for place in kept:
                file.seek(first.offsets[place])
                row = json.loads(file.readline())
                by_template[row["tag"]] += 1
                yield row, split_of[group_of[first.rows[place][0]]]
        first.path.unlink()

    def stats() -> Mapping[str, Any]:
        dropped = {
            "duplicate": first.counts.duplicates,
            "question with several answers": len(first.rows) - len(answerable),
            "beyond the limit": len(answerable) - len(kept),
        }
        return {
            "read": len(first.rows) + first.counts.duplicates,
            "dropped": {reason: count for reason, count in dropped.items() if count},
            **first.counts.as_dict(),
            "files_with_rows": len({first.rows[place][0] for place in kept}),
            "files_split_with_a_copy": len(first.sketches) - len(set(group_of.values())),
            "sources": [_described(source) for source in sources],
        }

    return Generated(rows(), len(kept), stats)


def _described(source: Source) -> dict[str, Any]:
    return {"repository": source.repository, "revision": source.revision or None, "licence": source.licence}


def _nothing(counts: "Counts") -> DataError:
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in counts.not_read.most_common(5) if count)
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in counts.left_out.most_common(5))
    what = f"the sources give no row: {counts.files_read:,} files read, not read: {reasons or 'none'}"
    return DataError("data.empty", f"{what}; definitions left out: {left_out or 'none'}", "check include and templates")


class Counts:
    """What was read and what was not, by the reason."""

    def __init__(self) -> None:
        self.files, self.files_read, self.duplicates = 0, 0, 0
        self.not_read: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()
        self.items: Counter[str] = Counter()
        self.languages: Counter[str] = Counter()

    def as_dict(self) -> dict[str, Any]:
        """The part of stats.json; files = files read + files not read."""
        return {
            "files": {
                "found": self.files,
                "read": self.files_read,
                "not_read": {reason: count for reason, count in self.not_read.most_common() if count},
            },
            "definitions": dict(self.items.most_common()),
            "definitions_left_out": dict(self.left_out.most_common()),
            "languages": dict(self.languages.most_common()),
        }


class _FirstPass:
    """Writes every row to a file, and keeps (file, id) and the offset of each."""

    def __init__(self, path: Path, wanted: Wanted):
        self.path, self._wanted = path, wanted
        self.counts = Counts()
        self.rows: list[tuple[str, str]] = []
        self.offsets: list[int] = []
        self.sketches: dict[str, tuple[int, ...]] = {}
        self.joined: set[tuple[str, str]] = set()
        self._ids: set[str] = set()
        self._questions: list[tuple[int, int]] = []
        self._first: dict[int, int] = {}
        self._several: set[int] = set()
        self._bodies: dict[int, str] = {}

    def __enter__(self) -> "_FirstPass":
        self._file = self.path.open("wb")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, source: Source, is_mixed: bool, report: Callable[[int], None]) -> None:
        """Write the rows of a source."""
        counts, project = self.counts, Project(source.root, frozenset(source.files))
        counts.files += len(source.files) + source.not_read.total()
        counts.not_read.update(source.not_read)
        for file in source.files:
            report(counts.files_read + counts.not_read.total())
            ending = f".{file.rpartition('.')[2].lower()}" if "." in file.rpartition("/")[2] else ""
            if ending not in EXTRACTORS:
                counts.not_read[f"no extractor for {ending}" if 1 < len(ending) < 12 else "no extractor"] += 1
                continue
            text, reason = read(source.root / file)
            try:
                items = [] if reason else list(EXTRACTORS[ending](text, file, project))
            except UnreadableError as error:
                reason, items = str(error), []
            if reason:
                counts.not_read[reason] += 1
                continue
            counts.files_read += 1
            self._write(items, text, file, source, is_mixed)
        counts.left_out.update(project.left_out)

    def _write(self, items: list[Item], text: str, file: str, source: Source, is_mixed: bool) -> None:
        key = f"{source.name}/{file}" if is_mixed else file
        licence = of_file(text) or source.licence
        before = len(self.rows)
        for item in items:
            if self._is_repeated(item, key):
                self.counts.left_out["equal to a definition of another file"] += 1
                continue
            self.counts.items[item.kind] += 1
            self.counts.languages[item.language] += 1
            for tag, draft in self._drafts(item, source):
                extra = {
                    "repository": source.repository,
                    "revision": source.revision or None,
                    "file": file,
                    "line": item.line,
                    "licence": licence,
                    "name": item.name,
                    **draft.extra,
                }
                row = _row(draft, f"{key}:{item.line}", tag, extra)
                self._add(key, row, _question(source, item, tag, draft), self.counts.items.total())
        if len(self.rows) > before:
            self.sketches[key] = sketch(text)
            for item in items:
                self.joined |= {
                    (key, _key(other.file, source, is_mixed)) for other in item.examples if other.file != file
                }

    def _drafts(self, item: Item, source: Source) -> Iterator[tuple[str, Draft]]:
        wanted = self._wanted
        for name in wanted.templates:
            random = Random(f"{wanted.seed} {name} {source.name} {item.file} {item.line} {item.name}")
            wording = Wording(source.title, source.name, random, wanted.completion, wanted.fim)
            for draft in TEMPLATES[name](item, wording):
                yield name, draft

    def _is_repeated(self, item: Item, key: str) -> bool:
        """Whether a file before has a definition with this body, by a hash of 64 bits."""
        if len(item.body) < _LONG_BODY:
            return False
        return self._bodies.setdefault(line_hash(" ".join(item.body.split())), key) != key

    def answerable(self) -> list[int]:
        """The places of rows whose question has one answer. Of definitions with the same name the first has the
        questions about it; a description that fits several definitions is no question."""
        return [
            place
            for place, (question, item) in enumerate(self._questions)
            if question not in self._several or (question > 0 and self._first[question] == item)
        ]

    def _add(self, key: str, row: Row | None, question: int, item: int) -> None:
        if row is None:
            self.counts.left_out["row that cannot be made"] += 1
        elif row["id"] in self._ids:
            self.counts.duplicates += 1
        else:
            self._ids.add(row["id"])
            self._questions.append((question, item))
            if question and self._first.setdefault(question, item) != item:
                self._several.add(question)
            self.offsets.append(self._file.tell())
            self.rows.append((key, row["id"]))
            self._file.write(json.dumps(row, ensure_ascii=True).encode() + b"\n")


def _key(file: str, source: Source, is_mixed: bool) -> str:
    return f"{source.name}/{file}" if is_mixed else file


def _row(draft: Draft, source: str, tag: str, extra: dict[str, Any]) -> Row | None:
    kind = "text" if draft.text is not None else "chat"
    try:
        return make_row(kind, source, messages=draft.messages, text=draft.text, tools=draft.tools, tag=tag, extra=extra)
    except (RowError, UnicodeEncodeError):
        return None


def _question(source: Source, item: Item, tag: str, draft: Draft) -> int:
    """What the row asks, by a hash: below 0 where a description is given and the name asked for; 0 where the question
    holds all that its answer depends on."""
    kind = str(draft.extra.get("question", "lookup"))
    if kind == "which":
        return -line_hash(f"{source.name}\0{item.kind}\0{item.summary}")
    return line_hash(f"{source.name}\0{item.name}") if tag in ("question_answer", "tool_use") else 0
