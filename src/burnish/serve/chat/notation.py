"""How a chat template writes reasoning and tool calls, found by rendering an example with it."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from burnish.core.errors import BurnishError
from burnish.evals.scoring.notations import MARKERS

if TYPE_CHECKING:
    from burnish.tokens.rendering.renderer import Renderer

_ASK, _THOUGHT, _REPLY, _NAME, _VALUE = "qzask", "qzthought", "qzreply", "qzname", "qzvalue"
_TOOL = {
    "type": "function",
    "function": {
        "name": _NAME,
        "description": "d",
        "parameters": {"type": "object", "properties": {"place": {"type": "string", "description": "d"}}},
    },
}
_CALL = {
    "id": "qzcall001",
    "type": "function",
    "function": {"name": _NAME, "arguments": json.dumps({"place": _VALUE})},
}
_THINKING = {"role": "assistant", "content": _REPLY, "reasoning_content": _THOUGHT}


@dataclass(frozen=True)
class Reasoning:
    """The texts around reasoning, without white space."""

    opens: str
    closes: str


@dataclass(frozen=True)
class Calling:
    """One call as the template writes it: `opens`, a JSON object with `name` and the arguments, `closes`."""

    opens: str
    closes: str
    arguments: str
    """The key of the arguments."""


@dataclass(frozen=True)
class Notation:
    """`marker` opens a tool call: one of MARKERS, or "" for calls without one. None: the template writes no calls."""

    reasoning: Reasoning | None
    marker: str | None
    calling: Calling | None
    """Where a call is a JSON object, so that it can be forced by a schema."""
    example: str = ""
    """A call and reasoning as the template writes them."""


def notation_of(renderer: "Renderer") -> Notation:
    """The notation of a renderer's template."""
    written = _written(renderer, {"role": "assistant", "content": "", "tool_calls": [_CALL]}, [_TOOL])
    marker = None if _NAME not in written else next((mark for mark in MARKERS if mark in written), "")
    thought = _written(renderer, _THINKING, None)
    return Notation(_reasoning(renderer, thought), marker, _calling(written), f"{written}\n{thought}")


def misplaced(renderer: "Renderer", example: str) -> tuple[str, ...]:
    """The control tokens that have no place within an answer, and are refused in a conversation.

    Those in `example`, of how the template writes calls and reasoning, are part of an answer.
    """
    return tuple(text for text in renderer.refusals.control if text not in example)


def _reasoning(renderer: "Renderer", written: str) -> Reasoning | None:
    before, thought, after = written.partition(_THOUGHT)
    if thought and _REPLY in after:
        opens = before.strip().rsplit("\n", 1)[-1].strip()
        closes = after[: after.index(_REPLY)].strip().split("\n", 1)[0].strip()
        if opens and closes:
            return Reasoning(_last_tag(opens), closes)
    return Reasoning("<think>", "</think>") if "</think>" in renderer.template else None


def _last_tag(opens: str) -> str:
    """The tag that opens reasoning, without the header of the turn that may stand before it on its line."""
    place = max(opens.rfind("<"), opens.rfind("["))
    return opens[place:] if place > 0 and not opens.startswith("<|channel") else opens


def _calling(written: str) -> Calling | None:
    """Where the call is a JSON object: the texts around it, and its keys."""
    place = written.find(_NAME)
    start = written.rfind("{", 0, place) if place > 0 else -1
    while start >= 0:
        try:
            value, end = json.JSONDecoder().raw_decode(written, start)
        except ValueError:
            return None
        if isinstance(value, dict) and value.get("name") == _NAME:
            key = next((name for name in ("arguments", "parameters") if isinstance(value.get(name), dict)), None)
            return None if key is None else Calling(written[:start], written[end:].rstrip(), key)
        start = written.rfind("{", 0, start)
    return None


def _written(renderer: "Renderer", turn: dict[str, Any], tools: Any) -> str:
    """What the assistant writes in its turn, without the end of the turn; "" where the template refuses it."""
    row = {"messages": [{"role": "user", "content": _ASK}, turn], "tools": tools, "kind": "chat"}
    try:
        return renderer.answer(row)
    except BurnishError:
        return ""
