"""Generate rows and write them as a dataset with one split, `train`."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from burnish.core.context import Context, Outcome
from burnish.core.errors import RunError
from burnish.core.events import Progress
from burnish.core.files import write_json
from burnish.data.dataset import DatasetWriter
from burnish.data.document import make_row
from burnish.data.synthesize.pocket import Skill, conversations, judged_requests
from burnish.specs.data import SynthesizeSpec

ROWS_PER_EVENT = 5_000


def run(spec: SynthesizeSpec, ctx: Context) -> Outcome:
    generator = spec.generator
    name, rows = f"{generator.kind}/{generator.skill}", generator.rows
    made = _contents(generator.answers, generator.skill, rows, generator.seed)
    ctx.check_settings()
    tags: Counter[str] = Counter()
    with DatasetWriter(ctx.out) as dataset:
        for number, (kind, tag, content) in enumerate(made, start=1):
            dataset.write(make_row(kind, f"{name}#{number}", tag=tag, **content), "train")
            tags[tag] += 1
            if number % ROWS_PER_EVENT == 0:
                ctx.emit(Progress(phase="write", done=number, total=rows))
                if ctx.stopping:
                    raise RunError("run.interrupted", f"stopped after {number:,} rows", "run it again")
    by_tag = dict(tags.most_common())
    write_json(ctx.out / "stats.json", {"read": rows, "kept": rows, "quarantined": 0, "dropped": {}, "tags": by_tag})
    return Outcome("dataset", {"rows": rows, "tags": by_tag})


def _contents(answers: str, skill: Skill, rows: int, seed: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(kind, tag, content) of each row. A labelled one has the good or the bad answer, in turn."""
    if answers == "chat":
        for conversation in conversations(skill, rows, seed):
            yield "chat", conversation.tag, {"messages": conversation.messages}
        return
    for number, (prompt, chosen, rejected) in enumerate(judged_requests(rows, seed)):
        if answers == "preference":
            yield "preference", skill, {"messages": prompt, "chosen": chosen, "rejected": rejected}
        else:
            is_good = number % 2 == 0
            yield "label", skill, {"messages": prompt, "completion": chosen if is_good else rejected, "label": is_good}
