"""The reference of a preference training: the model before training, another one, or log-probabilities of the stage
`reference`."""

import gc
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from burnish.core import fingerprint
from burnish.core.context import Input
from burnish.core.errors import AskError, ModelError
from burnish.core.events import Note
from burnish.models.bases import tokenizer_folder
from burnish.models.load import load_plain
from burnish.specs.train import QloraSpec
from burnish.stages.train.log_probs import KIND, SavedLogProbs
from burnish.stages.train.run import Run
from burnish.tokens.load import load_tokenizer
from burnish.tokens.tokenised import Indices, TokenisedRows
from burnish.train.batches import Visits
from burnish.train.checkpoints.state import TrainState
from burnish.train.objectives.kto import WithMismatched, all_keys, mismatched_rows, pairs_of_keys
from burnish.train.objectives.pairs import REFERENCE
from burnish.train.passes import ForwardPasses
from burnish.train.ranks import ALONE, Ranks
from burnish.train.reference import LogProbs, RowsOf, reference_log_probs
from burnish.train.scoring import Scorer


class Reference:
    """Adds the reference's log-probabilities to the rows of a run; with `mismatched`, those of kto's divergence too."""

    def __init__(self, run: Run, *, mismatched: bool = False):
        spec: Any = run.spec
        self._run, self._mismatched = run, mismatched
        self._other = None if spec.reference == "base" else run.ctx.input("reference")
        self._saved: SavedLogProbs | None = None
        if self._other is not None and self._other.kind == KIND:
            self._saved = SavedLogProbs.read(self._other)
            self._saved.refuse_other_tokenizer(run.tokenizer, run.base.ref)
            if self._saved.dtype != (trained := str(run.resolved.dtype).removeprefix("torch.")):
                text = f"{self._other.ref} was computed in {self._saved.dtype}, and this training is in {trained}"
                run.ctx.emit(Note(level="warning", text=f"{text}: rounding differs; set the same dtype in both"))
            if self._saved.quantization != (ours := _quantization_of(run)) and self._is_of_base(self._saved):
                text = _other_quantization(self._other.ref, self._saved.quantization, ours)
                if mismatched:  # those of mismatched pairs would be of the base as it is trained
                    raise AskError("ask.wrong-value", text, "set reference: base, or loss: apo_zero_unpaired")
                run.ctx.emit(Note(level="warning", text=f"{text}; set reference: base"))
            if self._saved.is_of_other_files(run.base):
                text = f"{self._other.ref} was computed with other files of {self._saved.model} than those of the base"
                text += f" {run.base.ref}, whose recipe was run again: if it is to be the base, run `reference` again"
                run.ctx.emit(Note(level="warning", text=text))
            if mismatched and not self._is_of_base(self._saved):
                raise AskError(
                    "ask.wrong-value",
                    f"{self._other.ref} has no log-probabilities of mismatched prompts and answers, which loss: kto "
                    f"needs in each step, and the base is not its model {self._saved.model}",
                    f"set reference: {self._saved.model}, or loss: apo_zero_unpaired",
                )
        elif self._other is not None:
            _refuse_other_tokens(run, self._other)
            warn_of_other_quantization(run, self._other)

    def complete(self, passes: ForwardPasses, data: TokenisedRows, split: str, visits: Visits) -> TokenisedRows:
        """The rows with their value `reference`; `passes` are those of the untrained model."""
        count, width, used = len(data), data.width, visits.used
        rows = used.rows if self._saved is None else visits.rows  # those of a table are known, or lack
        if self._saved is not None:
            found = self._saved.of(data, rows, split)
            self._run.ctx.emit(Note(text=f"{split}: the reference's log-probabilities are those of {self._saved.ref}"))
        else:
            found = self._computed(passes, data, rows, lambda keys: (data, keys), split)
        values = np.full((count, width), np.nan, np.float32)
        values[rows] = found.of(rows)
        data = data.with_values(**{REFERENCE: values})
        if not self._mismatched:
            return data

        def pairs(keys: Indices) -> tuple[TokenisedRows, Indices]:
            return mismatched_rows(data, pairs_of_keys(keys, count)), np.arange(len(keys))

        keys = all_keys(used.steps(), count)
        table = self._computed(passes, data, keys, pairs, f"{split}-mismatched")
        return _with_mismatched(data, table)

    def _computed(
        self, passes: ForwardPasses, data: TokenisedRows, keys: Indices, rows_of: RowsOf, name: str
    ) -> LogProbs:
        run, other = self._run, None if self._saved is not None else self._other
        model = run.base if other is None else other
        about = {"model": model.content, "rows": _tokens_of(data), "dtype": str(run.resolved.dtype)}
        if other is None and isinstance(method := getattr(run.spec, "method", None), QloraSpec):
            about |= {"quantization": method.quantization, "double": method.double_quantization}
        origin = fingerprint.of_value(about)
        folders = [run.ctx.scratch / "reference" / name, *_beside_checkpoint(run.spec.resume, name)]

        def reference_passes() -> ForwardPasses:
            longest = int(data.sequence_lengths.max(initial=0))
            return passes if other is None else passes_of(run, other, longest, data.width, ranks=passes.ranks)

        try:
            return reference_log_probs(reference_passes, keys, rows_of, data.width, folders, origin, passes.ranks)
        finally:
            gc.collect()  # the other model

    def _is_of_base(self, saved: SavedLogProbs) -> bool:
        return saved.is_of(self._run.base)


