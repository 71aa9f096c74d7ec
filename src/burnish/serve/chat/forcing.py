"""A turn that must be a tool call: the text that opens it is given, and a schema enforces the rest."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from burnish.evals.scoring.json_values import decoder
from burnish.serve.chat.arguments import json_text
from burnish.serve.chat.notation import Calling, Notation
from burnish.serve.chat.parts import Call, Part
from burnish.serve.chat.schemas import call_schema

BARE = Calling("", "", "arguments")
"""For templates whose calls are no JSON: the call is written as plain JSON."""


class ForcedCall:
    """Reads the JSON of the one call that a schema enforces; interchangeable with `Parts`."""

    surplus = 0
    malformed = ""

    def __init__(self, calling: Calling):
        self._calling = calling
        self._written = ""
        self.calls = 0
        self.is_whole = False

    def add(self, text: str) -> list[Part]:
        self._written += text
        return []

    def end(self) -> list[Part]:
        """The call; what is written of it as content, where it is not complete."""
        try:
            value, end = decoder.raw_decode(written := self._written.strip())
            if not self._calling.closes.strip().startswith(written[end:].strip()):
                raise ValueError("something else follows")
            call = Call(str(value["name"]), json_text(value[self._calling.arguments]))
        except (ValueError, KeyError, TypeError):
            self.malformed = "the call is not complete"
            return [Part("content", self._written)] if self._written else []
        self.calls, self.is_whole = 1, True
        return [Part("call", call=call)]


def calling_of(notation: Notation) -> Calling:
    """How a forced call is written."""
    return notation.calling or BARE


def plain_end(calling: Calling, special: Iterable[str]) -> str:
    """The text that closes a call, up to the first special token, which a grammar spells in another way.

    The end of the JSON and the start of this text may be one token, such as `"}}` and a line end: a model that was not
    allowed to write it would go on within the last string.
    """
    found = [place for text in special if (place := calling.closes.find(text)) >= 0]
    return calling.closes[: min(found, default=None)]


def forced_schema(tools: Sequence[Mapping[str, Any]], name: str | None, calling: Calling) -> dict[str, Any]:
    """The schema of a call to the tool `name`, or to any of them."""
    functions = [tool["function"] for tool in tools if name in (None, tool["function"]["name"])]
    return call_schema(functions, calling.arguments)
