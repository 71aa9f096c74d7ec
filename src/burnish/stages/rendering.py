"""Rows of every kind as tokens, for the stages that measure or show them."""

import json

import numpy as np

from burnish.core.context import Input
from burnish.core.errors import BurnishError
from burnish.data.document import Row
from burnish.data.record import Bad, cut
from burnish.models.adapters import tokenizer_folder
from burnish.specs.tokens import RenderSpec
from burnish.tokens.chat import Rendered, Renderer
from burnish.tokens.load import load_tokenizer

_OF_ONE_ROW = ("data.control-token", "model.bad-template")
"""Errors that concern the row at hand: it is put aside, and the rest goes on."""


class RowRenderer:
    """Renders rows of every kind with the tokenizer of an input: a tokenizer alone, of a model, or of an adapter."""

    def __init__(self, tokenizer: Input, spec: RenderSpec):
        self._renderer = Renderer(load_tokenizer(tokenizer_folder(tokenizer)), spec)

    @property
    def counts(self) -> dict[str, int]:
        """What the renderer counted, as its `counts` says."""
        return dict(self._renderer.counts)

    def told(self) -> list[str]:
        """What was left out, cut or not learned so far, counted in sentences."""
        return self._renderer.told()

    def pieces(self, row: Row) -> list[Rendered]:
        """What a model would be given of a row: its pieces, both answers of a preference, a prompt alone.

        The list is empty when the row is dropped. Raises what the renderer raises, each naming the row's source.
        """
        match row["kind"]:
            case "preference":
                answers = [row["chosen"], row["rejected"]]
            case "label":
                answers = [row["completion"]]
            case "prompt":
                text, ids = self._renderer.prompt(row)
                return [Rendered(text, np.array(ids, np.int32), np.zeros(len(ids), np.float32))]
            case _:
                return self._renderer.render(row)
        asked, tools = row["messages"], row.get("tools")
        pieces = [self._renderer.render_answer(asked, answer, tools, row["source"]) for answer in answers]
        return [piece for piece in pieces if piece is not None] if None not in pieces else []

    def length(self, row: Row) -> tuple[int, int] | Bad | None:
        """(tokens, learned tokens) of a row; Bad when it cannot be rendered, None when it is too long and dropped."""
        try:
            pieces = self.pieces(row)
        except BurnishError as error:
            if error.code not in _OF_ONE_ROW:
                raise
            return Bad(row["source"], "", error.what, cut(json.dumps(row, ensure_ascii=False)))
        return lengths(pieces) if pieces else None

    def shown(self, piece: Rendered) -> list[tuple[str, float]]:
        """A piece as (token text, weight): weight 0 is not learned."""
        return self._renderer.pieces(piece)


def lengths(pieces: list[Rendered]) -> tuple[int, int]:
    """(tokens, learned tokens) of all pieces of a row."""
    return sum(map(len, pieces)), sum(piece.learned for piece in pieces)
