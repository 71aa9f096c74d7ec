"""The engine of last resort: transformers in a process of our own, one request at a time."""

from collections.abc import Callable
from pathlib import Path

from burnish.core.context import Input
from burnish.serve.engines.pipe import PipeEngine
from burnish.serve.engines.supervision import Limits


def transformers_engine(
    source: Input,
    log: Path,
    *,
    context: int | None,
    threads: int,
    device: str = "auto",
    limits: Limits | None = None,
    report: Callable[[str], None] = lambda text: None,
) -> PipeEngine:
    """The engine of a model, or of an adapter on its base, to be opened."""
    settings = {"source": source.to_json(), "context": context, "threads": threads, "device": device}
    module = "burnish.serve.engines.transformers_process"
    return PipeEngine("transformers", module, settings, log, limits=limits, report=report)
