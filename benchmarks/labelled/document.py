"""A document of which is known, by construction, whether it is good or junk."""

import hashlib
from dataclasses import dataclass

HALVES = ("tune", "judge")


@dataclass(frozen=True)
class Document:
    kind: str
    """Kind of junk (`logs`, `base64`, …) or of good text (`web pages`, `man pages`, …)."""
    is_good: bool
    language: str
    """ISO 639-1, or `code`."""
    text: str

    @property
    def id(self) -> str:
        return hashlib.sha256(f"{self.kind}\n{self.text}".encode()).hexdigest()[:16]

    @property
    def half(self) -> str:
        """Filters are tuned on one half and judged on the other."""
        return HALVES[int(self.id, 16) % 2]
