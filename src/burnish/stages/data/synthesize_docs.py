"""The generator `kind: docs`: its settings and inputs, as the rooms of data take them."""

import time

from burnish.core.context import Context
from burnish.core.errors import RunError
from burnish.core.events import Note, Progress
from burnish.data.synthesize.docs.generator import Wanted, generate
from burnish.data.synthesize.docs.sources import open_source
from burnish.data.synthesize.generated import Generated
from burnish.specs.data import DocsSpec

_SECONDS_BETWEEN_REPORTS = 0.5


def docs(spec: DocsSpec, ctx: Context) -> Generated:
    """Read the sources, report what was not read, and give the rows."""
    sources = [
        open_source(ctx.input(f"generator.sources.{number}.ref"), source.include, source.exclude, ctx.scratch)
        for number, source in enumerate(spec.sources)
    ]
    wanted = _wanted(spec)
    ctx.check_settings()
    generated = generate(sources, wanted, ctx.scratch, _reporter(ctx))
    files = sum(len(source.files) for source in sources)
    ctx.emit(Progress(phase="read", done=files, total=files, unit="files"))
    _warn(generated, ctx)
    return generated


def _wanted(spec: DocsSpec) -> Wanted:
    """The settings; those of a template that is not requested are not read, and so refused where they are set."""
    templates = tuple(dict.fromkeys(spec.templates))
    tokens = spec.fim_tokens if "fill_in_the_middle" in templates else None
    return Wanted(
        templates=templates,
        completion=spec.completion if "completion" in templates else "chat",
        fim=(tokens.prefix, tokens.suffix, tokens.middle) if tokens is not None else None,
        limit=spec.limit,
        seed=spec.seed,
        validation=spec.split.validation,
        test=spec.split.test,
    )


def _reporter(ctx: Context):
    reported = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal reported
        if time.monotonic() - reported > _SECONDS_BETWEEN_REPORTS:
            reported = time.monotonic()
            ctx.emit(Progress(phase="read", done=done, total=total, unit="files"))
            if ctx.stopping:
                raise RunError("run.interrupted", f"stopped after {done:,} files", "run it again: it starts over")

    return report


def _warn(generated: Generated, ctx: Context) -> None:
    stats = generated.stats()
    not_read = ", ".join(f"{count:,} {reason}" for reason, count in stats["files"]["not_read"].items())
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in stats["definitions_left_out"].items())
    made = sum(stats["definitions"].values())
    text = f"{stats['files']['read']:,} of {stats['files']['found']:,} files read"
    ctx.emit(Note(text=f"{text}; not read: {not_read}" if not_read else text))
    text = f"{made:,} definitions and sections used"
    ctx.emit(Note(text=f"{text}; left out: {left_out}" if left_out else text))
    dropped = ", ".join(f"{count:,} {reason}" for reason, count in stats["dropped"].items())
    text = f"{generated.total:,} of {stats['read']:,} rows"
    ctx.emit(Note(text=f"{text}; dropped: {dropped}" if dropped else text))
