"""Rows of every kind as tokens, for the stages that measure or show them."""

from typing import Any

import numpy as np

from burnish.tokens.chat import Rendered, Renderer

OF_ONE_ROW = ("data.control-token", "model.bad-template")
"""Errors that concern the row at hand: it is put aside, and the rest goes on."""


def rendered(renderer: Renderer, row: dict[str, Any]) -> list[Rendered]:
    """What a model would be given of a row: its pieces, both answers of a preference, a prompt alone; none if dropped.

    Raises what the renderer raises, each naming the row's source.
    """
    match row["kind"]:
        case "preference":
            answers = [row["chosen"], row["rejected"]]
        case "label":
            answers = [row["completion"]]
        case "prompt":
            text, ids = renderer.prompt(row)
            return [Rendered(text, np.array(ids, np.int32), np.zeros(len(ids), np.float32))]
        case _:
            return renderer.render(row)
    pieces = [renderer.render_answer(row["messages"], answer, row.get("tools"), row["source"]) for answer in answers]
    return [piece for piece in pieces if piece is not None] if None not in pieces else []
