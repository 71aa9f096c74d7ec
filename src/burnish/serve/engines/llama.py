"""The engine for GGUF files: llama.cpp in a process of our own, on a CPU."""

from collections.abc import Callable, Mapping
from pathlib import Path

from burnish.serve.engines.pipe import PipeEngine
from burnish.serve.engines.supervision import Limits


def llama_engine(
    path: Path,
    log: Path,
    *,
    context: int | None,
    slots: int,
    threads: int,
    adapters: Mapping[str, Path] | None = None,
    limits: Limits | None = None,
    report: Callable[[str], None] = lambda text: None,
) -> PipeEngine:
    """The engine, to be opened. `adapters` are GGUF files of LoRA; by default the context is at most 8,192."""
    settings = {"path": str(path), "context": context, "slots": slots, "threads": threads}
    return PipeEngine(
        "llama.cpp",
        "burnish.serve.engines.llama_process",
        settings,
        log,
        adapters=adapters,
        limits=limits,
        report=report,
    )
