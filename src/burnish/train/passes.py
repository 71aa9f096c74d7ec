"""Passes over rows in micro-batches that fit into memory: the gradient of a step, the loss of held-out rows.

When memory runs out, the micro-batches are halved and the pass is repeated: divisors are over all of its rows, and
dropout masks depend on tokens alone, so the result is the same.
"""

import gc
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from burnish.core.errors import MachineError
from burnish.core.events import Event, Note
from burnish.core.faults import first_line, is_out_of_memory
from burnish.train.batches import Batch, TokenisedRows, make_batch, micro_batches
from burnish.train.checkpoints.checkpoint import capture_randomness, restore_randomness
from burnish.train.checkpoints.state import TrainState
from burnish.train.dropout import TokenDropout, generator_states
from burnish.train.objectives.balance import Balance
from burnish.train.objectives.causal import score
from burnish.train.optim.optimizers import Optimizer
from burnish.train.scoring import Scorer


class StopAskedError(Exception):
    """The run is requested to stop: the pass is discarded."""


@dataclass(frozen=True)
class Gradient:
    """The results of a step, on the device until `read`; the clipped gradient itself is in the masters."""

    numbers: torch.Tensor  # [3]: loss, load-balancing loss without its coefficient, norm before clipping
    row_losses: torch.Tensor  # [rows] float32
    rows: NDArray[np.int64]  # [rows], in the order of the micro-batches
    learned: NDArray[np.int64]  # [rows], learned tokens

    def read(self) -> tuple[float, float, float, NDArray[np.float32]]:
        """Loss, load-balancing loss, norm and `row_losses`: the host waits for the device, once."""
        found = torch.cat([self.numbers, self.row_losses]).cpu().numpy()
        loss, aux_loss, norm = found[:3].tolist()
        return loss, aux_loss, norm, found[3:]


