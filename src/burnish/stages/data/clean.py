"""clean: rewrite, filter, deduplicate and decontaminate raw rows, which keep all their fields.

First each chunk of the source is worked on by itself, by all cores or a Ray cluster, into files of the scratch folder;
then the duplicates among all rows are found; then the rows that are left are written in their order.
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from burnish.core.context import Context, Input, Outcome
from burnish.core.errors import RunError
from burnish.core.events import Note, Progress
from burnish.core.files import write_json
from burnish.data.accounts import Quarantine
from burnish.data.cleaning.bands import map_bands
from burnish.data.cleaning.chunks import Chunk, chunks
from burnish.data.cleaning.decisions import Dropped, Kept, Removed, decisions
from burnish.data.cleaning.evaluations import texts_of_evaluations
from burnish.data.cleaning.files import ChunkFiles, Found, gather
from burnish.data.cleaning.findings import Findings
from burnish.data.cleaning.pools import Pool, pool_of
from burnish.data.cleaning.report import document, table
from burnish.data.cleaning.source import layout_of
from burnish.data.cleaning.work import Settings, Work
from burnish.data.dedup.keeping import Duplicates, duplicates
from burnish.data.dedup.minhash import Scheme
from burnish.data.dedup.near import BandPairs, Pairs
from burnish.data.filters.contamination import Contamination
from burnish.data.filters.length import Count
from burnish.data.filters.table import block_filters
from burnish.data.native.library import loaded
from burnish.data.record import ReadReport
from burnish.data.rewriting.table import rewrites
from burnish.data.shards.manifest import read_manifest
from burnish.data.shards.writer import ShardWriter
from burnish.data.sources.listing import find_files
from burnish.data.sources.repository import checkout
from burnish.reports.document import write
from burnish.specs.data import CleanSpec, FiltersSpec, NearDedupSpec

_SECONDS_BETWEEN_REPORTS = 0.5


def run(spec: CleanSpec, ctx: Context) -> Outcome:
    """Write the shards and their manifest, `stats.json`, `report.html`, `quarantine.jsonl` and `removed.jsonl`."""
    source = ctx.input("source")
    path = checkout(source, ctx.scratch)
    settings = _settings(spec, ctx, path)
    keep, exact, form = spec.keep, spec.exact_dedup, spec.form
    keeps_removed, max_bad_share = spec.keep_removed, spec.max_bad_share
    reading = ReadReport(encoding=settings.encoding)
    parts = list(chunks(find_files(path, reading, spec.subset), reading))
    with closing(pool_of(spec.on, spec.workers, settings.folder, path)) as pool:
        ctx.check_settings()
        findings = _worked(parts, settings, reading, pool, ctx)
        with Quarantine(ctx.scratch / "quarantine.jsonl") as quarantine:
            for number in range(len(parts)):
                for bad in ChunkFiles(settings.folder, number).bad():
                    quarantine.add(bad)
        quarantine.check_share(findings.accounts.read, max_bad_share)
        gather(settings.folder, len(parts))
        found = Found(settings.folder)
        dropped = _duplicates(found, settings, keep, exact, pool, ctx)
    every = decisions(settings.folder, len(parts), found, dropped)
    about = _about(source, path)
    with (
        ShardWriter(ctx.out, form, about=about, columns=findings.columns) as writer,
        Removed(ctx.out / "removed.jsonl" if keeps_removed else None) as removed,
    ):
        for decision in _until_stopped(every, findings.rows, ctx):
            findings.add(decision)
            if isinstance(decision, Kept):
                decision.write(writer)
            else:
                removed.write(decision)
        findings.check(source.ref)
    shutil.rmtree(settings.folder)
    shutil.copyfile(quarantine.path, ctx.out / quarantine.path.name)
    write_json(ctx.out / "stats.json", findings.as_dict())
    write(document(findings, source.ref), ctx.out)
    for note in findings.notes(reading, quarantine):
        ctx.emit(note)
    ctx.emit(table(findings))
    return Outcome("rows", findings.measures(), {"notes": reading.notes})


def _about(source: Input, path: Path) -> dict[str, Any]:
    """What the manifest says of the source; of rows that were fetched also where they are from, and their licence."""
    about: dict[str, Any] = {"source": source.ref, "revision": source.revision or None, "licence": None}
    manifest = read_manifest(path) if path.is_dir() else None
    if manifest is not None:
        about |= {"licence": manifest.about.get("licence"), "origin": manifest.about.get("origin", manifest.about)}
    return about


def _settings(spec: CleanSpec, ctx: Context, path: Path) -> Settings:
    """What the chunks are worked on with; the layout is reported."""
    name = ctx.input("source").ref
    layout = layout_of(path, name, spec.format, spec.text, spec.subset, spec.encoding)
    ctx.emit(Note(text=f"{name}: {layout.reason}"))
    kernels, problem = loaded()
    if kernels is None:
        ctx.emit(Note(text=f"kernels: numpy alone takes about twice as long: {problem}"))
    near = NearDedupSpec() if spec.near_dedup is True else spec.near_dedup or None
    filters = spec.filters
    folder = ctx.scratch / "chunks"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return Settings(
        folder,
        layout.columns,
        layout.compared,
        layout.kind,
        rewrites(spec.rewriting),
        [] if filters is None else block_filters(filters, layout.kind, _lists(filters, ctx), _count(spec, ctx)),
        None if near is None else Scheme(near.size, near.unit, near.bands, near.rows, near.threshold),
        spec.rank_by,
        spec.encoding,
        _contamination(spec, ctx),
    )


def _contamination(spec: CleanSpec, ctx: Context) -> Contamination | None:
    settings = spec.decontaminate
    if settings is None:
        return None
    inputs = [ctx.input(f"decontaminate.against.{i}") for i in range(len(settings.against))]
    known = Contamination(texts_of_evaluations(inputs), settings.size, settings.share)
    if known.too_short:
        text = f"{known.too_short:,} texts of evaluations have too few words to be looked for"
        ctx.emit(Note(level="warning", text=text))
    return known


def _lists(spec: FiltersSpec, ctx: Context) -> dict[str, Path]:
    """The files of `filters.words` and `filters.urls` that are set."""
    listed = {"words.file": spec.words, "urls.file": spec.urls}
    return {name: ctx.input(f"filters.{name}").path for name, of in listed.items() if of is not None and of.file}


def _count(spec: CleanSpec, ctx: Context) -> Count | None:
    """Counts tokens, here and in the workers."""
    if spec.tokenizer is None:
        return None
    from burnish.stages.tokens.counting import counter_of  # brings transformers, which takes seconds to import

    return counter_of(ctx.input("tokenizer"))


def _worked(parts: list[Chunk], settings: Settings, reading: ReadReport, pool: Pool, ctx: Context) -> Findings:
    """The findings of all chunks, whose files are written then."""
    findings = Findings()
    done, total, reported = 0, sum(part.size for part in parts), time.monotonic()
    for part, report in pool.map(partial(Work, settings), parts):
        findings.take(report, reading)
        done += part.size
        if time.monotonic() - reported > _SECONDS_BETWEEN_REPORTS or done == total:
            reported = time.monotonic()
            ctx.emit(Progress(phase="clean", done=done, total=total, unit="bytes"))
        _stop_if_requested(ctx)
    return findings


def _duplicates(
    found: Found,
    settings: Settings,
    keep: str,
    exact: bool,
    pool: Pool,
    ctx: Context,
) -> Duplicates:
    scheme = settings.scheme
    if scheme is None:
        return duplicates(found.batches, keep, exact=exact)
    find = map_bands(pool, settings.folder, scheme)

    def reported(function: BandPairs, bands: range) -> Iterator[Pairs]:
        for done, pairs in enumerate(find(function, bands), start=1):
            _tick(ctx, "find near duplicates", "bands", done, len(bands))
            yield pairs

    tick = partial(_tick, ctx, "compare near duplicates", "texts")
    signed = found.signed()
    return duplicates(found.batches, keep, exact=exact, signed=signed, scheme=scheme, map_bands=reported, tick=tick)


def _tick(ctx: Context, phase: str, unit: str, done: int, total: int) -> None:
    ctx.emit(Progress(phase=phase, done=done, total=total, unit=unit))
    _stop_if_requested(ctx)


def _until_stopped(every: Iterator[Kept | Dropped], total: int, ctx: Context) -> Iterator[Kept | Dropped]:
    done, reported = 0, time.monotonic()
    for decision in every:
        yield decision
        done += len(decision.rows) if isinstance(decision, Kept) else 1
        if time.monotonic() - reported > _SECONDS_BETWEEN_REPORTS:
            reported = time.monotonic()
            ctx.emit(Progress(phase="write", done=done, total=total))
            _stop_if_requested(ctx)
    ctx.emit(Progress(phase="write", done=total, total=total))


def _stop_if_requested(ctx: Context) -> None:
    if ctx.stopping:
        raise RunError("run.interrupted", "stopped while rows were cleaned", "run it again: it starts over")
