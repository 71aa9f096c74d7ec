"""The metrics of a step: its own values, speed, and the remaining time."""

import time
from collections.abc import Callable, Mapping

from burnish.core.events import Event, Metric, Progress
from burnish.train.batches import StepPlan
from burnish.train.checkpoints.state import LoopSettings, TrainState


class Reporter:
    """Emits the metrics of a run, from the loop's `state`."""

    def __init__(self, plan: StepPlan, settings: LoopSettings, state: TrainState, emit: Callable[[Event], None]):
        self._plan, self._settings, self._state, self._emit = plan, settings, state, emit
        self._began = self._last = time.monotonic()
        self._first_step, self._tokens = state.step, state.tokens

    def step(self, values: Mapping[str, float]) -> None:
        """One metric event: `values` with the speed since the last one, the epoch and the remaining time."""
        state = self._state
        now = time.monotonic()
        per_second = (state.tokens - self._tokens) / max(now - self._last, 1e-9)
        seconds_a_step = (now - self._began) / max(1, state.step - self._first_step)
        self._last, self._tokens = now, state.tokens
        more = {
            "tokens_per_second": per_second,
            "learned_tokens": float(state.learned_tokens),
            "epoch": self._plan.epochs_done(state.cursor),
            "eta_seconds": seconds_a_step * (self._settings.total_steps - state.step),
        }
        self._emit(Metric(step=state.step, values={**values, **more}))
        self.progress()

    def progress(self) -> None:
        done, total = self._state.step, self._settings.total_steps
        self._emit(Progress(phase="train", done=done, total=total, unit="steps"))
