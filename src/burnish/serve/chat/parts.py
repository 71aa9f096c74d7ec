"""Divides a turn of the assistant, as it is written, into reasoning, content and tool calls."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from burnish.evals.scoring.notations import MARKERS, parse_tool_calls
from burnish.evals.scoring.tool_calls import MalformedToolCallError, ToolCall
from burnish.serve.chat.arguments import arguments_text
from burnish.serve.chat.notation import Notation

_OPENINGS: dict[str, str | None] = {
    **dict.fromkeys(MARKERS),
    "<tool_call>": "</tool_call>",
    "<function=": "</function>",
    "<|tool_call>": "<tool_call|>",
    "<｜tool▁calls▁begin｜>": "<｜tool▁calls▁end｜>",
    "<｜tool▁call▁begin｜>": "<｜tool▁call▁end｜>",
    "<|tool_call_start|>": "<|tool_call_end|>",
    "<function_calls>": "</function_calls>",
    "<invoke name=": "</invoke>",
}
"""What opens a call, or all of them, and what ends it; None: calls go on to the end of the turn."""


@dataclass(frozen=True)
class Call:
    """A tool call: name, and arguments as JSON text."""

    name: str
    arguments: str


@dataclass(frozen=True)
class Part:
    """One more piece of a turn: reasoning, content, or a whole tool call."""

    kind: Literal["reasoning", "content", "call"]
    text: str = ""
    call: Call | None = None


class Parts:
    """`add` gives the parts that are certain; `end` the rest. `malformed` says why a call was given out as content."""

    def __init__(
        self,
        notation: Notation,
        tools: Sequence[Mapping[str, Any]] | None,
        *,
        begins_in_reasoning: bool = False,
        parallel: bool = True,
    ):
        self._tools = {tool["function"]["name"]: tool["function"] for tool in tools or ()}
        self._reasoning = notation.reasoning
        self._markers = tuple(_OPENINGS) if tools else ()
        self._is_bare = bool(tools) and notation.marker == ""
        self._parallel = parallel
        self._held = ""
        self._step: Callable[[bool], list[Part] | None] = self._thinking if begins_in_reasoning else self._opening
        self._marker = ""
        self._has_thought = False
        self.calls = 0
        self.surplus = 0
        """Calls after the first that were left out as the request asked."""
        self.malformed = ""
        self.is_whole = False  # text or calls may follow

    def add(self, text: str) -> list[Part]:
        """The parts that one more text completes."""
        self._held += text
        return self._run(final=False)

    def end(self) -> list[Part]:
        """The rest."""
        return self._run(final=True)

    def _run(self, final: bool) -> list[Part]:
        parts: list[Part] = []
        while self._held or final:
            held, step = self._held, self._step
            found = self._step(final)
            if found is None:
                break
            parts += found
            if self._held == held and self._step == step:
                break
        return parts

    def _opening(self, final: bool) -> list[Part] | None:
        """The start of a turn: reasoning, or not."""
        if self._reasoning is not None:
            start = self._held.lstrip()
            if start.startswith(self._reasoning.opens):
                self._held = start[len(self._reasoning.opens) :]
                self._step = self._thinking
                return []
            if not final and self._reasoning.opens.startswith(start):
                return None
        self._step = self._bare if self._is_bare else self._writing
        return []

    def _thinking(self, final: bool) -> list[Part] | None:
        assert self._reasoning is not None
        text, closed, rest = self._held.partition(self._reasoning.closes)
        if closed:
            self._held = rest
            self._step = self._after_thinking
            return self._thought(text.rstrip())
        keep = 0 if final else _partial(self._held, (self._reasoning.closes,))
        keep += 0 if final else _white(self._held[: len(self._held) - keep])
        text, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return self._thought(text) if text else None

    def _thought(self, text: str) -> list[Part]:
        text = text if self._has_thought else text.lstrip()
        self._has_thought = self._has_thought or bool(text)
        return [Part("reasoning", text)] if text else []

    def _after_thinking(self, final: bool) -> list[Part] | None:
        """White space after reasoning is no content."""
        self._held = self._held.lstrip()
        if not self._held and not final:
            return None
        self._step = self._bare if self._is_bare else self._writing
        return []

    def _bare(self, final: bool) -> list[Part] | None:
        """A turn that may be a call without a marker: JSON, or calls as Python writes them."""
        start = self._held.lstrip()
        if not start and not final:
            return None
        if start and start[0] not in "{[`":
            self._step = self._writing
            return []
        if not final:
            return None
        text, self._held = self._held, ""
        try:
            calls = parse_tool_calls(text)
        except MalformedToolCallError as error:
            self.malformed, calls = str(error), []
        known = bool(calls) and all(call.name in self._tools for call in calls)
        self._step = self._writing
        return self._called(calls) if known else [Part("content", text)] if text else []

    def _writing(self, final: bool) -> list[Part] | None:
        found = [(place, marker) for marker in self._markers if (place := self._held.find(marker)) >= 0]
        if found:
            place, marker = min(found, key=lambda pair: (pair[0], -len(pair[1])))
            text, self._held = self._held[:place], self._held[place:]
            self._marker, self._step = marker, self._calling
            return self._content(text.rstrip())
        keep = 0 if final else _partial(self._held, self._markers)
        if self._markers and not final:  # white space before a call is no content
            keep += _white(self._held[: len(self._held) - keep])
        text, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return self._content(text) if text else None

    def _content(self, text: str) -> list[Part]:
        if not text or (self.calls and not text.strip()):
            return []
        return [Part("content", text)]

    def _calling(self, final: bool) -> list[Part] | None:
        closes = _OPENINGS[self._marker]
        end = self._held.find(closes) if closes else -1
        if end < 0 and not final:
            return None
        end = len(self._held) if end < 0 or closes is None else end + len(closes)
        text, self._held = self._held[:end], self._held[end:]
        self._step = self._writing
        try:
            calls = parse_tool_calls(text)
        except MalformedToolCallError as error:
            self.malformed = str(error)
            return [Part("content", text)]
        if not calls:
            self.malformed = "there is no call in it"
            return [Part("content", text)]
        if unknown := next((call.name for call in calls if call.name not in self._tools), None):
            self.malformed = f"the function '{unknown}' was not offered"
            return [Part("content", text)]
        return self._called(calls)

    def _called(self, calls: Sequence[ToolCall]) -> list[Part]:
        kept = [] if not self._parallel and self.calls else calls if self._parallel else calls[:1]
        self.surplus += len(calls) - len(kept)
        self.calls += len(kept)
        return [
            Part("call", call=Call(call.name, arguments_text(call.arguments, self._tools.get(call.name, {}))))
            for call in kept
        ]


def _partial(text: str, markers: Sequence[str]) -> int:
    """How many characters at the end may open one of the markers."""
    longest = max(map(len, markers), default=0)
    for length in range(min(longest - 1, len(text)), 0, -1):
        if any(marker.startswith(text[-length:]) for marker in markers):
            return length
    return 0


def _white(text: str) -> int:
    """The length of the white space at the end."""
    return len(text) - len(text.rstrip())