def passes_of(
    run: Run, other: Input, longest: int, width: int, state: TrainState | None = None, ranks: Ranks = ALONE
) -> ForwardPasses:
    """Passes of another model over rows of `width` sequences of at most `longest` tokens.

    With the `state` of a training, what either model learns of the memory holds for both, and is in its checkpoints.
    """
    model = load_plain(other, dtype=run.resolved.dtype, device=run.resolved.device)
    scorer = Scorer(model.requires_grad_(False), run.spec.attention, longest, width=width)
    state = state or TrainState(micro_batch_tokens=run.resolved.micro_batch_tokens)
    return ForwardPasses(scorer, state, emit=run.ctx.emit, is_stopping=lambda: run.ctx.stopping, ranks=ranks)


def warn_of_other_quantization(run: Run, other: Input) -> None:
    """Warn where a reference that is loaded in the run's dtype is the base that the training holds in 4 bits."""
    ours = _quantization_of(run)
    if ours is not None and other.fingerprint and other.fingerprint == run.base.fingerprint:
        text = f"{_other_quantization(other.ref, None, ours)}; set reference: base"
        run.ctx.emit(Note(level="warning", text=text))


def _quantization_of(run: Run) -> str | None:
    """How the training holds the linear layers of its base; None in the run's dtype."""
    method = getattr(run.spec, "method", None)
    return method.quantization if isinstance(method, QloraSpec) else None


def _other_quantization(ref: str, theirs: str | None, ours: str | None) -> str:
    theirs, ours = (f"in 4 bits ({kind})" if kind else "without quantization" for kind in (theirs, ours))
    return f"{ref} is the base {theirs}, and the training starts from it {ours}: they differ before the first step"


def _tokens_of(data: TokenisedRows) -> str:
    """The digest of the rows without their values, of which the log-probabilities are one."""
    return TokenisedRows(data.ids, data.weights, data.offsets, data.row_ids, data.width).digest()


def _with_mismatched(data: TokenisedRows, table: LogProbs) -> WithMismatched:
    return WithMismatched(**{field.name: getattr(data, field.name) for field in fields(data)}, mismatched=table.of)


def _beside_checkpoint(resume: str, name: str) -> list[Path]:
    """Where the run of a named checkpoint keeps its log-probabilities."""
    return [] if resume in ("auto", "never") else [Path(resume).parent.parent / "reference" / name]


def _refuse_other_tokens(run: Run, other: Input) -> None:
    """ModelError `model.broken` where the reference would read other tokens than the model."""
    theirs, ours = load_tokenizer(tokenizer_folder(other)).get_vocab(), run.tokenizer.get_vocab()
    if theirs != ours:
        differing = len(set(theirs.items()) ^ set(ours.items()))
        raise ModelError(
            "model.broken",
            f"the reference {other.ref} has another tokenizer than {run.base.ref}: {differing} tokens differ",
            "choose a reference with the same tokenizer, or reference: base",
        )
