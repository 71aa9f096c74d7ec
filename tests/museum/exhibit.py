"""One exhibit of the museum: a fault of a real project, how to put it into burnish, and what catches it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Exhibit:
    """`inject` puts the fault in. `caught_by` is a check of `prove`, a code of an error, or `falls back`.

    The training is an sft or dpo of a tiny model of `family` with `settings`; `config` overrides the model's config.
    """

    name: str
    source: str
    """Project and number, or several; each is a link in docs/museum.md."""
    looked: str
    """What a user saw."""
    caught_by: str
    inject: Callable[[Patch], None]
    stage: str = "sft"
    family: str = "qwen3"
    config: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


FALLS_BACK = "falls back"
"""The start-up checks find the fault, and the training takes the slower path without it."""
