"""Generate rows and write them as a dataset with one split, `train`."""

from collections import Counter

from burnish.core.context import Context, Outcome
from burnish.core.errors import RunError
from burnish.core.events import Progress
from burnish.core.files import write_json
from burnish.data.dataset import DatasetWriter
from burnish.data.document import make_row
from burnish.data.synthesize.pocket import conversations
from burnish.specs.data import SynthesizeSpec

ROWS_PER_EVENT = 5_000


def run(spec: SynthesizeSpec, ctx: Context) -> Outcome:
    generator = spec.generator
    name, rows = f"{generator.kind}/{generator.skill}", generator.rows
    made = conversations(generator.skill, rows, generator.seed)
    ctx.check_settings()
    tags: Counter[str] = Counter()
    with DatasetWriter(ctx.out) as dataset:
        for number, conversation in enumerate(made, start=1):
            dataset.write(
                make_row("chat", f"{name}#{number}", messages=conversation.messages, tag=conversation.tag), "train"
            )
            tags[conversation.tag] += 1
            if number % ROWS_PER_EVENT == 0:
                ctx.emit(Progress(phase="write", done=number, total=rows))
                if ctx.stopping:
                    raise RunError("run.interrupted", f"stopped after {number:,} rows", "run it again")
    by_tag = dict(tags.most_common())
    write_json(ctx.out / "stats.json", {"read": rows, "kept": rows, "quarantined": 0, "dropped": {}, "tags": by_tag})
    return Outcome("dataset", {"rows": rows, "tags": by_tag})
