"""From raw records to canonical rows: columns renamed, the layout detected from the first rows and reported."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain

from burnish.core.errors import DataError
from burnish.core.naming import nearest
from burnish.data.document import Row, canonical_json
from burnish.data.formats import FORMATS
from burnish.data.formats.format import WEAK, Format
from burnish.data.formats.refused import REFUSED
from burnish.data.formats.roles import roles_in
from burnish.data.record import Bad, Record, RowError, cut

SAMPLE = 100
"""How many of the first rows a layout is detected from."""
_MOST_BAD = 1000
"""How many bad rows among them are skipped."""

_POSITION = re.compile(r"(?<=\.)\d+(?=\.|$)")


@dataclass(frozen=True)
class Found:
    """A layout, and why it was taken. `roles` maps the source's names of roles to ours."""

    format: Format
    reason: str
    roles: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Mapped:
    """A canonical row, and the split that its file belongs to (empty where none is given)."""

    row: Row
    split: str = ""
    remarks: tuple[str, ...] = ()
    """What the mapping changed beyond renaming, one phrase each, to be counted and reported."""
    part: int = 0
    """The place of its source among those of a mixture."""

    @property
    def unmapped(self) -> list[str]:
        """The names of what the layout does not map and `extra` keeps: `context`, `messages.*.mood`."""
        return unmapped_columns(self.row)


def unmapped_columns(row: Row) -> list[str]:
    """The names in a row's `extra`, each once, the positions in a list written as `*`."""
    return list(dict.fromkeys(_POSITION.sub("*", name) for name in row.get("extra", ())))


def check_names(
    items: Iterable[Record | Bad], columns: Iterable[str], roles: Iterable[str], name: str, setting: str = "columns"
) -> None:
    """DataError `data.missing-column` when a renamed column or a mapped role is in no row at all.

    Reads only as far as needed: mostly the first row.
    """
    missing, unused = dict.fromkeys(columns), dict.fromkeys(roles)
    there: dict[str, None] = {}
    heard: dict[str, None] = {}
    is_empty = True
    for item in items:
        if not missing and not unused:
            return
        if isinstance(item, Bad):
            continue
        is_empty = False
        there |= dict.fromkeys(item.raw)
        missing = {column: None for column in missing if column not in item.raw}
        if unused:
            heard |= dict.fromkeys(roles_in(item.raw))
            unused = {role: None for role in unused if role not in heard}
    if is_empty:
        return
    for column in missing:
        what = f"`{setting}` names '{column}', which no row of {name} has; its columns are: {', '.join(sorted(there))}"
        raise DataError("data.missing-column", what, f"{nearest(column, there)} correct the name, or remove it")
    for role in unused:
        what = (
            f"`roles` names '{role}', which no turn of {name} has; its roles are: {', '.join(sorted(heard)) or 'none'}"
        )
        raise DataError("data.missing-column", what, f"{nearest(role, heard)} correct the name, or remove it")


def renamed(items: Iterable[Record | Bad], columns: Mapping[str, str]) -> Iterator[Record | Bad]:
    """Rename columns as `{theirs: ours}`; a row in which two columns would get one name is bad."""
    for item in items:
        yield _renamed(item, columns) if columns and isinstance(item, Record) else item


def _renamed(record: Record, columns: Mapping[str, str]) -> Record | Bad:
    names = [columns.get(key, key) for key in record.raw]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is None:
        return replace(record, raw=dict(zip(names, record.raw.values(), strict=True)))
    reason = f"`columns` renames two columns to '{twice}': rename the other one too"
    return Bad(record.source, twice, reason, cut(canonical_json(record.raw).decode()))


def missing_column(name: str, column: str, available: Iterable[str]) -> DataError:
    """The error that names a missing column, the columns there are, and the nearest of them."""
    names = sorted(available)
    return DataError(
        "data.missing-column",
        f"{name} has no column '{column}'; its columns are: {', '.join(names)}",
        f"{nearest(column, names)} rename with `columns: {{their_column: {column}}}`, or set another `format`",
    )


