"""The metrics of a step: its own numbers, speed, and how long the rest of the run takes."""

import time
from collections.abc import Callable, Mapping

from burnish.core.events import Event, Metric, Progress
from burnish.train.batches import StepPlan
from burnish.train.standing import LoopSettings, Standing


class Reporter:
    """Emits what a run did, from the state that the loop keeps in `standing`."""

    def __init__(self, plan: StepPlan, settings: LoopSettings, standing: Standing, emit: Callable[[Event], None]):
        self._plan, self._settings, self._standing, self._emit = plan, settings, standing, emit
        self._began = self._last = time.monotonic()
        self._first_step, self._tokens = standing.step, standing.tokens

    def step(self, values: Mapping[str, float]) -> None:
        """One metric event: `values` with tokens per second since the last one, the epoch, and the time left."""
        standing = self._standing
        now = time.monotonic()
        per_second = (standing.tokens - self._tokens) / max(now - self._last, 1e-9)
        seconds_a_step = (now - self._began) / max(1, standing.step - self._first_step)
        self._last, self._tokens = now, standing.tokens
        more = {
            "tokens_per_second": per_second,
            "learned_tokens": float(standing.learned_tokens),
            "epoch": self._plan.epochs_done(standing.cursor),
            "eta_seconds": seconds_a_step * (self._settings.total_steps - standing.step),
        }
        self._emit(Metric(step=standing.step, values={**values, **more}))
        self.progress()

    def progress(self) -> None:
        done, total = self._standing.step, self._settings.total_steps
        self._emit(Progress(phase="train", done=done, total=total, unit="steps"))
