"""What a training in a test left behind."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch


@dataclass
class Ran:
    """A run of `fit` in a folder, with the events that it emitted."""

    folder: Path
    events: list[Any]
    weights: dict[str, torch.Tensor] = field(default_factory=dict)
    measures: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    def metrics(self, name: str) -> list[float]:
        return [event.values[name] for event in self.events if event.kind == "metric" and name in event.values]

    def notes(self, level: str) -> list[str]:
        return [event.text for event in self.events if event.kind == "note" and event.level == level]