def detect(
    items: Iterator[Record | Bad], name: str, format_name: str = "auto", roles: Mapping[str, str] | None = None
) -> tuple[Found, Iterator[Record | Bad]]:
    """The layout of a source, and its items with nothing taken away.

    DataError `data.unknown-format` when no layout fits, or more than one; `data.missing-column` when a layout was
    requested and no row has its columns.
    """
    head = _head(items)
    records = [item for item in head if isinstance(item, Record)]
    if format_name == "auto":
        found = _detected(records, name)
    else:
        found = Found(FORMATS[format_name], "as requested")
        for names in found.format.needs if records else ():
            if not any(column in record.raw for record in records for column in names):
                raise missing_column(name, names[0], {key for record in records for key in record.raw})
    return replace(found, roles=roles or {}), chain(head, items)


def map_rows(items: Iterable[Record | Bad], found: Found) -> Iterator[Mapped | Bad]:
    """Each record as a canonical row; what cannot be mapped is bad, with its field and reason."""
    for item in items:
        if isinstance(item, Bad):
            yield item
            continue
        try:
            row, remarks = found.format.read(item.raw, item.source, found.roles)
            yield Mapped(row, item.split, remarks)
        except RowError as error:
            yield Bad(item.source, error.field, error.reason, cut(canonical_json(item.raw).decode()))


def _head(items: Iterator[Record | Bad]) -> list[Record | Bad]:
    """The first rows: SAMPLE readable ones, and the bad ones that stand before and between them."""
    head: list[Record | Bad] = []
    good = bad = 0
    while good < SAMPLE and bad < _MOST_BAD and (item := next(items, None)) is not None:
        head.append(item)
        good, bad = good + isinstance(item, Record), bad + isinstance(item, Bad)
    return head


def _detected(records: list[Record], name: str) -> Found:
    votes: Counter[str] = Counter()
    reasons: dict[str, str] = {}
    for record in records:
        for format in FORMATS.values():
            if reason := format.fits(record.raw):
                votes[format.name] += 1
                reasons[format.name] = reason
    if not records:
        return Found(FORMATS["text"], "there are no readable rows")
    likely = [format for format in votes if votes[format] * 2 >= len(records)]
    lowest = min((FORMATS[format].rank for format in likely), default=WEAK)
    for refused in REFUSED if lowest == WEAK else ():
        if sum(refused.fits(record.raw) for record in records) * 2 > len(records):
            raise DataError("data.unknown-format", f"the rows of {name} are {refused.name}", refused.fix)
    taken = [format for format in likely if FORMATS[format].rank == lowest]
    if len(taken) == 1:
        chosen = taken[0]
        others = [format for format in likely if format != chosen]
        instead = f"; it could also be read as {' or '.join(others)}" if others else ""
        share = "every one" if votes[chosen] == len(records) else f"{votes[chosen]}"
        has = "has" if votes[chosen] in (1, len(records)) else "have"
        reason = f"{share} of the first {len(records)} rows {has} {reasons[chosen]}{instead}"
        return Found(FORMATS[chosen], reason)
    columns = sorted({key for record in records for key in record.raw})
    listed = ", ".join(f"{format} ({votes[format]} of {len(records)})" for format in (taken or votes))
    if taken:
        what = f"more than one layout fits {name}: {listed}"
    else:
        what = f"no layout fits most rows of {name}: {listed}" if listed else f"no known layout fits {name}"
    fix = f"set `format: …` ({', '.join(FORMATS)}), or rename columns with `columns: {{their_column: ours}}`"
    if len({re.split("[:#]", record.source)[0] for record in records}) > 1:
        fix += "; if its files differ, give each as a source of its own"
    raise DataError("data.unknown-format", f"{what}; its columns are: {', '.join(columns)}", fix)