class Passes:
    """Runs the model over rows; `state` has the step and the most tokens of a micro-batch."""

    def __init__(
        self,
        scorer: Scorer,
        optimizer: Optimizer,
        rows: TokenisedRows,
        state: TrainState,
        *,
        max_grad_norm: float | None,
        balance: Balance | None,
        dropout: TokenDropout | None,
        emit: Callable[[Event], None],
        is_stopping: Callable[[], bool],
    ):
        self.scorer, self.optimizer, self.rows, self.state = scorer, optimizer, rows, state
        self._max_grad_norm, self._balance, self._dropout = max_grad_norm, balance, dropout
        self._emit, self._is_stopping = emit, is_stopping
        self._device = scorer.causal.device
        self._runs_ahead = self._device.type != "cpu"  # a CPU cannot prepare the batch meanwhile
        self._ahead: tuple[bytes, Batch] | None = None

    def gradient(self, rows: NDArray[np.int64]) -> Gradient:
        """The gradient of a step on these rows.

        Errors: StopAskedError; MachineError `machine.no-memory` when a single row does not fit.
        """
        normaliser, repeated = self.rows.weight_of(rows), False
        while True:
            randomness, drawn = capture_randomness(), generator_states(self._device)
            try:
                losses, parts = self._accumulate(rows, normaliser)
                norm = self.optimizer.clip(self._max_grad_norm)
                if repeated:
                    self._tell_repeated(drawn)
                return Gradient(
                    torch.cat([losses, norm.reshape(1)]),
                    torch.cat([row_losses for _, row_losses in parts]),
                    np.concatenate([batch.rows for batch, _ in parts]),
                    np.concatenate([batch.learned for batch, _ in parts]),
                )
            except StopAskedError:
                self.optimizer.zero_grad()
                restore_randomness(randomness)
                raise
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                reason = first_line(error)
            self.optimizer.zero_grad()
            self._halve(self.rows, rows, reason)
            restore_randomness(randomness)
            repeated = True

    def prepare(self, rows: NDArray[np.int64]) -> None:
        """Prepare the first batch of the next step while the device works on this one."""
        if not self._runs_ahead:
            return
        part = self._split(self.rows, rows)[0]
        try:
            self._ahead = part.tobytes(), make_batch(self.rows, part, self._device)
        except (RuntimeError, MemoryError) as error:  # the step itself handles it
            if not is_out_of_memory(error):
                raise

    @torch.no_grad()
    def mean_loss(self, held_out: TokenisedRows) -> float:
        """Mean loss of the validation rows, Σ weight·ce / Σ weight over all of them. Errors: those of `gradient`."""
        every = np.arange(len(held_out))
        normaliser = held_out.weight_of(every)
        self.scorer.model.eval()
        try:
            while True:
                try:
                    losses = [self._part_loss(held_out, part, normaliser) for part in self._split(held_out, every)]
                    return sum(torch.stack(losses).tolist())
                except (RuntimeError, MemoryError) as error:
                    if not is_out_of_memory(error):
                        raise
                    reason = first_line(error)
                self._halve(held_out, every, reason)
        finally:
            self.scorer.model.train()

    def _part_loss(self, held_out: TokenisedRows, part: NDArray[np.int64], normaliser: float) -> torch.Tensor:
        self._raise_if_stopping()
        return score(self.scorer, make_batch(held_out, part, self._device), normaliser).loss

    def _accumulate(
        self, rows: NDArray[np.int64], normaliser: float
    ) -> tuple[torch.Tensor, list[tuple[Batch, torch.Tensor]]]:
        """Add the gradients of all micro-batches; returns the two losses [2], and each batch's row losses."""
        total, parts = torch.zeros(2, device=self._device), list[tuple[Batch, torch.Tensor]]()
        split, tokens = self._split(self.rows, rows), int(self.rows.lengths[rows].sum())
        counts = self._count_experts(split) if self._balance is not None and len(split) > 1 else None
        for part in split:
            self._raise_if_stopping()
            batch = self._batch(part)
            scored = score(self.scorer, batch, normaliser)
            loss = scored.loss
            if self._balance is not None:
                routing = self.scorer.routed()
                counted = self._balance.counts(routing) if counts is None else counts
                uneven = self._balance.part_of_loss(routing, counted, tokens)
                loss = loss + self._balance.coefficient * uneven
                total[1] += uneven.detach()
            loss.backward()
            self.optimizer.gather()
            total[0] += scored.loss.detach()
            parts.append((batch, scored.row_losses))
        return total, parts

    @torch.no_grad()
    def _count_experts(self, split: list[NDArray[np.int64]]) -> torch.Tensor:
        """How often each expert is chosen in the whole step [experts], with the step's own random numbers."""
        assert self._balance is not None
        randomness, counts = capture_randomness(), []
        for part in split:
            self._raise_if_stopping()
            counts.append(self._balance.counts(self.scorer.route(self._batch(part))))
        restore_randomness(randomness)
        return torch.stack(counts).sum(0)

    def _batch(self, part: NDArray[np.int64]) -> Batch:
        ahead, self._ahead = self._ahead, None
        is_made = ahead is not None and ahead[0] == part.tobytes()
        batch = ahead[1] if ahead is not None and is_made else make_batch(self.rows, part, self._device)
        if self._dropout is not None:
            self._dropout.begin(self.state.step, batch)
        return batch

    def _split(self, data: TokenisedRows, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        return micro_batches(data.lengths, rows, self.state.micro_batch_tokens, self.scorer.one_by_one)

    def _raise_if_stopping(self) -> None:
        if self._is_stopping():
            raise StopAskedError

    def _halve(self, data: TokenisedRows, rows: NDArray[np.int64], reason: str) -> None:
        """Half the micro-batch, or MachineError when every part is one row already."""
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        parts = self._split(data, rows)
        if all(len(part) == 1 for part in parts):
            longest = int(data.lengths[rows].max())
            raise MachineError(
                "machine.no-memory",
                f"memory ran out in step {self.state.step + 1} on a single row of {longest} tokens: {reason}",
                "set gradient_checkpointing: true, lower render.max_length, or use method: lora",
            )
        largest = max(int(data.lengths[part].sum()) for part in parts if len(part) > 1)
        self.state.micro_batch_tokens = largest // 2
        self._emit(
            Note(
                level="warning",
                text=f"memory ran out in step {self.state.step + 1}; the work is repeated "
                f"in parts of at most {self.state.micro_batch_tokens} tokens ({reason})",
            )
        )

    def _tell_repeated(self, drawn: list[torch.Tensor]) -> None:
        """Report whether the repeated step is equal to the first try: random numbers drawn in it would change it."""
        step = self.state.step + 1
        if all(torch.equal(one, other) for one, other in zip(drawn, generator_states(self._device), strict=True)):
            self._emit(Note(text=f"step {step} was repeated in smaller parts, with the same gradient up to rounding"))
        else:
            text = "the model draws its own dropout for each part, so the gradient is that of other masks"
            self._emit(Note(level="warning", text=f"step {step} was repeated in smaller parts; {text}"))
