"""prepare: read rows of any known layout, map them to conversations, filter, count tokens, split, and write a dataset.

Every row that is read is kept, put into quarantine with its reason, or dropped under a counted reason.
"""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from burnish.core.context import Context, Outcome
from burnish.core.errors import DataError
from burnish.core.events import Note, Table
from burnish.core.files import write_json
from burnish.data.accounts import Accounts, Quarantine
from burnish.data.dataset import DatasetWriter
from burnish.data.filters import Filter
from burnish.data.filters.duplicates import Duplicates
from burnish.data.filters.language import LanguageFilter
from burnish.data.mapping import Mapped
from burnish.data.mixture import HashSampler, Kept, Part, named
from burnish.data.profile import Profile
from burnish.data.record import Bad, ReadReport
from burnish.data.splits.split import SPLITS, Splitter, shortfalls
from burnish.specs.data import PrepareSpec
from burnish.stages.data.mixing import Mixing
from burnish.stages.data.placing import Placement
from burnish.stages.data.progress import reported
from burnish.stages.data.sources import layout_of, open_sources

if TYPE_CHECKING:
    from burnish.stages.tokens.tokenising import KeptTokens

_COLUMNS_SHOWN = 12


def run(spec: PrepareSpec, ctx: Context) -> Outcome:
    """Write `train.parquet`, `validation.parquet`, `test.parquet`, `quarantine.jsonl`, `sample.jsonl`, `stats.json`."""
    with _kept_tokens(spec, ctx) as kept:
        return _prepare(spec, ctx, kept)


def _prepare(spec: PrepareSpec, ctx: Context, kept: "KeptTokens | None") -> Outcome:
    parts = open_sources(spec, ctx)
    filters = _filters(spec)
    splitter = _splitter(spec, ctx)
    mixing = Mixing.of(spec, parts, ctx)
    max_bad_share = spec.max_bad_share
    if kept is None:  # a renderer reads its settings as rows of their kind come; the end of the step checks those
        ctx.check_settings()

    reading, accounts, profile = ReadReport(), Accounts(), Profile()
    with (
        DatasetWriter(ctx.out, counted=kept is not None) as writer,
        Quarantine(ctx.scratch / "quarantine.jsonl") as quarantine,
    ):
        placement = Placement(splitter, writer, profile)
        keep = placement.add if mixing is None else mixing.add
        for item, length, number in _rendered(_filtered(parts, filters, reading, ctx), kept):
            accounts.read += 1
            if isinstance(item, Bad):
                accounts.quarantined += 1
                quarantine.add(item)
            elif isinstance(item, str):
                accounts.dropped[item] += 1
            else:
                accounts.kept += 1
                keep(Kept(item.row, item.split, item.remarks, length, number, part=item.part))
        if mixing is not None:
            accounts.drop_kept(mixing.place(placement), "beyond the mixture")
        placement.finish()
        if mixing is not None:
            accounts.repeated = mixing.repeat(placement)

    for note in reading.notes:
        ctx.emit(Note(text=note))
    for sentence, matters in reading.messages():
        ctx.emit(Note(level="warning" if matters else "info", text=sentence))
    for sentence in kept.renderer.warnings() if kept is not None else ():
        ctx.emit(Note(level="warning", text=sentence))
    accounts.balance()
    quarantine.check_share(accounts.read, max_bad_share)
    if not accounts.kept:
        raise _nothing_left(accounts)
    shutil.copyfile(quarantine.path, ctx.out / quarantine.path.name)
    leaks = splitter.leaks()
    _warn(ctx, accounts, quarantine, splitter, leaks, writer, profile, filters)
    stats = {
        **accounts.as_dict(),
        "blank_lines": reading.blank,
        "files": {"read": reading.files, "not_read": len(reading.skipped)},
        "splits": _rows_of_splits(splitter, writer),
        "sources": {name: layout_of(part) for name, part in named(parts).items()},
        "leaks": leaks,
        **({"mixture": mixing.as_dict()} if mixing is not None else {}),
        **({"rendering": dict(kept.renderer.counts)} if kept is not None else {}),
        **profile.as_dict(),
    }
    write_json(ctx.out / "stats.json", stats)
    if kept is not None:
        kept.publish(ctx.out, {split: numbers for split, numbers in placement.order.items() if numbers})
    if mixing is not None:
        mixing.report(ctx)
    ctx.emit(_table(accounts, reading, writer, profile))
    return Outcome("dataset", _measures(stats), {"notes": reading.notes})


def _rows_of_splits(splitter: Splitter, writer: DatasetWriter) -> dict[str, int]:
    """Rows by split; a split that was requested and is empty counts 0 rows."""
    return {name: writer.rows.get(name, 0) for name in SPLITS if name in writer.rows or name in splitter.wanted}


def _kept_tokens(spec: PrepareSpec, ctx: Context) -> "AbstractContextManager[KeptTokens | None]":
    if spec.tokenizer is None:
        return nullcontext()
    from burnish.stages.tokens.rendering import RowRenderer  # brings transformers, which takes seconds to import
    from burnish.stages.tokens.tokenising import KeptTokens

    return KeptTokens(RowRenderer.of(ctx.input("tokenizer"), spec.render), ctx)


def _splitter(spec: PrepareSpec, ctx: Context) -> Splitter:
    """Without a tokenizer it is unknown which turns will be learned: every answer counts."""
    train_on = spec.render.train_on if spec.tokenizer is not None else "assistant"
    return Splitter(spec.split.validation, spec.split.test, spec.split.seed, ctx.scratch, train_on)


