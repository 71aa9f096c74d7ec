"""Settings of generated answers."""

from pydantic import Field

from burnish.specs.base import Spec


class GenerationSpec(Spec):
    """How answers are generated."""

    max_new_tokens: int = Field(default=256, ge=1)
    """Maximum length of an answer."""
    temperature: float = Field(default=0.0, ge=0.0)
    """0 always selects the most likely token."""
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    """Sample from the most likely tokens with this total probability."""
    top_k: int | None = Field(default=None, ge=1)
    """Sample from this many most likely tokens."""
    seed: int = 0
    """Random seed of sampling."""
    batch_size: int = Field(default=64, ge=1)
    """Number of prompts answered at once."""
