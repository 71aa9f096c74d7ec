"""The scores of a reward model: pairs of preference rows, and the answers of other rows.

pair_accuracy    1 if the chosen answer has the higher score, 0.5 for equal ones
chosen, rejected, margin, reward    the model's own numbers, without a scale
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from burnish.core.errors import BurnishError
from burnish.evals.measure import Item
from burnish.evals.scoring.scorers import Row, Score, Unscored
from burnish.tokens.rendering.renderer import Renderer

ACCURACY = "pair_accuracy"


def measure_rewards(
    model: Any, renderer: Renderer, rows: Sequence[Row], tick: Callable[[str, int, int], None]
) -> list[Item]:
    """The scores of a sequence classifier with one label; `renderer` drops conversations that are too long.

    Conversations are scored one at a time: padding would change a score by rounding.
    """
    items: list[Item] = []
    for done, row in enumerate(rows):
        if done % 16 == 0:
            tick("rewards", done, len(rows))
        items.append(_item(model, renderer, row))
    tick("rewards", len(rows), len(rows))
    return items


def _item(model: Any, renderer: Renderer, row: Row) -> Item:
    item = Item()
    is_pair = "chosen" in row and "rejected" in row
    try:
        if is_pair:
            before = row["messages"][: len(row["messages"]) - len(row["chosen"])]
            sides = [_score(model, renderer, row, [*before, *row[side]]) for side in ("chosen", "rejected")]
        elif row.get("completion"):
            messages = row["messages"] if row.get("label") else [*row["messages"], *row["completion"]]
            sides = [_score(model, renderer, row, messages)]
        elif row.get("messages") and row["messages"][-1]["role"] == "assistant":
            sides = [_score(model, renderer, row, row["messages"])]
        else:
            item.scores[ACCURACY] = Unscored("the row has no answer")
            return item
    except BurnishError as error:
        item.scores[ACCURACY] = Unscored(error.what)
        return item
    found = [side for side in sides if side is not None]
    if not all(map(math.isfinite, found)):
        item.scores[ACCURACY] = Unscored("the model's number is not finite")
        return item
    if len(found) < len(sides):
        item.too_long, item.scores[ACCURACY] = True, Unscored("a conversation is too long")
    elif is_pair:
        chosen, rejected = found
        value = 1.0 if chosen > rejected else 0.5 if chosen == rejected else 0.0
        item.scores[ACCURACY] = Score(value, f"{chosen:.4f} against {rejected:.4f}")
        item.values = {"chosen": chosen, "rejected": rejected, "margin": chosen - rejected}
    else:
        item.values = {"reward": found[0]}
    return item


@torch.inference_mode()
def _score(model: Any, renderer: Renderer, row: Row, messages: Sequence[Any]) -> float | None:
    """None for a conversation that is too long."""
    whole = {**row, "kind": "chat", "messages": list(messages)}
    rendered = renderer.render(whole)
    if not rendered:
        return None
    tokens = torch.tensor([[int(token) for token in rendered[0].ids]], device=model.device)
    return float(model(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits[0, 0])
