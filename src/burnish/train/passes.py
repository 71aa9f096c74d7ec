"""Passes over rows in micro-batches that fit into memory: the gradient of a step, the loss of held-out rows.

Each process of a training computes its share of the rows, and all have the results. When memory runs out in one of
them, the micro-batches are halved and the pass is repeated: divisors are over all of its rows, and dropout masks depend
on tokens alone, so the result is the same. The state keeps the smaller size for all later passes.
"""

import gc
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from burnish.core.context import StopRequestedError
from burnish.core.errors import MachineError
from burnish.core.events import Event, Note
from burnish.core.faults import is_out_of_memory
from burnish.train.batches import Batch, TokenisedRows, make_batch, micro_batches
from burnish.train.checkpoints.checkpoint import capture_randomness, restore_randomness
from burnish.train.checkpoints.state import TrainState
from burnish.train.dropout import TokenDropout, generator_states
from burnish.train.objectives.balance import Balance
from burnish.train.objectives.objective import Objective, Whole
from burnish.train.optim.optimizers import Optimizer
from burnish.train.ranks import ALONE, NoMemoryError, Ranks, flattened, shares
from burnish.train.scoring import Scorer


@dataclass(frozen=True)
class Gradient:
    """The results of a step, on the device until `read`; the clipped gradient itself is in the masters."""

    numbers: torch.Tensor  # [3 + M]: loss, load-balancing loss without its coefficient, norm before clipping, metrics
    row_values: torch.Tensor  # [1 + N, rows] float32: the loss of each row, and its further values
    rows: NDArray[np.int64]  # [rows], in the order of the micro-batches
    learned: NDArray[np.int64]  # [rows], learned tokens

    def read(self) -> tuple[list[float], NDArray[np.float32]]:
        """`numbers` and `row_values`: the host waits for the device, once."""
        count = len(self.numbers)
        found = torch.cat([self.numbers, self.row_values.flatten()]).cpu().numpy()
        return found[:count].tolist(), found[count:].reshape(self.row_values.shape)


