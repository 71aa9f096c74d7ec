"""The likelihood of learned tokens, as sums that can be added; `perplexity` computes them, and defines the terms."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Likelihood:
    """Weighted sums over the learned tokens of one or more rows."""

    nats: float = 0.0
    """Σ w·(-ln p)"""
    tokens: float = 0.0
    """Σ w"""
    bytes: float = 0.0
    """Σ w·b"""

    def __add__(self, other: "Likelihood") -> "Likelihood":
        return Likelihood(self.nats + other.nats, self.tokens + other.tokens, self.bytes + other.bytes)

    @property
    def perplexity(self) -> float:
        """Infinite if too large for a float."""
        mean = self.nats / self.tokens
        return math.exp(mean) if mean < 700 else math.inf

    @property
    def bits_per_byte(self) -> float:
        return self.nats / math.log(2) / self.bytes
