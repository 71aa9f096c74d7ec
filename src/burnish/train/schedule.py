"""The learning rate of a step, as a share of the highest: warm-up, then a shape. A pure function of the step."""

import math

from burnish.specs.train import ScheduleSpec


class Schedule:
    """`schedule(step)` for step 0 … total-1; the first step already moves, the last one ends at `final`."""

    def __init__(self, spec: ScheduleSpec, total: int):
        self.kind, self.final, self.total = spec.kind, spec.final, total
        self.warmup = round(spec.warmup * total) if spec.warmup < 1 else int(spec.warmup)
        if self.kind == "wsd":
            self.falling = max(1, round((0.2 if spec.decay is None else spec.decay) * total))

    def __call__(self, step: int) -> float:
        if step < self.warmup:
            return (step + 1) / self.warmup
        if self.kind == "constant":
            return 1.0
        if self.kind == "wsd":
            progress = (step + 1 - (self.total - self.falling)) / self.falling
        else:
            progress = (step - self.warmup) / max(1, self.total - 1 - self.warmup)
        progress = min(1.0, max(0.0, progress))
        fallen = (1 - math.cos(math.pi * progress)) / 2 if self.kind == "cosine" else progress
        return 1.0 - (1.0 - self.final) * fallen
