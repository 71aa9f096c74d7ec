"""Learning-rate schedules: the factor of a step, a warm-up and then a shape. A pure function of the step."""

import math

from burnish.specs.train import ScheduleSpec


class Schedule:
    """`schedule(step)` for step 0 … total-1.

    The first step already has a rate above 0, and `final` would be reached one step after the last, so no step is
    wasted. A fractional warm-up is rounded up to whole steps, as in transformers.
    """

    def __init__(self, spec: ScheduleSpec, total: int):
        self.kind, self.final, self.total = spec.kind, spec.final, total
        self.warmup = math.ceil(spec.warmup * total - 1e-9) if spec.warmup < 1 else int(spec.warmup)
        self.peak = max(0, self.warmup - 1)  # the last step at the peak rate
        if self.kind == "wsd":
            falling = max(1, round((0.2 if spec.decay is None else spec.decay) * total))
            self.peak = max(self.peak, total - falling)

    def __call__(self, step: int) -> float:
        if step < self.warmup:
            return (step + 1) / self.warmup
        if self.kind == "constant" or step <= self.peak:
            return 1.0
        progress = (step - self.peak) / (self.total - self.peak)
        fallen = (1 - math.cos(math.pi * progress)) / 2 if self.kind == "cosine" else progress
        return 1.0 - (1.0 - self.final) * fallen
