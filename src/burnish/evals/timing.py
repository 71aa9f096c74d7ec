"""The time that the answers of a model take, measured around its engine."""

from dataclasses import dataclass, field
from time import perf_counter

from burnish.models.engines.protocol import Progress


@dataclass
class Timing:
    """Seconds of generation, without loading and scoring."""

    seconds: float = 0.0
    tokens: int = 0
    """All generated tokens, with those that ended an answer."""
    latencies: list[float] = field(default_factory=list[float])
    """Of each answer, in the order of the batches: the seconds from the start of its batch to its end."""
    batch_size: int = 0
    device: str = ""

    def reporting(self, progress: Progress) -> Progress:
        """`progress` of an engine that starts now, which also keeps the latencies."""
        started, before = perf_counter(), len(self.latencies)

        def report(done: int, total: int) -> None:
            nonlocal started
            now = perf_counter()
            self.latencies += [now - started] * (before + done - len(self.latencies))
            self.seconds += now - started
            progress(done, total)
            started = perf_counter()

        return report
