"""The answers to judge: read from a result or a file, by columns, and joined with references and other answers."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from burnish.core.context import Input
from burnish.core.errors import AskError, DataError
from burnish.core.events import Chosen, Event, Note
from burnish.core.fingerprint import of_value
from burnish.core.naming import nearest
from burnish.data.document import conversation_text
from burnish.data.reader import read
from burnish.data.record import Bad, ReadReport, Record, RowError
from burnish.data.strict_json import parse
from burnish.evals.items import ITEMS
from burnish.evals.judge.prompts import as_text
from burnish.evals.scoring.scorers import opening, visible
from burnish.specs.evals.judge import ColumnsSpec

Emit = Callable[[Event], None]
ROLES = ("id", "prompt", "answer", "other", "reference", "context", "tag")
_ANSWERS = ("answer", "prediction", "predict", "response", "output", "completion", "generated_text", "model_output")
_REFERENCES = ("reference", "label", "target", "gold", "expected", "ground_truth", "reference_answer")
_USUAL: dict[str, tuple[str, ...]] = {
    "id": ("id", "question_id", "uuid"),
    "prompt": ("prompt", "question", "instruction", "input", "query", "user_input", "messages"),
    "answer": _ANSWERS,
    "other": (),
    "reference": _REFERENCES,
    "context": ("context", "contexts", "retrieved_contexts", "document", "passage"),
    "tag": ("tag", "category"),
}
_SETTINGS = {"answers": "columns", "against": "against_columns", "references": "reference_columns"}
_FILES = {"evaluation": ITEMS, "generations": "answers.jsonl"}
_MOST_BYTES = 256 * 1024 * 1024
_SHOWN = 3


@dataclass(frozen=True)
class Case:
    """One answer to judge, with what the judge may read. A missing answer is None."""

    id: str
    source: str
    prompt: str
    answer: str | None
    other: str | None = None
    reference: str | None = None
    context: str | None = None
    tag: str | None = None
    finish_reason: str = ""
    cluster: str | None = None
    columns: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def row(self) -> dict[str, Any]:
        """As a row: for placeholders and reports."""
        named = {"id": self.id, "source": self.source, "tag": self.tag, "cluster": self.cluster}
        return {**named, "extra": self.columns}


@dataclass(frozen=True)
class Answers:
    """The rows of a file as cases, and the columns that were found, by role."""

    cases: list[Case]
    columns: Mapping[str, str]
    name: str


def read_answers(given: Input, columns: ColumnsSpec, field: str, emit: Emit, *, needs: Sequence[str]) -> Answers:
    """All rows of a result of `evaluate` or `generate`, or of a file.

    `field` is the setting that names it (answers, against, references); `needs` are the roles whose column must be
    certain.
    Errors: AskError `ask.wrong-value` for a column that is not there or could be one of several; DataError
    `data.too-many-bad-rows` if a row cannot be read, `data.empty`.
    """
    path = given.path / _FILES[given.kind] if given.kind in _FILES else given.path
    records = _records(path, emit)
    if not records:
        raise DataError("data.empty", f"{given.ref} has no rows", "check the file")
    found = _columns(records, columns, _SETTINGS[field], field, needs, emit)
    cases = [_case(record, found, given.kind == "evaluation") for record in records]
    return Answers(_numbered(cases, "id" in found, given.ref, emit), found, given.ref)


def _records(path: Path, emit: Emit) -> list[Record]:
    plain = _plain(path)
    if plain is not None:
        return plain
    reading, records, bad = ReadReport(), list[Record](), list[Bad]()
    for item in read(path, reading):
        if isinstance(item, Bad):
            bad.append(item)
        else:
            records.append(item)
    for note in reading.notes:
        emit(Note(text=note))
    for text, matters in reading.messages():
        emit(Note(level="warning" if matters else "info", text=text))
    if bad:
        first = "; ".join(str(item) for item in islice(bad, _SHOWN))
        what = f"{len(bad):,} of {len(bad) + len(records):,} rows of {path.name} cannot be read: {first}"
        raise DataError("data.too-many-bad-rows", what, "correct the rows: every answer counts")
    return records


def _plain(path: Path) -> list[Record] | None:
    """A JSON list of texts, a JSON object of texts by id, or a text of lines; None for another file."""
    suffix = path.suffix.lower()
    if suffix not in (".json", ".txt") or path.stat().st_size > _MOST_BYTES:
        return None
    try:
        text = path.read_text(encoding="utf-8-sig")
        value: Any = text.removesuffix("\n").split("\n") if suffix == ".txt" else parse(text)
    except UnicodeDecodeError as error:
        raise DataError("data.unreadable", f"{path.name} is not UTF-8: {error}", "save it as UTF-8") from error
    except RowError:
        return None  # the reader of rows reports it
    if isinstance(value, list) and value and all(item is None or isinstance(item, str) for item in value):
        mark = ":" if suffix == ".txt" else "#"
        return [Record({"answer": item}, f"{path.name}{mark}{place}") for place, item in enumerate(value, 1)]
    is_row = isinstance(value, dict) and any(key in names for key in value for names in _USUAL.values())
    if isinstance(value, dict) and value and not is_row and all(isinstance(v, str | None) for v in value.values()):
        return [Record({"id": key, "answer": item}, f"{path.name}#{key}") for key, item in value.items()]
    return None


def _columns(
    records: Sequence[Record], spec: ColumnsSpec, setting: str, field: str, needs: Sequence[str], emit: Emit
) -> dict[str, str]:
    """The column of each role: named, or the only usual one, which is reported."""
    named = {role: getattr(spec, role) for role in ROLES}
    names = list(dict.fromkeys(name for record in records for name in record.raw))
    found: dict[str, str] = {}
    for role, column in named.items():
        if column is None:
            continue
        if not any(value_at(record.raw, column) is not ABSENT for record in records):
            fix = f"{nearest(column, names)}; the columns: {', '.join(names)}"
            raise AskError("ask.wrong-value", f"{setting}.{role}: {field} has no column '{column}'", fix)
        found[role] = column
    for role in ROLES:
        if role in found:
            continue
        usual = _usual(role, field)
        free = [name for name in usual if name in names and name not in found.values()]
        if len(free) == 1:
            found[role] = free[0]
            emit(Chosen(field=f"{setting}.{role}", value=free[0], reason=f"the usual name of a column, in {field}"))
        elif role in needs and (free or role == "answer" or (role == "reference" and field == "references")):
            what = f"may be {' or '.join(free)}" if free else "has none of the usual names"
            fix = f"set {setting}.{role} to one of: {', '.join(names)}"
            raise AskError("ask.wrong-value", f"the column of the {role} in {field} {what}", fix)
        elif free:
            text = (
                f"{field}: the column of the {role} may be {' or '.join(free)}, and none is used: set {setting}.{role}"
            )
            emit(Note(level="warning", text=text))
    return found


def _usual(role: str, field: str) -> tuple[str, ...]:
    if role == "reference" and field == "references":
        return (*_REFERENCES, *_ANSWERS)
    return () if role == "answer" and field == "references" else _USUAL[role]


ABSENT = object()


def value_at(raw: Mapping[str, Any], column: str) -> Any:
    """A column, or by a dotted name a field of an object; else ABSENT."""
    if column in raw:
        return raw[column]
    value: Any = raw
    for part in column.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return ABSENT
        value = value[part]
    return value


def _case(record: Record, columns: Mapping[str, str], is_evaluation: bool) -> Case:
    values = {role: value_at(record.raw, column) for role, column in columns.items()}
    texts = {role: None if value is ABSENT or value is None else _text(value) for role, value in values.items()}
    prompt = texts.get("prompt") or ""
    opened = is_evaluation and bool(opening(prompt))
    finish = record.raw.get("finish_reason")
    source = record.raw.get("source")
    return Case(
        id=texts.get("id") or "",
        source=source if isinstance(source, str) and source else record.source,
        prompt=prompt,
        answer=_visible(texts.get("answer"), opened),
        other=_visible(texts.get("other"), opened),
        reference=_visible(texts.get("reference"), False),
        context=texts.get("context"),
        tag=texts.get("tag"),
        finish_reason=finish if isinstance(finish, str) else "",
        cluster=_text(cluster) if is_evaluation and (cluster := record.raw.get("cluster")) is not None else None,
        columns=record.raw,
    )


def _visible(text: str | None, opened: bool) -> str | None:
    return None if text is None else visible(text, opened)


def _text(value: Any) -> str:
    """A text, turns with their roles, or JSON."""
    is_turns = isinstance(value, list) and value and all(_is_turn(turn) for turn in value)
    return conversation_text(value) if is_turns else as_text(value)


def _is_turn(turn: Any) -> bool:
    return isinstance(turn, dict) and isinstance(turn.get("role"), str) and isinstance(turn.get("content"), str)


def _numbered(cases: list[Case], has_ids: bool, name: str, emit: Emit) -> list[Case]:
    """Every case with an id of its own: that of its column, or of its prompt and reference; a second one is `ID#2`."""
    seen, done = Counter[str](), list[Case]()
    for case in cases:
        base = case.id or of_value([case.prompt, case.reference, case.tag])[:16]
        seen[base] += 1
        done.append(replace(case, id=base if seen[base] == 1 else f"{base}#{seen[base]}"))
    repeated = sum(count > 1 for count in seen.values())
    if has_ids and repeated:
        text = f"{name}: {repeated:,} ids occur several times; their rows are distinguished by their order"
        emit(Note(level="warning", text=text))
    return done
