"""The training loop: steps, micro-batches, evaluation, checkpoints, and every way in which a run may stop.

It knows nothing of where rows come from or what becomes of the weights. A run that was killed at any
moment and is gone on with makes the same steps, bit for bit on a CPU. One process on one device.
"""

import gc
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray

from burnish.core.errors import MachineError, RunError
from burnish.core.events import CheckpointSaved, Event, Metric, Note, Progress
from burnish.train.batches import Cursor, StepPlan, TokenisedRows, make_batch, micro_batches
from burnish.train.checkpoint import Checkpoint, CheckpointFolder, capture_randomness, restore_randomness
from burnish.train.ledger import RowLedger, record
from burnish.train.objectives.causal import score
from burnish.train.optimizers import Optimizer
from burnish.train.scoring import Scorer

_OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "DefaultCPUAllocator")


@dataclass(frozen=True)
class LoopSettings:
    """What the loop needs to know, every `auto` already a value."""

    total_steps: int
    learning_rate: float
    schedule: Callable[[int], float]
    max_grad_norm: float | None
    micro_batch_tokens: int
    save_every: int
    eval_every: int | None
    keep_best: bool
    patience: int | None = None
    min_delta: float = 0.0
    log_every: int = 1


@dataclass
class Standing:
    """Where a run stands: all of it lies in a checkpoint, and nothing else does."""

    step: int = 0
    cursor: Cursor = field(default_factory=Cursor)
    micro_batch_tokens: int = 0
    tokens: int = 0
    learned_tokens: int = 0
    first_loss: float | None = None
    last_loss: float | None = None
    best_loss: float | None = None
    best_step: int | None = None
    loss_to_beat: float | None = None
    """By `min_delta`, or patience runs out: the best loss when it last fell by so much."""
    evaluations: list[tuple[int, float]] = field(default_factory=list)
    """(step, validation loss)."""
    evaluations_without_gain: int = 0
    stopped_early: bool = False
    seconds: float = 0.0
    """Of training, over all attempts."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Standing":
        return cls(**{**value, "cursor": Cursor(**value["cursor"])})


class _StopAskedError(Exception):
    """Somebody wants the run to end: whatever is half done is dropped, and what is done is saved."""


class Loop:
    """One run over tokenised rows. `run()` goes from where `standing` is to the end."""

    def __init__(
        self,
        scorer: Scorer,
        optimizer: Optimizer,
        rows: TokenisedRows,
        held_out: TokenisedRows | None,
        plan: StepPlan,
        settings: LoopSettings,
        *,
        checkpoints: CheckpointFolder,
        ledger_path: Path,
        identity: str,
        emit: Callable[[Event], None],
        is_stopping: Callable[[], bool],
    ):
        self.scorer, self.optimizer, self.rows, self.held_out = scorer, optimizer, rows, held_out
        self.plan, self.settings, self.checkpoints = plan, settings, checkpoints
        self._ledger_path, self._identity = ledger_path, identity
        self.emit, self._is_stopping = emit, is_stopping
        self._device = scorer.causal.device
        self.standing = Standing(micro_batch_tokens=settings.micro_batch_tokens)
        self._ledger_offset = 0
        self._saved_step: int | None = None

    def restore(self, checkpoint: Checkpoint) -> None:
        """Take up the state of a checkpoint.

        Errors: RunError `run.other-settings` when it was written under other settings or data.
        """
        if checkpoint.identity != self._identity:
            raise RunError(
                "run.other-settings",
                "the checkpoint was written under other settings, rows or weights than this run has",
                "set resume: never to start afresh, or give the settings back that it was written with",
            )
        self.optimizer.load_weights(checkpoint.weights)
        self.optimizer.load_state(checkpoint.optimizer)
        self.standing = Standing.from_json(checkpoint.state["standing"])
        self._ledger_offset = checkpoint.state["ledger_offset"]
        self._saved_step = self.standing.step
        restore_randomness(checkpoint.randomness)

    def take_ledger_of(self, checkpoint: Path) -> None:
        """Go on in a copy of the row ledger that lies beside another run's checkpoints."""
        beside = checkpoint.parent.parent / self._ledger_path.parent.name / self._ledger_path.name
        if beside.exists() and beside.resolve() != self._ledger_path.resolve():
            self._ledger_path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(beside, self._ledger_path)

    def checkpoint_bytes(self) -> int:
        """About how large a checkpoint is: weights and two states of each, in float32."""
        return sum(3 * 4 * master.numel() for master in self.optimizer.masters.values())

    def run(self) -> Standing:
        """Train to the end of the run; gives the final standing.

        Errors: RunError `run.not-finite`, `run.interrupted`; MachineError `machine.no-memory`, `machine.no-disk`.
        """
        self._ledger = RowLedger(self._ledger_path, self._ledger_offset)
        began, before = time.monotonic(), self.standing.seconds
        self._clock = _Clock(self.standing)
        self.scorer.model.train()
        self._tell_progress()
        try:
            self._evaluate_when_due()  # where a stop cut an evaluation off
            while not self._is_finished():
                self._step()
                self.standing.seconds = before + time.monotonic() - began
                self._evaluate_when_due()
                if self.standing.step % self.settings.save_every == 0 or self._is_finished():
                    self.save()
            return self.standing
        except _StopAskedError:
            self.save()
            raise RunError(
                "run.interrupted",
                f"the run was stopped after step {self.standing.step} of {self.settings.total_steps}; it is saved",
                "run it again (with resume: auto, which is the default): it goes on from there",
            ) from None
        finally:
            self._ledger.close()

    def _is_finished(self) -> bool:
        return self.standing.step == self.settings.total_steps or self.standing.stopped_early

    def _heed_a_stop(self) -> None:
        if self._is_stopping():
            raise _StopAskedError

    def save(self) -> None:
        """Publish a checkpoint of this very moment, unless there is one."""
        step = self.standing.step
        if self._saved_step == step:
            return
        if not self.optimizer.is_finite():
            self._refuse_not_finite(f"a weight after step {step}")
        try:
            ledger_offset = self._ledger.sync()
        except OSError as error:
            raise self.checkpoints.no_room(step, error) from error
        checkpoint = Checkpoint(
            identity=self._identity,
            state={"standing": self.standing.as_json(), "ledger_offset": ledger_offset},
            weights=self.optimizer.weights(),
            optimizer=self.optimizer.state(),
            randomness=capture_randomness(),
        )
        path = self.checkpoints.save(
            step, checkpoint, best=self.standing.best_step if self.settings.keep_best else None
        )
        self._saved_step = step
        self.emit(CheckpointSaved(step=step, path=str(path)))

    def _step(self) -> None:
        """One optimiser step."""
        standing, settings = self.standing, self.settings
        rows = self.plan.rows(standing.cursor)
        rate = settings.learning_rate * settings.schedule(standing.step)
        loss, visits = self._gradient(rows)
        grad_norm = self.optimizer.clip(settings.max_grad_norm)
        if not (math.isfinite(loss) and math.isfinite(grad_norm)):
            what = "loss" if not math.isfinite(loss) else "gradient"
            self._refuse_not_finite(f"the {what} of step {standing.step + 1}", f" (loss {loss}, grad_norm {grad_norm})")
        self.optimizer.step(rate)
        self.optimizer.zero_grad()
        self._ledger.append(visits)
        tokens, learned = int(self.rows.lengths[rows].sum()), int(sum(v["learned"].sum() for v in visits))
        standing.step += 1
        standing.cursor = self.plan.after(standing.cursor)
        standing.tokens += tokens
        standing.learned_tokens += learned
        standing.first_loss = loss if standing.first_loss is None else standing.first_loss
        standing.last_loss = loss
        if standing.step % settings.log_every == 0 or standing.step == settings.total_steps:
            self._report(loss, rate, grad_norm)

    def _gradient(self, rows: NDArray[np.int64]) -> tuple[float, list[NDArray[np.void]]]:
        """The loss of a step and its rows' records; the gradient is left in the masters.

        When memory runs out the step is repeated in smaller parts: the divisor belongs to the whole step,
        so the gradient is the same.
        """
        normaliser = self.rows.weight_of(rows)
        while True:
            randomness = capture_randomness()
            try:
                return self._accumulate(rows, normaliser)
            except _StopAskedError:
                self.optimizer.zero_grad()
                restore_randomness(randomness)
                raise
            except (torch.OutOfMemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                reason = str(error).splitlines()[0]
            self.optimizer.zero_grad()
            self._halve(self.rows, rows, reason)
            restore_randomness(randomness)

    def _accumulate(self, rows: NDArray[np.int64], normaliser: float) -> tuple[float, list[NDArray[np.void]]]:
        total, parts = torch.zeros((), device=self._device), []
        for part in self._split(self.rows, rows):
            self._heed_a_stop()
            scored = score(self.scorer, make_batch(self.rows, part, self._device), normaliser)
            scored.loss.backward()
            self.optimizer.gather()
            total += scored.loss.detach()
            parts.append((part, scored.row_losses, scored.row_learned))
        step, epoch = self.standing.step + 1, self.standing.cursor.epoch
        visits = [
            record(part, epoch, step, losses.cpu().numpy(), learned.cpu().numpy()) for part, losses, learned in parts
        ]
        return total.item(), visits

    def _split(self, data: TokenisedRows, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        return micro_batches(data.lengths, rows, self.standing.micro_batch_tokens, self.scorer.one_by_one)

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
                f"memory ran out in step {self.standing.step + 1} on a single row of {longest} tokens: {reason}",
                "set gradient_checkpointing: true, lower render.max_length, or choose method: lora",
            )
        largest = max(int(data.lengths[part].sum()) for part in parts if len(part) > 1)
        self.standing.micro_batch_tokens = largest // 2
        self.emit(
            Note(
                level="warning",
                text=f"memory ran out in step {self.standing.step + 1}; the work is repeated, with the same result, "
                f"in parts of at most {self.standing.micro_batch_tokens} tokens ({reason})",
            )
        )

    def _refuse_not_finite(self, what: str, numbers: str = "") -> NoReturn:
        saved, _ = self.checkpoints.newest()
        raise RunError(
            "run.not-finite",
            f"{what} is not finite{numbers}; "
            f"the last good checkpoint is {saved if saved is not None else 'none: no step was saved yet'}",
            "lower learning_rate or max_grad_norm, set dtype: float32, and look at the rows of this step",
        )

    def _evaluate_when_due(self) -> None:
        standing, settings = self.standing, self.settings
        step, every = standing.step, settings.eval_every
        is_due = step == settings.total_steps or (every is not None and step > 0 and step % every == 0)
        if self.held_out is None or not is_due or (standing.evaluations and standing.evaluations[-1][0] == step):
            return
        loss = self._mean_loss(self.held_out)
        if not math.isfinite(loss):
            self._refuse_not_finite(f"the validation loss after step {step}")
        standing.evaluations.append((step, loss))
        self.emit(Metric(step=step, values={"eval_loss": loss}))
        self._count_gain(loss)
        if standing.best_loss is None or loss < standing.best_loss:
            standing.best_loss, standing.best_step = loss, step
            if settings.keep_best:
                self.save()
        if standing.stopped_early:
            self.emit(
                Note(
                    text=f"stopped early after step {step}: the validation loss has not fallen in "
                    f"{settings.patience} evaluations; the best was {standing.best_loss:.4f} after step "
                    f"{standing.best_step}"
                )
            )

    def _count_gain(self, loss: float) -> None:
        """Reset or use up patience."""
        standing, settings = self.standing, self.settings
        if standing.loss_to_beat is None or loss < standing.loss_to_beat - settings.min_delta:
            standing.loss_to_beat, standing.evaluations_without_gain = loss, 0
            return
        standing.evaluations_without_gain += 1
        is_out_of_patience = settings.patience is not None and standing.evaluations_without_gain >= settings.patience
        standing.stopped_early = is_out_of_patience and standing.step < settings.total_steps

    @torch.no_grad()
    def _mean_loss(self, held_out: TokenisedRows) -> float:
        """Mean loss of the validation rows, Σ weight·ce / Σ weight over all of them."""
        every = np.arange(len(held_out))
        normaliser = held_out.weight_of(every)
        self.scorer.model.eval()
        try:
            while True:
                try:
                    return sum(self._part_loss(held_out, part, normaliser) for part in self._split(held_out, every))
                except (torch.OutOfMemoryError, RuntimeError) as error:
                    if not is_out_of_memory(error):
                        raise
                    reason = str(error).splitlines()[0]
                self._halve(held_out, every, reason)
        finally:
            self.scorer.model.train()

    def _part_loss(self, held_out: TokenisedRows, part: NDArray[np.int64], normaliser: float) -> float:
        self._heed_a_stop()
        return score(self.scorer, make_batch(held_out, part, self._device), normaliser).loss.item()

    def _report(self, loss: float, rate: float, grad_norm: float) -> None:
        standing = self.standing
        per_second, seconds_a_step = self._clock.tick(standing)
        values = {
            "loss": loss,
            "learning_rate": rate,
            "grad_norm": grad_norm,
            "tokens_per_second": per_second,
            "learned_tokens": float(standing.learned_tokens),
            "epoch": self.plan.epochs_done(standing.cursor),
            "eta_seconds": seconds_a_step * (self.settings.total_steps - standing.step),
        }
        self.emit(Metric(step=standing.step, values=values))
        self._tell_progress()

    def _tell_progress(self) -> None:
        self.emit(Progress(phase="train", done=self.standing.step, total=self.settings.total_steps, unit="steps"))


class _Clock:
    """Tokens per second since the last report, and seconds per step since the start of this attempt."""

    def __init__(self, standing: Standing):
        self._began = self._last = time.monotonic()
        self._first_step, self._tokens = standing.step, standing.tokens

    def tick(self, standing: Standing) -> tuple[float, float]:
        now = time.monotonic()
        per_second = (standing.tokens - self._tokens) / max(now - self._last, 1e-9)
        self._last, self._tokens = now, standing.tokens
        return per_second, (now - self._began) / max(1, standing.step - self._first_step)


def is_out_of_memory(error: BaseException) -> bool:
    """True for torch's own error and for the allocator's on a CPU."""
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in _OUT_OF_MEMORY)
