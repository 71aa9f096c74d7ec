"""Generate rows and write them as a dataset. Each kind of generator is a function in the table below."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from burnish.core.context import Context, Outcome
from burnish.core.errors import RunError
from burnish.core.events import Progress
from burnish.core.files import write_json
from burnish.data.dataset import DatasetWriter
from burnish.data.synthesize.generated import Generated
from burnish.data.synthesize.pocket import pocket
from burnish.data.synthesize.saving import refuse_missing, save_dataset_dict, save_jsonl
from burnish.specs.base import Spec
from burnish.specs.data import SynthesizeSpec
from burnish.stages.data.synthesizing.planning import by_model

ROWS_PER_EVENT = 5_000
Generate = Callable[[Any, Context], Generated]


def run(spec: SynthesizeSpec, ctx: Context) -> Outcome:
    """Write `train.parquet` (and the other splits of the generator), `sample.jsonl`, `stats.json`, other formats."""
    formats = list(dict.fromkeys(spec.save_as))
    refuse_missing(formats)
    generated = _generator(spec.generator)(spec.generator, ctx)
    ctx.check_settings()
    tags: Counter[str] = Counter()
    with DatasetWriter(ctx.out) as dataset:
        for number, (row, split) in enumerate(_until_stopped(generated, ctx), start=1):
            dataset.write(row, split)
            tags[row.get("tag", "")] += 1
            if number % ROWS_PER_EVENT == 0:
                ctx.emit(Progress(phase="write", done=number, total=generated.total))
    if "jsonl" in formats:
        save_jsonl(ctx.out)
    if "dataset_dict" in formats:
        save_dataset_dict(ctx.out, ctx.scratch)
    by_tag = {tag: count for tag, count in tags.most_common() if tag}
    rows = tags.total()
    counts = {"read": rows, "kept": rows, "quarantined": 0, "dropped": {}}
    write_json(ctx.out / "stats.json", {**counts, "tags": by_tag, "splits": dataset.rows, **generated.stats()})
    return Outcome("dataset", {"rows": rows, "tags": by_tag, **generated.measures()})


def _until_stopped(generated: Generated, ctx: Context) -> Iterator[tuple[dict[str, Any], str]]:
    for number, item in enumerate(generated.rows):
        if number % 100 == 0 and ctx.stopping:
            raise RunError("run.interrupted", f"stopped after {number:,} rows", "run it again")
        yield item


def _generator(spec: Spec) -> Generate:
    return {"pocket": _pocket, "docs": _docs, "model": by_model}[spec.__dict__["kind"]]


def _pocket(spec: Any, ctx: Context) -> Generated:
    return pocket(spec.skill, spec.rows, spec.seed, spec.answers)


def _docs(spec: Any, ctx: Context) -> Generated:
    from burnish.stages.data.synthesize_docs import docs

    return docs(spec, ctx)
