"""One source of files, as the extractors see it: the other files can be looked at, and what is left out is counted."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from burnish.data.synthesize.docs.reading import read


class UnreadableError(Exception):
    """A file that its extractor cannot read. The message is the reason, as it is counted."""


@dataclass
class Project:
    """The files of a source below `root`. `left_out` counts definitions and examples by the reason."""

    root: Path
    files: frozenset[str]
    left_out: Counter[str] = field(default_factory=Counter[str])
    memory: dict[Any, Any] = field(default_factory=dict[Any, Any])
    """What extractors found in other files, by a key of theirs."""

    def text(self, file: str) -> str:
        """The text of a file, "" where it is not read."""
        return read(self.root / file)[0] if file in self.files else ""
