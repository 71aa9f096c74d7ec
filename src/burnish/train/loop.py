"""The training loop: steps, evaluation, checkpoints, and every way in which a run may stop.

It does not depend on the source of the rows or the use of the weights. A run that is killed at any moment and
resumed makes the same steps, bit for bit on a CPU. Of several processes, all make the steps, and the first one writes.
"""

import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from burnish.core.context import StopRequestedError
from burnish.core.errors import BurnishError, MachineError, RunError
from burnish.core.events import Event, Metric, Note
from burnish.core.faults import first_line, is_out_of_memory
from burnish.tokens.tokenised import Indices, TokenisedRows
from burnish.train.batches import Cursor, Material, StepPlan
from burnish.train.checkpoints.checkpoint import (
    Checkpoint,
    CheckpointFolder,
    capture_randomness,
    read_state,
    restore_randomness,
)
from burnish.train.checkpoints.lineage import Change, Origin, compare, lineage_entry
from burnish.train.checkpoints.saving import CheckpointWriter
from burnish.train.checkpoints.state import LoopSettings, TrainState
from burnish.train.passes import Gradient, Passes
from burnish.train.reporting import ledger
from burnish.train.reporting.ledger import LedgerType, RowLedger
from burnish.train.reporting.metrics import Reporter
from burnish.train.source import HeldOut, named_metrics

_ROWS_NAMED = 3