class ForwardPasses:
    """Runs a model over rows without a gradient; `state` has the step and the most tokens of a micro-batch."""

    def __init__(
        self,
        scorer: Scorer,
        state: TrainState,
        *,
        emit: Callable[[Event], None],
        is_stopping: Callable[[], bool],
        ranks: Ranks = ALONE,
    ):
        self.scorer, self.state, self.ranks = scorer, state, ranks
        self.emit, self._is_stopping = emit, is_stopping
        self._device = scorer.causal.device

    @torch.no_grad()
    def each(
        self, data: TokenisedRows, rows: NDArray[np.int64], run: Callable[[Batch], Any]
    ) -> list[tuple[NDArray[np.int64], Any]]:
        """(rows, result) of each micro-batch of these rows of `fitting`, in eval mode. Errors: those of `gradient`."""
        self.scorer.model.eval()
        try:
            while True:
                computed, of = self.fitting(data, rows)
                try:
                    return flattened(self.ranks.gathered(self.ranks.together(partial(self._each, computed, of, run))))
                except NoMemoryError as error:
                    reason = str(error)
                self._shrink(computed, of, reason)
        finally:
            self.scorer.model.train()

    def _each(self, data: TokenisedRows, rows: NDArray[np.int64], run: Callable[[Batch], Any]) -> list[Any]:
        """(rows, result) of this process's micro-batches."""
        found = list[tuple[NDArray[np.int64], Any]]()
        for part in self._mine(data, rows):
            self.raise_if_stopping()
            found.append((part, run(self._made(data, part))))
        return found

    @contextmanager
    def alone(self) -> Generator[None]:
        """Compute everything in this process, without the others."""
        together, self.ranks = self.ranks, ALONE
        try:
            yield
        finally:
            self.ranks = together

    def fitting(self, data: TokenisedRows, rows: NDArray[np.int64]) -> tuple[TokenisedRows, NDArray[np.int64]]:
        """The rows as they are computed: each sequence by itself, where allowed, once a whole row did not fit."""
        width = data.width
        if not (self.state.sequences_apart and data.may_part and width > 1):
            return data, rows
        return data.apart(), (rows[:, None] * width + np.arange(width)).flatten()

    def _made(self, data: TokenisedRows, part: NDArray[np.int64]) -> Batch:
        return make_batch(data, part, self._device, share_prompts=self.scorer.shares_prompts)

    def _split(self, data: TokenisedRows, rows: NDArray[np.int64]) -> list[list[NDArray[np.int64]]]:
        """The micro-batches of each process."""
        return [self._parts(data, share) for share in shares(data.lengths, rows, self.ranks.size)]

    def _parts(self, data: TokenisedRows, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        return micro_batches(data.lengths, rows, self.state.micro_batch_tokens, self.scorer.one_by_one)

    def _mine(self, data: TokenisedRows, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """The micro-batches of this process."""
        return self._split(data, rows)[self.ranks.rank]

    def raise_if_stopping(self) -> None:
        """StopRequestedError when the run is requested to stop."""
        if self._is_stopping():
            raise StopRequestedError

    def _shrink(self, data: TokenisedRows, rows: NDArray[np.int64], reason: str) -> None:
        """Halve the micro-batches of this and later passes, or part the sequences of rows.

        Errors: MachineError `machine.no-memory` when every micro-batch is one row that cannot be parted.
        """
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        longest = int(data.lengths[rows].max())
        parts = flattened(self._split(data, rows))
        largest = max((int(data.lengths[part].sum()) for part in parts if len(part) > 1), default=0)
        if largest == 0 and not (data.may_part and data.width > 1):
            raise MachineError(
                "machine.no-memory",
                f"memory ran out in step {self.state.step + 1} on a single row of {longest} tokens: {reason}",
                "set gradient_checkpointing: true, lower render.max_length, or use method: lora",
            )
        self.state.sequences_apart |= largest == 0
        self.state.micro_batch_tokens = min(self.state.micro_batch_tokens, (largest or longest) // 2)
        self.emit(
            Note(
                level="warning",
                text=f"memory ran out in step {self.state.step + 1}; the work is repeated "
                f"in parts of at most {self.state.micro_batch_tokens} tokens ({reason})",
            )
        )


class Passes(ForwardPasses):
    """The passes of a training: gradients of steps, and evaluations."""

    def __init__(
        self,
        scorer: Scorer,
        objective: Objective,
        optimizer: Optimizer,
        state: TrainState,
        *,
        max_grad_norm: float | None,
        balance: Balance | None,
        dropout: TokenDropout | None,
        emit: Callable[[Event], None],
        is_stopping: Callable[[], bool],
        ranks: Ranks = ALONE,
    ):
        super().__init__(scorer, state, emit=emit, is_stopping=is_stopping, ranks=ranks)
        self.objective, self.optimizer = objective, optimizer
        self.max_grad_norm, self.balance, self._dropout = max_grad_norm, balance, dropout
        self.assumed: torch.Tensor | None = None
        """If set, it stands for what the objective surveys."""
        self._runs_ahead = self._device.type != "cpu"  # a CPU cannot prepare the batch meanwhile
        self._ahead: tuple[bytes, Batch] | None = None
        self.balances = balance is not None
        """True if a load-balancing loss of experts is added."""

    def gradient(self, data: TokenisedRows, rows: NDArray[np.int64]) -> Gradient:
        """The gradient of a step on these rows.

        Errors: StopRequestedError; MachineError `machine.no-memory` when a single row does not fit.
        """
        whole, repeated = self._surveyed(data, rows), False
        while True:
            computed, of = self.fitting(data, rows)
            randomness, drawn = capture_randomness(), generator_states(self._device)
            try:
                counts = self._expert_counts(computed, of)
                found = self.ranks.together(partial(self._accumulate, computed, of, whole, counts))
                gradient = self._of_all(computed, of, *found)
                norm = self.ranks.together(partial(self.optimizer.clip, self.max_grad_norm))
                if repeated:
                    self._report_repeated(drawn)
                numbers, width = gradient.numbers, data.width // computed.width
                numbers = torch.cat([numbers[:2], norm.reshape(1), numbers[2:]])
                return replace(gradient, numbers=numbers, rows=gradient.rows // width)
            except StopRequestedError:
                self.optimizer.zero_grad()
                restore_randomness(randomness)
                raise
            except NoMemoryError as error:
                reason = str(error)
            self.optimizer.zero_grad()
            self._shrink(computed, of, reason)
            restore_randomness(randomness)
            repeated = True

    def _of_all(
        self,
        data: TokenisedRows,
        rows: NDArray[np.int64],
        numbers: torch.Tensor,
        parts: list[tuple[Batch, torch.Tensor]],
    ) -> Gradient:
        """What all processes found in a step; the gradients of the masters are summed, too."""
        if self.ranks.is_alone:
            return self.ranks.together(partial(_gradient_of, numbers, parts))
        rows = np.concatenate(self._parts(data, rows))  # in the order of one process
        places = {row: place for place, row in enumerate(rows.tolist())}
        row_values = numbers.new_zeros(1 + len(self.objective.row_values), len(rows))
        for batch, values in parts:
            row_values[:, [places[row] for row in batch.rows.tolist()]] = values
        reached = self.ranks.largest(self.optimizer.reached)
        self.ranks.sum([numbers, row_values, *self.optimizer.gradients(reached)])
        return Gradient(numbers, row_values, rows, data.learned_of(rows).sum(1))

    def prepare(self, data: TokenisedRows, rows: NDArray[np.int64]) -> None:
        """Prepare the first batch of the next step while the device works on this one."""
        if not self._runs_ahead:
            return
        data, rows = self.fitting(data, rows)
        part = next(iter(self._mine(data, rows)), None)
        if part is None:
            return
        try:
            self._ahead = part.tobytes(), self._made(data, part)
        except (RuntimeError, MemoryError) as error:  # the step itself handles it
            if not is_out_of_memory(error):
                raise

    def evaluate(self, held_out: TokenisedRows) -> list[float]:
        """Loss and metrics [1 + M] of the validation rows, as of one step over all of them. Errors: as `each`."""
        every = np.arange(len(held_out))
        whole = self._surveyed(held_out, every)

        def score(batch: Batch) -> torch.Tensor:
            scored = self.objective.score(self.scorer, batch, whole)
            return torch.cat([scored.loss.reshape(1), scored.metrics])

        return torch.stack([part for _, part in self.each(held_out, every, score)]).sum(0).tolist()

    def _accumulate(
        self, data: TokenisedRows, rows: NDArray[np.int64], whole: Whole, counts: torch.Tensor | None
    ) -> tuple[torch.Tensor, list[tuple[Batch, torch.Tensor]]]:
        """Add the gradients of this process's micro-batches; returns losses and metrics [2 + M], and the row values
        of each. `counts` are those of experts in the whole step."""
        objective, parts = self.objective, list[tuple[Batch, torch.Tensor]]()
        total = torch.zeros(2 + len(objective.metrics), device=self._device)
        tokens = int(data.lengths[rows].sum())
        for part in self._mine(data, rows):
            self.raise_if_stopping()
            batch = self._batch(data, part)
            scored = objective.score(self.scorer, batch, whole)
            loss = scored.loss
            if self.balance is not None:
                routing = self.scorer.routed()
                counted = self.balance.counts(routing) if counts is None else counts
                uneven = self.balance.part_of_loss(routing, counted, tokens)
                loss = loss + self.balance.coefficient * uneven
                total[1] += uneven.detach()
            loss.backward()
            self.optimizer.gather()
            total[0] += scored.loss.detach()
            total[2:] += scored.metrics
            parts.append((batch, torch.cat([scored.row_losses.detach()[None], scored.row_values])))
        return total, parts

    def _surveyed(self, data: TokenisedRows, rows: NDArray[np.int64]) -> Whole:
        """What is known of a step before its first micro-batch; no part of it depends on the split."""
        whole = self.whole(data, rows)
        if not self.objective.surveys or self.assumed is not None:
            return replace(whole, surveyed=self.assumed)
        parts = self.each(
            *self.objective.survey_rows(data, rows), lambda batch: self.objective.survey(self.scorer, batch)
        )
        return replace(whole, surveyed=torch.stack([part for _, part in parts]).sum(0))

    @torch.no_grad()
    def _expert_counts(self, data: TokenisedRows, rows: NDArray[np.int64]) -> torch.Tensor | None:
        """How often each expert is chosen in the step [experts]; the passes draw the step's own random numbers.

        None where the only micro-batch of a step counts itself.
        """
        balance = self.balance
        if balance is None or len(flattened(self._split(data, rows))) == 1:
            return None

        def counted() -> list[torch.Tensor]:
            randomness, counts = capture_randomness(), list[torch.Tensor]()
            for part in self._mine(data, rows):
                self.raise_if_stopping()
                counts.append(balance.counts(self.scorer.route(self._batch(data, part))))
            restore_randomness(randomness)
            return counts

        return torch.stack(flattened(self.ranks.gathered(self.ranks.together(counted)))).sum(0)

    def _batch(self, data: TokenisedRows, part: NDArray[np.int64]) -> Batch:
        ahead, self._ahead = self._ahead, None
        is_made = ahead is not None and ahead[0] == part.tobytes()
        batch = ahead[1] if ahead is not None and is_made else self._made(data, part)
        self.begin(batch)
        return batch

    def begin(self, batch: Batch) -> None:
        """Name the batch of the next pass for dropout."""
        if self._dropout is not None:
            self._dropout.begin(self.state.step, batch)

    def whole(self, data: TokenisedRows, rows: NDArray[np.int64]) -> Whole:
        """What the rows of a step say of it."""
        learned = data.learned_of(rows).sum(0).tolist()
        totals = {name: float(array[rows].sum()) for name, array in data.values.items() if array.ndim == 1}
        return Whole(float(self.objective.row_weights(data, rows).sum()), tuple(learned), totals)

    def _report_repeated(self, drawn: list[torch.Tensor]) -> None:
        """Report whether the repeated step is equal to the first try: random numbers drawn in it would change it."""
        step = self.state.step + 1
        if all(torch.equal(one, other) for one, other in zip(drawn, generator_states(self._device), strict=True)):
            self.emit(Note(text=f"step {step} was repeated in smaller parts, with the same gradient up to rounding"))
        else:
            text = "the model draws its own dropout for each part, so the gradient is that of other masks"
            self.emit(Note(level="warning", text=f"step {step} was repeated in smaller parts; {text}"))


def _gradient_of(numbers: torch.Tensor, parts: list[tuple[Batch, torch.Tensor]]) -> Gradient:
    """What the micro-batches of a step found, in their order."""
    row_values = torch.cat([values for _, values in parts], 1)
    learned = np.concatenate([batch.learned for batch, _ in parts])
    return Gradient(numbers, row_values, np.concatenate([batch.rows for batch, _ in parts]), learned)
