"""The reference of a preference training: the model before training, or another one."""

import gc

from burnish.core import fingerprint
from burnish.core.context import Input
from burnish.core.errors import ModelError
from burnish.models.bases import tokenizer_folder
from burnish.models.load import load_model
from burnish.stages.train.training import Run
from burnish.tokens.load import load_tokenizer
from burnish.tokens.tokenised import Indices, TokenisedRows
from burnish.train.checkpoints.state import TrainState
from burnish.train.passes import ForwardPasses
from burnish.train.reference import with_reference
from burnish.train.scoring import Scorer


class Reference:
    """Adds the reference's log-probabilities to the rows of a run."""

    def __init__(self, run: Run, other: Input | None):
        self._run, self._other = run, other
        if other is not None:
            _refuse_other_tokens(run, other)

    def complete(self, passes: ForwardPasses, data: TokenisedRows, split: str, visited: Indices) -> TokenisedRows:
        """The rows with their value `reference`; `passes` are those of the untrained model."""
        run = self._run
        reference = run.base if self._other is None else self._other
        origin = fingerprint.of_value(
            {"model": reference.fingerprint, "rows": data.digest(), "dtype": str(run.resolved.dtype)}
        )
        folder = run.ctx.scratch / "reference" / split
        if self._other is None:
            return with_reference(passes, data, visited, folder, origin)
        try:
            return with_reference(self._passes(self._other, data), data, visited, folder, origin)
        finally:
            gc.collect()

    def _passes(self, other: Input, data: TokenisedRows) -> ForwardPasses:
        run = self._run
        model = load_model(other, dtype=run.resolved.dtype, device=run.resolved.device)
        longest = int(data.sequence_lengths.max(initial=0))
        scorer = Scorer(model.requires_grad_(False), run.spec.attention, longest, width=data.width)
        state = TrainState(micro_batch_tokens=run.resolved.micro_batch_tokens)
        return ForwardPasses(scorer, state, emit=run.ctx.emit, is_stopping=lambda: run.ctx.stopping)


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
