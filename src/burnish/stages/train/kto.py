"""kto: train a model on single answers that are labelled good or bad, relative to a reference model."""

from burnish.core.context import Context, Outcome
from burnish.core.errors import DataError
from burnish.core.events import Note
from burnish.specs.preferences import KtoSpec
from burnish.stages.tokens.rendering import LABELS
from burnish.stages.train.references import Reference
from burnish.stages.train.training import Run
from burnish.tokens.tokenised import TokenisedRows
from burnish.train.batches import Visits
from burnish.train.objectives.kto import LABEL, Kto
from burnish.train.passes import ForwardPasses


def run(spec: KtoSpec, ctx: Context) -> Outcome:
    """Train on the label rows of the train split; save the adapter, or the whole model, with its tokenizer."""
    run = Run.of(spec, ctx, LABELS)
    needs_pairs = spec.loss == "kto"
    for split, rows in (("train", run.rows), ("validation", run.held_out)):
        if needs_pairs and rows is not None and len(rows) == 1:
            raise DataError(
                "data.empty",
                f"the {split} split has one row, and loss: kto pairs prompts and answers of different rows",
                "add rows, or set loss: apo_zero_unpaired",
            )
    is_at_each_step = spec.reference_log_probs == "each_step" and spec.reference == "base"
    reference = None if is_at_each_step else Reference(run, mismatched=needs_pairs)

    def complete(passes: ForwardPasses, data: TokenisedRows, split: str, visits: Visits) -> TokenisedRows:
        for note in _about_labels(data, split, visits):
            ctx.emit(note)
        return data if reference is None else reference.complete(passes, data, split, visits)

    return run.train(Kto(spec), complete)


def _about_labels(data: TokenisedRows, split: str, visits: Visits) -> list[Note]:
    """How many rows have each label, and how many steps have rows of one label only."""
    labels = data.values[LABEL] > 0.5
    desirable, count = int(labels.sum()), len(labels)
    notes = [Note(text=f"{split}: {desirable:,} desirable and {count - desirable:,} undesirable rows")]
    if desirable in (0, count):
        only = "desirable" if desirable else "undesirable"
        notes.append(Note(level="warning", text=f"{split}: every row is {only}, so nothing is compared"))
        return notes
    steps = [labels[rows].all() or not labels[rows].any() for rows in visits.steps()]
    if any(steps):
        text = (
            f"{split}: {sum(steps):,} of {len(steps):,} steps have rows of one label only; `margin` is not logged there"
        )
        notes.append(Note(text=text))
    return notes
