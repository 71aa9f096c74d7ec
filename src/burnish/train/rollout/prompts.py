"""The prompts of a split: their tokens, and the rows that rewards read, kept on disk."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from burnish.tokens.rendering.renderer import prompt_messages
from burnish.tokens.tokenised import Indices, TokenisedRows

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Prompt:
    """One prompt: its row, its tokens, and the reference answer if there is one."""

    row: Row
    ids: list[int]
    reference: str | None

    @property
    def messages(self) -> Sequence[Mapping[str, Any]]:
        """The turns that are answered."""
        return prompt_messages(self.row["messages"])


class Prompts:
    """Prompts by index. The rows are lines of a file, of which only the positions are in memory."""

    def __init__(self, tokens: TokenisedRows, file: Path, starts: Indices):
        self.tokens, self._file, self._starts = tokens, file, starts

    @classmethod
    def write(
        cls, tokens: TokenisedRows, rows: Iterable[Row], reference: Callable[[Row], str | None], file: Path
    ) -> "Prompts":
        """Write the rows of `tokens` to a file with their references; others of the split are passed over.

        Errors: those of `reference`, which name the row.
        """
        file.parent.mkdir(parents=True, exist_ok=True)
        wanted, starts = set(tokens.row_ids), list[int]()
        with file.open("wb") as lines:
            for row in rows:  # in the order of the tokens: equal rows are rendered alike, so all or none are there
                if row["id"] in wanted and len(starts) < len(tokens):
                    starts.append(lines.tell())
                    line = json.dumps({"row": row, "reference": reference(row)}, ensure_ascii=False)
                    lines.write(line.encode() + b"\n")
        if len(starts) != len(tokens):
            raise RuntimeError(f"{len(tokens)} prompts were rendered, but {len(starts)} rows were read again")
        return cls(tokens, file, np.array(starts, np.int64))

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def longest(self) -> int:
        """The most tokens of a prompt."""
        return int(self.tokens.lengths.max(initial=0))

    def at(self, indices: Iterable[int]) -> list[Prompt]:
        """The prompts with these indices."""
        found = list[Prompt]()
        with self._file.open("rb") as lines:
            for index in indices:
                lines.seek(int(self._starts[index]))
                line = json.loads(lines.readline())
                ids = self.tokens.ids[self.tokens.span(index)].tolist()
                found.append(Prompt(line["row"], ids, line["reference"]))
        return found