def _filters(spec: PrepareSpec) -> list[Filter]:
    filters: list[Filter] = []
    if spec.languages is not None:
        filters.append(LanguageFilter(spec.languages.keep, spec.languages.min_probability, spec.languages.detector))
    if spec.deduplicate:
        filters.append(Duplicates(content_only=spec.deduplicate == "content"))
    return filters


def _filtered(
    parts: list[Part], filters: list[Filter], reading: ReadReport, ctx: Context
) -> Iterator[Mapped | Bad | str]:
    """Every row that passes the filters, every bad row, and the reason for each dropped one."""
    for item, drops in reported(_rows(parts, filters, reading, ctx), "read", reading, ctx):
        if isinstance(item, Bad):
            yield item
        else:
            yield next((reason for drop in drops if (reason := drop(item.row))), "") or item


def _rendered(
    items: Iterable[Mapped | Bad | str], kept: "KeptTokens | None"
) -> Iterator[tuple[Mapped | Bad | str, tuple[int, ...], int]]:
    """Each item with its (tokens, learned tokens) where rows are rendered, and the number of its kept tokens.

    A row that cannot be rendered becomes Bad, one that is too long the reason why it is dropped.
    """
    if kept is None:
        yield from ((item, (), 0) for item in items)
        return
    from burnish.stages.tokens.rendering import length

    for item, rendered in kept.renderer.stream(items, lambda item: item.row if isinstance(item, Mapped) else None):
        if rendered is None or not isinstance(item, Mapped):
            yield item, (), 0
            continue
        found = length(item.row, rendered)
        if isinstance(found, tuple):
            yield item, found, kept.add(item.row, rendered)
        else:
            yield found or "too long", (), 0


def _rows(
    parts: list[Part], filters: list[Filter], reading: ReadReport, ctx: Context
) -> Iterator[tuple[Mapped | Bad, list[Filter]]]:
    """Every row of every source with the filters it must pass."""
    for part in parts:
        drops = filters
        if part.take is not None:
            first = ReadReport()
            drops = [HashSampler(reported(part.items(first), "choose", first, ctx), part.take), *filters]
        for item in part.items(reading):
            yield item, drops


def _nothing_left(accounts: Accounts) -> DataError:
    if not accounts.read:
        return DataError("data.empty", "the source has no rows", "check the path and its content")
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in accounts.dropped.most_common(5))
    what = f"none of {accounts.read:,} rows is left: {accounts.quarantined:,} bad, dropped: {reasons or 'none'}"
    return DataError("data.empty", what, "loosen the filters, or raise max_length")


def _warn(
    ctx: Context,
    accounts: Accounts,
    quarantine: Quarantine,
    splitter: Splitter,
    leaks: int,
    writer: DatasetWriter,
    profile: Profile,
    filters: list[Filter],
) -> None:
    """Report what a user should know before training on this."""
    if accounts.quarantined:
        text = f"bad rows, written to quarantine.jsonl: {accounts.quarantined:,}, such as {quarantine.examples}"
        ctx.emit(Note(level="warning", text=text))
    if len(profile.kinds) > 1 and not profile.kinds.keys() <= {"chat", "text"}:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in profile.kinds.most_common())
        text = f"kinds of rows that no training stage accepts together: {kinds} (prompt: a row without an answer)"
        ctx.emit(Note(level="warning", text=text))
    equal = [text for filter in filters if isinstance(filter, Duplicates) and (text := filter.message())]
    for sentence in [*profile.messages(), *equal]:
        ctx.emit(Note(text=sentence))
    for sentence in shortfalls(splitter, writer.rows):
        ctx.emit(Note(level="warning", text=sentence))
    if not writer.rows.get("train") and not splitter.placed:
        text = "there are no rows to train on: all files of the source belong to held-out splits"
        ctx.emit(Note(level="warning", text=text))
    if leaks:
        text = (
            f"{leaks:,} held-out rows repeat the question and context of a training row: the source was split this way"
        )
        ctx.emit(Note(level="warning", text=text))
    if profile.tokens.count and not profile.learned.total:
        raise DataError("data.nothing-learned", "no token of any row would be learned", "check render.train_on")


def _table(accounts: Accounts, reading: ReadReport, writer: DatasetWriter, profile: Profile) -> Table:
    rows = [["read", f"{accounts.read:,}"]]
    rows += [[split, f"{count:,}"] for split, count in writer.rows.items()]
    rows += [["quarantined", f"{accounts.quarantined:,}"]]
    rows += [[f"dropped: {reason}", f"{count:,}"] for reason, count in accounts.dropped.most_common()]
    rows += [[f"not mapped: {name}", f"{count:,}"] for name, count in profile.unmapped.most_common(_COLUMNS_SHOWN)]
    rows += [["repeated", f"{accounts.repeated:,}"]] if accounts.repeated else []
    rows += [["files not read", f"{len(reading.skipped):,}"]] if reading.skipped else []
    rows += [["blank lines", f"{reading.blank:,}"]] if reading.blank else []
    if profile.tokens.count:
        rows += [["tokens", f"{profile.tokens.total:,}"], ["learned tokens", f"{profile.learned.total:,}"]]
    return Table(title="Prepared rows", columns=["", "count"], rows=rows)


def _measures(stats: dict[str, Any]) -> dict[str, Any]:
    named = {key: stats[key] for key in ("read", "kept", "quarantined", "dropped", "splits")}
    tokens = {key: stats[key]["total"] for key in ("tokens", "learned") if key in stats}
    return named | tokens | {"rows": stats["kept"] + stats.get("repeated", 0)}
