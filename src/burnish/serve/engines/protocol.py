"""What the server asks of an engine: tokens after a prompt of ids. Text, templates and tools stay in the server."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

Feature = Literal["schema", "log_probs", "embeddings", "adapters", "penalties", "logit_bias", "min_p"]
"""What an engine may lack: a request that needs it is refused with a 400 that names engine and field."""


@dataclass(frozen=True)
class Draw:
    """How the next token is drawn; temperature 0 takes the most likely one."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int | None = None
    min_p: float = 0.0
    seed: int | None = None
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    repetition_penalty: float = 1.0
    """Positive scores of tokens in the prompt or the text are divided by it, negative ones multiplied."""
    logit_bias: Mapping[int, float] = field(default_factory=dict[int, float])


@dataclass(frozen=True)
class Asked:
    """One completion to make. The prompt fits the context, with room for a token at least: the server checks that."""

    prompt: tuple[int, ...]
    max_tokens: int
    draw: Draw = field(default_factory=Draw)
    stop_ids: tuple[int, ...] = ()
    top_log_probs: int | None = None
    """None: no log-probabilities; 0: of the drawn token; k: of the k most likely ones too."""
    schema: Mapping[str, Any] | None = None
    """A JSON schema that the whole text matches."""
    after: str = ""
    """Text that may follow the JSON, without special tokens. Engines that cannot allow it leave it out."""
    adapter: str | None = None
    """The name of a loaded adapter; None is the base alone."""


@dataclass(frozen=True)
class Token:
    """One drawn token, with log-probabilities in nats where they were asked for: those of the model alone, before
    temperature, penalties, bias and cuts."""

    id: int
    log_prob: float | None = None
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class End:
    """The last of a completion: why it ended, and the token that ended it, which is no part of the text."""

    reason: Literal["stop", "length"]
    token: int | None = None
    log_prob: float | None = None
    """Of `token`, where asked for."""


class EngineError(Exception):
    """`unavailable`: the process is starting, was restarted, or does not answer. `refused`: it cannot do what was
    asked. `failed`: it broke while answering."""

    def __init__(self, kind: Literal["unavailable", "refused", "failed"], what: str):
        super().__init__(what)
        self.kind, self.what = kind, what


class ServingEngine(Protocol):
    """Answers many prompts at a time. Every method is called from one event loop."""

    name: str
    """llama.cpp, vllm or transformers."""
    context: int
    """Most tokens of a prompt with its answer."""
    features: frozenset[Feature]
    slots: int
    """How many prompts it answers at a time; the server queues the others."""

    @property
    def restarts(self) -> int:
        """How often its process was started again."""
        ...

    def complete(self, asked: Asked) -> AsyncIterator[Token | End]:
        """Tokens as they come, then one `End`. Closing the iterator ends the work for it.

        Errors: EngineError, also in the middle.
        """
        ...

    async def embed(self, prompts: Sequence[Sequence[int]]) -> list[list[float]]:
        """A vector for each prompt; the `embeddings` feature."""
        ...

    async def add_adapter(self, name: str, source: Path) -> None:
        """Load an adapter, in the form that this engine reads; those under way are not disturbed."""
        ...

    async def remove_adapter(self, name: str) -> None: ...

    async def is_ready(self) -> bool:
        """Whether it answers now; within a second."""
        ...

    async def close(self) -> None:
        """End the process; what is under way is lost, so the server drains first."""
        ...