class Loop:
    """One run over tokenised rows. `run()` trains from `state` to the end."""

    def __init__(
        self,
        passes: Passes,
        material: Material,
        held_out: HeldOut | None,
        plan: StepPlan,
        settings: LoopSettings,
        *,
        checkpoints: CheckpointFolder,
        ledger_path: Path,
        origin: Origin,
        emit: Callable[[Event], None],
        own_ledger: Path | None = None,
    ):
        """`own_ledger` is written by this process; other than the run's, `ledger_path`, if it is not the first one."""
        self._passes, self.optimizer, self.objective = passes, passes.optimizer, passes.objective
        self.material, self.held_out = material, held_out
        self.plan, self.settings, self.checkpoints = plan, settings, checkpoints
        self._ledger_path, self._own_ledger, self.origin = ledger_path, own_ledger or ledger_path, origin
        self._ledger_type = LedgerType(self.objective.row_values)
        self.emit = emit
        self.state, self.ranks = passes.state, passes.ranks
        self._ledger_offset = 0
        self._writer = CheckpointWriter(checkpoints, lambda event: self.emit(event))
        self._saved_step: int | None = None
        self._is_begun = False
        self._unread: list[tuple[int, Cursor, Gradient, TokenisedRows]] = []
        """(step, cursor, results, rows) of the steps since the host last waited for the device."""
        self.lineage: list[dict[str, Any]] = []
        """Named checkpoints that the run was resumed from, with the settings that changed there."""

    def restore(self, checkpoint: Checkpoint, named: Path | None = None) -> tuple[Change, ...]:
        """Load the state of a checkpoint; a `named` one may have been written under other settings.

        Returns the changes. Errors: RunError `run.other-settings` when something differs that must not;
        `run.broken-checkpoint` when the row ledger is not the one of the checkpoint.
        """
        changes = compare(checkpoint, self.origin, may_change=named is not None)
        found = self._ledger_path if named is None else self._ledger_beside(named)
        self._refuse_damaged_ledger(found, _step_of(checkpoint.state), *_ledger_of(checkpoint.state))
        state = TrainState.from_json(checkpoint.state["standing"])
        if named is not None:
            self._refuse_seen(found, checkpoint.state["ledger_offset"], state.step)
        if state.step > self.settings.total_steps:
            raise RunError(
                "run.other-settings",
                f"the checkpoint is of step {state.step}, and the run ends after {self.settings.total_steps}",
                "raise max_steps or epochs, or use an earlier checkpoint",
            )
        beside = None if named is None else named.parent.parent
        self.material.begin(state.step, beside, checkpoint.state.get("material_sha256", ""))
        self._is_begun = True
        self.optimizer.load_weights(checkpoint.weights)
        self.optimizer.load_state(checkpoint.optimizer)
        changed = {change.name.partition(".")[0] for change in changes}
        if "micro_batch_tokens" in changed:
            state.micro_batch_tokens, state.sequences_apart = self.settings.micro_batch_tokens, False
        if changed & {"early_stop", "max_steps", "epochs"}:
            state.stopped_early = False
        self.state.become(state)
        self.lineage = list(checkpoint.state["lineage"])
        if named is not None:
            self.lineage.append(lineage_entry(named, state.step, changes))
        self._ledger_offset = checkpoint.state["ledger_offset"] if self.ranks.is_first else 0
        self._saved_step = self.state.step
        restore_randomness(checkpoint.randomness)
        return changes

    def take_ledger_of(self, checkpoint: Path) -> None:
        """Continue in a copy of the row ledger beside another run's checkpoints."""
        beside = self._ledger_beside(checkpoint)
        if beside.exists() and beside.resolve() != self._ledger_path.resolve():
            self._ledger_path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(beside, self._ledger_path)

    def _ledger_beside(self, checkpoint: Path) -> Path:
        return checkpoint.parent.parent / self._ledger_path.parent.name / self._ledger_path.name

    def _refuse_damaged_ledger(self, path: Path, step: int, offset: int, sha256: str) -> None:
        """RunError `run.broken-checkpoint` with the newest earlier checkpoint whose part of the ledger is whole."""
        reason = ledger.damage(path, offset, sha256, self._ledger_type)
        if reason is None:
            return
        what = f"the row ledger {path} is not that of step {step}: {reason}"
        fix = "restore the file from a copy, or set resume: never to start over"
        folder = CheckpointFolder(path.parent.parent / self.checkpoints.path.name)
        for place in filter(None, (folder.at(earlier) for earlier in reversed(folder.steps()) if earlier < step)):
            state = read_state(place)
            kept, digest = _ledger_of(state)
            if ledger.damage(path, kept, digest, self._ledger_type) is None:
                known = f"its first {kept:,} bytes ({self._ledger_type.visits(kept)}), up to step {_step_of(state)}"
                raise RunError("run.broken-checkpoint", f"{what}; {known}, are whole", f"set resume: {place}, or {fix}")
        raise RunError("run.broken-checkpoint", what, fix)

    def _refuse_seen(self, path: Path, offset: int, step: int) -> None:
        """RunError `run.other-settings` when a row that is left out was learned before the checkpoint."""
        if not offset or not len(self.plan.without):
            return
        visits = self._ledger_type.read(path, offset)
        steps = visits["step"][np.isin(visits["row"], self.plan.without)]
        if len(steps):
            first = int(steps.min())
            what = f"the checkpoint of step {step} has learned a row of without_rows in step {first}"
            raise RunError("run.other-settings", what, "resume from an earlier checkpoint, or start over")

    def checkpoint_bytes(self) -> int:
        """The approximate size of a checkpoint in bytes: weights, and two float32 states of each trained one."""
        weights = sum(weight.nbytes for weight in self.optimizer.weights().values())
        return weights + sum(2 * 4 * master.numel() for master in self.optimizer.masters.values())

    def begin(self) -> None:
        """Prepare the material of a run that is not resumed; a second call does nothing."""
        if not self._is_begun:
            self.material.begin(0)
            self._is_begun = True

    def run(self) -> TrainState:
        """Train to the end of the run and return the final state.

        Errors: RunError `run.not-finite`, `run.interrupted`, `run.broken-checkpoint`; MachineError `machine.no-memory`,
        `machine.no-disk`; those of a checkpoint that cannot be written.
        """
        self.begin()
        self._ledger = RowLedger(self._own_ledger, self._ledger_offset)
        began, before = time.monotonic(), self.state.seconds
        self._reporter = Reporter(self.plan, self.settings, self.state, self.emit)
        self._passes.scorer.model.train()
        self._reporter.progress()
        try:
            self._evaluate_when_due()  # an evaluation that a stop interrupted
            while not self._is_finished():
                self._writer.check()
                self._step()
                self.state.seconds = before + time.monotonic() - began
                self._evaluate_when_due()
                if self.state.step % self.settings.save_every == 0 or self._is_finished():
                    self.save()
            self._writer.wait()
            self._refuse_damaged_ledger(self._own_ledger, self.state.step, self._ledger.write(), self._ledger.sha256)
            return self.state
        except StopRequestedError:
            self.save()
            self._writer.wait()
            raise RunError(
                "run.interrupted",
                f"the run was stopped after step {self.state.step} of {self.settings.total_steps}; it is saved",
                "run it again with resume: auto, the default, to continue from there",
            ) from None
        except RuntimeError:
            self._read()  # an earlier, unread step that is not finite may be the cause
            raise
        finally:
            self._writer.close()
            self._ledger.close()

    def _is_finished(self) -> bool:
        return self.state.step == self.settings.total_steps or self.state.stopped_early

    def save(self) -> None:
        """Start to write a checkpoint of this step, unless there is one. Errors: those of an earlier write."""
        step = self.state.step
        if self._saved_step == step:
            return
        self._read()
        if not self.optimizer.is_finite():
            self._refuse_not_finite(f"a weight after step {step}")
        try:
            ledger_offset = self._ledger.write()
        except OSError as error:
            raise self.checkpoints.save_error(step, error) from error
        checkpoint = Checkpoint(
            identity=self.origin.identity,
            state={
                "standing": self.state.as_json(),
                "ledger_offset": ledger_offset,
                "ledger_sha256": self._ledger.sha256,
                "material_sha256": self.material.digest(step),
                "origin": self.origin.as_json(),
                "lineage": self.lineage,
            },
            weights=self.optimizer.weights(),
            optimizer=self.optimizer.state(),
            randomness=capture_randomness(),
        )
        best = self.state.best_step if self.settings.keep_best else None
        self._saved_step = step
        self.ranks.refuse_differences(f"the sum of the weights after step {step}", self.optimizer.checksum())
        if not self.ranks.is_first:
            return
        self._writer.save(step, checkpoint, best, first=lambda: self._flush_ledger(step))
        self.material.saved([*self.checkpoints.steps(), step])

    def _flush_ledger(self, step: int) -> None:
        try:
            self._ledger.sync()
        except OSError as error:
            raise self.checkpoints.save_error(step, error) from error

    def _step(self) -> None:
        """One optimizer step."""
        state, settings = self.state, self.settings
        data, rows = self._rows()
        if not len(rows):
            self._pass_over()
            return
        rate = settings.learning_rate * settings.schedule(state.step)
        found = self._passes.gradient(data, rows)
        self._unread.append((state.step + 1, state.cursor, found, data))
        from_rows = self.material.metrics(state.cursor)
        after, is_last = self.plan.after(state.cursor), state.step + 1 == settings.total_steps
        is_logged = is_last or (state.step + 1) % settings.log_every == 0
        values: dict[str, float] = {}
        if is_logged:  # the only steps in which the host waits for the device, before the weights change
            if not is_last and self.material.is_fixed and len(self.material.at(after)[1]):
                self._passes.prepare(*self.material.at(after))
            values = self._read()
        self._update(rate)
        self.optimizer.zero_grad()
        state.step += 1
        state.cursor = after
        state.tokens += int(data.lengths[rows].sum())
        state.learned_tokens += int(found.learned.sum())
        if is_logged:
            self._reporter.step({"loss": values["loss"], "learning_rate": rate, **values, **from_rows})

    def _rows(self) -> tuple[TokenisedRows, Indices]:
        """The rows of the next step; what is done so far is saved before an error in making them is raised."""
        try:
            return self.material.at(self.state.cursor)
        except BurnishError:
            self.save()
            self._writer.wait()
            raise

    def _pass_over(self) -> None:
        """A step whose rows are all left out: nothing is learned, and the schedule goes on."""
        self.state.step += 1
        self.state.cursor = self.plan.after(self.state.cursor)

    def _read(self) -> dict[str, float]:
        """Read the results of the last steps, for the ledger and the metrics; returns the metrics of the last one.

        Weights after a step that is not finite are never saved: this is called before a checkpoint, an
        evaluation and the end. Errors: RunError `run.not-finite`, for the first such step.
        """
        state, values = self.state, dict[str, float]()
        while self._unread:
            step, cursor, found, data = self._unread.pop(0)
            (loss, aux_loss, grad_norm, *metrics), row_values = found.read()
            if not (math.isfinite(loss + aux_loss) and math.isfinite(grad_norm)):
                what = "gradient" if math.isfinite(loss + aux_loss) else "loss"
                numbers = f" (loss {loss}, grad_norm {grad_norm})"
                self._refuse_not_finite(
                    f"the {what} of step {step}", numbers, [data.row_ids[row] for row in found.rows]
                )
            rows = self.material.of_dataset(cursor, found.rows)
            self._ledger.append([self._ledger_type.record(rows, cursor.epoch, step, row_values, found.learned)])
            state.first_loss = loss if state.first_loss is None else state.first_loss
            state.last_loss = loss
            values = {"loss": loss, "grad_norm": grad_norm} | named_metrics(self.objective, metrics)
            values |= {"aux_loss": aux_loss} if self._passes.balances else {}
        return values

    def _update(self, rate: float) -> None:
        """Update the weights. If memory runs out meanwhile, only some are updated, so nothing is saved."""
        self._writer.before_change()
        try:
            self.optimizer.step(rate)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            reason = first_line(error)
        else:
            return
        raise MachineError(
            "machine.no-memory",
            f"memory ran out while step {self.state.step + 1} updated the weights, which cannot be repeated: "
            f"{reason}; {self._last_good()}",
            "run it again with more free memory: it resumes from the last checkpoint, if any; or restart with method: "
            "lora, a smaller micro_batch_tokens or gradient_checkpointing: true",
        )

    def _refuse_not_finite(self, what: str, numbers: str = "", rows: Sequence[str] = ()) -> NoReturn:
        self._writer.close()
        saved, _ = self.checkpoints.newest()
        names = rows[:_ROWS_NAMED]
        more = f" and {len(rows) - len(names)} more" if len(rows) > len(names) else ""
        look = f"; look at the rows of this step: {', '.join(names)}{more}" if names else ""
        change = "a lower learning_rate or max_grad_norm, or dtype: float32"
        raise RunError(
            "run.not-finite",
            f"{what} is not finite{numbers}; {self._last_good()}",
            f"run it with {change}{f', and resume: {saved} to keep its steps' if saved is not None else ''}{look}",
        )

    def _last_good(self) -> str:
        self._writer.close()
        saved, _ = self.checkpoints.newest()
        return "no checkpoint was saved" if saved is None else f"the last good checkpoint is {saved}"

    def _evaluate_when_due(self) -> None:
        state, settings, held_out = self.state, self.settings, self.held_out
        step, every = state.step, settings.eval_every
        if held_out is None or (state.evaluations and state.evaluations[-1][0] == step):
            return
        is_due = step > 0 if every is not None and step % every == 0 else step == settings.total_steps
        if not is_due and not (step == 0 and held_out.before_training):
            return
        self._read()
        values = held_out.evaluate(step)
        value = values.pop(held_out.measure)
        if not math.isfinite(value):
            self._refuse_not_finite(f"the validation {held_out.measure} after step {step}")
        state.evaluations.append((step, value))
        named = {held_out.measure: value} | values
        self.emit(Metric(step=step, values={f"eval_{name}": number for name, number in named.items()}))
        state.last_metrics = values
        if step == 0:  # the untrained model is no result of a training
            return
        self._count_gain(value)
        if state.best_score is None or self._gain(value, state.best_score) > 0:
            state.best_score, state.best_step = value, step
            if settings.keep_best:
                self.save()
        if state.stopped_early:
            change = "risen" if held_out.higher_is_better else "fallen"
            text = f"stopped early after step {step}: the validation {held_out.measure} has not {change} in"
            best = f"the best was {state.best_score:.4f} after step {state.best_step}"
            self.emit(Note(text=f"{text} {settings.patience} evaluations; {best}"))

    def _gain(self, value: float, before: float) -> float:
        """By how much an evaluation is better than another."""
        is_higher_better = self.held_out is not None and self.held_out.higher_is_better
        return value - before if is_higher_better else before - value

    def _count_gain(self, value: float) -> None:
        """Reset or reduce patience."""
        state, settings = self.state, self.settings
        if state.score_to_beat is None or self._gain(value, state.score_to_beat) > settings.min_delta:
            state.score_to_beat, state.evaluations_without_gain = value, 0
            return
        state.evaluations_without_gain += 1
        is_out_of_patience = settings.patience is not None and state.evaluations_without_gain >= settings.patience
        state.stopped_early = is_out_of_patience and state.step < settings.total_steps


def _step_of(state: Mapping[str, Any]) -> int:
    return state["standing"]["step"]


def _ledger_of(state: Mapping[str, Any]) -> tuple[int, str]:
    """The length and the digest of the row ledger in the state of a checkpoint; "" in one of an older burnish."""
    return state["ledger_offset"], state.get("ledger_sha256", "")
