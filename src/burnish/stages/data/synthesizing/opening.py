"""The prompt of a model up to an empty user turn, by the chat template of its tokenizer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from burnish.core.context import Context, Input
from burnish.core.errors import ModelError
from burnish.specs.data import ModelSpec
from burnish.specs.tokens import RenderSpec
from burnish.stages.models.tokenizers import tokenizer_of
from burnish.tokens.ids import ids_of
from burnish.tokens.rendering.renderer import Renderer

_TURN = "burnishburnishburnish"
"""A user turn that no template changes."""


@dataclass(frozen=True)
class Opening:
    """`fields` of a plain completion that begins with the user's turn, and the texts of the special tokens."""

    fields: Mapping[str, Any]
    specials: list[str]


def opening_of(source: Input, spec: ModelSpec, ctx: Context) -> Opening:
    """The prompt as ids, and the text that ends the turn.

    Errors: ModelError `model.unsupported` if there is no chat template, or if it writes nothing after a user's turn.
    """
    tokenizer = tokenizer_of(source, ctx.emit)
    fix = "set tokenizer to a folder or model with the chat template of the model, or use make: instruction"
    if not tokenizer.chat_template:
        raise ModelError("model.unsupported", f"{source.ref} has no chat template: where a turn begins is unknown", fix)
    system = [] if spec.system is None else [{"role": "system", "content": spec.system}]
    text, _ = Renderer(tokenizer, RenderSpec(date=spec.date)).prompt([*system, {"role": "user", "content": _TURN}])
    before, found, after = text.partition(_TURN)
    specials = [str(token) for token in tokenizer.all_special_tokens if str(token)]
    ends = [token for token in specials if token in after]
    stop = min(ends, key=after.index, default=after.strip().partition("\n")[0])
    if not found or not stop:
        raise ModelError("model.unsupported", f"the template of {source.ref} does not show where a user turn ends", fix)
    return Opening({"prompt": ids_of(tokenizer, before), "stop": [stop]}, specials)
