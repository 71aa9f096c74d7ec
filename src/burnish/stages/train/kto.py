"""kto: train a model on single answers that are labelled good or bad, relative to a reference model."""

import numpy as np

from burnish.core.context import Context, Outcome
from burnish.core.errors import AskError, DataError
from burnish.core.events import Note
from burnish.specs.preferences import KtoSpec
from burnish.stages.tokens.rendering import LABELS
from burnish.stages.train.references import Reference
from burnish.stages.train.run import Run
from burnish.tokens.tokenised import Indices, TokenisedRows
from burnish.train.batches import Visits, indices_of
from burnish.train.objectives.kto import LABEL, Kto, mismatched_pairs
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
        if needs_pairs and split == "train" and spec.without_rows:
            _refuse_left_out_partners(indices_of(spec.without_rows, data.row_ids), data, visits)
        for note in _about_labels(data, split, visits):
            ctx.emit(note)
        return data if reference is None else reference.complete(passes, data, split, visits)

    return run.train(Kto(spec), complete)


def _refuse_left_out_partners(without: Indices, data: TokenisedRows, visits: Visits) -> None:
    """AskError `ask.wrong-value` where a step of one row would read the answer of a row that is left out."""
    for rows in visits.steps():
        pairs = mismatched_pairs(rows, len(data))
        if len(rows) == 1 and (left_out := np.intersect1d(pairs, without)).size:
            raise AskError(
                "ask.wrong-value",
                f"the only row of a step, {data.row_ids[rows[0]]}, is paired with the answer of "
                f"{data.row_ids[left_out[0]]}, which without_rows leaves out",
                "leave the first out too, raise batch_size, or set loss: apo_zero_unpaired",
            )


def _about_labels(data: TokenisedRows, split: str, visits: Visits) -> list[Note]:
    """How many rows have each label, and how many steps have rows of one label only."""
    labels = data.values[LABEL] > 0.5
    desirable, count = int(labels[visits.rows].sum()), len(visits.rows)
    notes = [Note(text=f"{split}: {desirable:,} desirable and {count - desirable:,} undesirable rows")]
    if desirable in (0, count):
        only = "desirable" if desirable else "undesirable"
        notes.append(Note(level="warning", text=f"{split}: every row is {only}, so nothing is compared"))
        return notes
    steps = [labels[rows].all() or not labels[rows].any() for rows in visits.steps() if len(rows)]
    if any(steps):
        text = (
            f"{split}: {sum(steps):,} of {len(steps):,} steps have rows of one label only; `margin` is not logged there"
        )
        notes.append(Note(text=text))
    return notes
