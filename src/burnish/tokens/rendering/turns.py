"""Locate the spans that the assistant writes in the text of a conversation.

Three exact methods, in order of preference:

1. *generation markers*: the template marks them with `{% generation %}` blocks;
2. *traced turns*: the template's execution shows which segment was written for which message; a turn starts after the
   text of the generation prompt and ends with its segment;
3. *differenced prefixes*: a turn is the difference between `messages[:i+1]` and `messages[:i]` with the generation
   prompt; only if both are prefixes of the full text.

A model that does not learn to end its turn never stops. If turns have no end token (GLM 4), the special token that
opens the next turn is used. A line break after the end of a turn belongs to the turn.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from burnish.core.errors import BurnishError, ModelError
from burnish.tokens.templates.dialect import (
    ASK,
    CALL_MESSAGE,
    NO_MODE,
    REPLY,
    RESULT,
    TOOL,
    TOOL_MESSAGE,
    Dialect,
    Prefixes,
    make_message,
)
from burnish.tokens.templates.template import Trace

Method = Literal["generation markers", "traced turns", "differenced prefixes"]
Messages = Sequence[Mapping[str, Any]]
Tools = Sequence[Mapping[str, Any]] | None


@dataclass(frozen=True)
class Span:
    """Characters [start, end) written by message `index` (None: no particular message)."""

    start: int
    end: int
    index: int | None


class Turns:
    """Locates spans for one dialect."""

    def __init__(self, dialect: Dialect):
        self.dialect = dialect
        self._headers: dict[tuple[str, frozenset[int]], str] = {}

    @cached_property
    def method(self) -> Method:
        """The method for conversations without tools; shown to the user."""
        if self.dialect.template.has_markers:
            return "generation markers"
        exchange = [
            make_message("user", ASK),
            make_message("assistant", REPLY),
            make_message("user", ASK),
            make_message("assistant", REPLY),
        ]
        return "traced turns" if self._is_traced(self.dialect.trace(exchange), {1: REPLY, 3: REPLY}) else _DIFFERENCED

    @cached_property
    def _method_with_results(self) -> Method:
        """The method for conversations with tool results, which some templates render inside the assistant's turn."""
        if self.method == "traced turns":
            exchange = [make_message("user", ASK), CALL_MESSAGE, TOOL_MESSAGE, make_message("assistant", REPLY)]
            if not self._is_traced(self.dialect.trace(exchange), {1: TOOL, 3: REPLY}, RESULT):
                return _DIFFERENCED
        return self.method

    @staticmethod
    def _is_traced(trace: Trace, expected: Mapping[int, str], foreign: str = ASK) -> bool:
        """Whether every message's text is in its own segment, and the foreign text in none of them."""
        own = dict.fromkeys(expected, "")
        for segment in trace.segments:
            if segment.index in own:
                own[segment.index] += trace.text[segment.start : segment.end]
        return all(word in own[index] and foreign not in own[index] for index, word in expected.items())

    @cached_property
    def ends(self) -> frozenset[str]:
        """Special tokens that end a turn: those after a plain answer, the last one of a tool-calling turn, and EOS."""
        dialect = self.dialect
        ends = {dialect.eos} if dialect.eos is not None else set()
        for closing, last in ((make_message("assistant", REPLY), REPLY), (CALL_MESSAGE, TOOL)):
            asking = [make_message("user", ASK), closing]
            try:
                text = dialect.trace(asking).text
                if dialect.special.search(text, text.rindex(last)) is None:
                    text = self.find(Prefixes(dialect, asking, None), 2, {1})[0].text  # the turn ends in the next one
            except BurnishError:  # the template does not support tool calls
                continue
            found = dialect.special.findall(text, text.rindex(last))
            ends |= set(found if last == REPLY else found[-1:])
        return frozenset(ends)

    def find(
        self, prefixes: Prefixes, count: int, wanted: Set[int], mode: Mapping[str, Any] = NO_MODE
    ) -> tuple[Trace, list[Span]]:
        """Render the first `count` messages and locate the spans of the assistant's turns in `wanted`.

        If turns end with the next one's opening, the text is extended by the end of the last turn.
        Raises ModelError `model.inexact-template` if a span cannot be located exactly.
        """
        with_results = any(message["role"] == "tool" for message in prefixes.messages[:count])
        method = self._method_with_results if with_results else self.method
        trace = prefixes.render(count, mode)
        if method == "generation markers":
            spans = self._marked(trace, count, wanted)
        elif method == "traced turns":
            spans = self._traced(trace, prefixes, count, wanted, mode)
        else:
            spans = self._differenced(trace, prefixes, wanted, mode)
        return self._with_ends(trace, spans, prefixes, count, wanted, mode)

    def _marked(self, trace: Trace, count: int, wanted: Set[int]) -> list[Span]:
        last = count - 1
        spans = [Span(mark.start, mark.end, last if mark.index is None else mark.index) for mark in trace.marked]
        return [span for span in spans if span.index in wanted]

    def _traced(
        self, trace: Trace, prefixes: Prefixes, count: int, wanted: Set[int], mode: Mapping[str, Any]
    ) -> list[Span]:
        spans = []
        for index in sorted(wanted):
            own = [segment for segment in trace.segments if segment.index == index]
            if not own:
                raise inexact(f"the text does not contain message {index + 1} (assistant)")
            if index == count - 1 and trace.segments[-1].index is None:
                own.append(trace.segments[-1])  # text after the last message, such as EOS
            start = self._after_header(trace, own[0].start, prefixes, index, mode)
            spans += [Span(max(piece.start, start), piece.end, index) for piece in own if piece.end > start]
        return spans

    def _after_header(self, trace: Trace, begin: int, prefixes: Prefixes, index: int, mode: Mapping[str, Any]) -> int:
        """The position in turn `index`, which starts at `begin`, after the text of the generation prompt."""
        prompt = prefixes.prompt(index, mode)
        continues = begin <= len(prompt.text) and trace.text.startswith(prompt.text)
        if continues and not self.dialect.modes:
            return len(prompt.text)
        tail, _ = _tail(prompt)
        for header in (self.header(prefixes, index, mode), tail):
            if header and trace.text.startswith(header, begin):
                return begin + len(header)
        if continues:
            return len(prompt.text)
        raise inexact(
            f"the turn of the assistant does not start with the generation prompt {tail!r}: "
            f"{trace.text[begin : begin + 40]!r}"
        )

    def header(self, prefixes: Prefixes, index: int, mode: Mapping[str, Any] = NO_MODE) -> str:
        """The text that the generation prompts of all reasoning modes open turn `index` with.

        Reasoning tags that only one mode writes are not part of the header: in another mode the model writes them. The
        header is the longest common sequence of outputs, or else the common prefix up to a line break or special token.
        Cached by the end of the prompt.
        """
        key = common, ends = _tail(prefixes.prompt(index, mode))
        if not self.dialect.modes:
            return common
        if key not in self._headers:
            for other in (NO_MODE, *self.dialect.modes):
                tail, others = _tail(prefixes.prompt(index, other))
                ends &= others
                common = common[: _common_length(common, tail)]
            end = max((end for end in ends if end <= len(common)), default=0)
            marks = [match.end() for match in self.dialect.special.finditer(common)]
            self._headers[key] = common[: end or max([*marks, common.rfind("\n") + 1])]
        return self._headers[key]

    def stem(self, prefixes: Prefixes, index: int, mode: Mapping[str, Any] = NO_MODE) -> str:
        """The generation prompt of turn `index` up to the end of its header."""
        prompt = prefixes.prompt(index, mode)
        tail, _ = _tail(prompt)
        return prompt.text[: len(prompt.text) - len(tail)] + self.header(prefixes, index, mode)

    def _differenced(self, trace: Trace, prefixes: Prefixes, wanted: Set[int], mode: Mapping[str, Any]) -> list[Span]:
        spans = []
        for index in sorted(wanted):
            if index == 0:
                raise inexact("the conversation starts with the assistant, so there is no prefix to compare with")
            start = prefixes.prompt(index, mode).text
            end = prefixes.render(index + 1, mode).text
            if not (end.startswith(start) and trace.text.startswith(end)):
                raise inexact(
                    f"the text of message {index + 1} depends on later messages, and the segments of the messages "
                    "are unknown"
                )
            spans.append(Span(len(start), len(end), index))
        return spans

    def _with_ends(
        self,
        trace: Trace,
        spans: list[Span],
        prefixes: Prefixes,
        count: int,
        wanted: Set[int],
        mode: Mapping[str, Any],
    ) -> tuple[Trace, list[Span]]:
        """Extend each turn to include its end, a special token."""
        special = self.dialect.special
        last_of = {span.index: position for position, span in enumerate(spans)}
        for index in sorted(wanted & set(last_of)):
            position = last_of[index]
            span = spans[position]
            inside = trace.text[span.start : span.end].rstrip()
            ends = [match.end() for match in special.finditer(inside)]
            if ends and ends[-1] == len(inside):
                continue
            if span.end == len(trace.text):
                trace = self._with_next_opening(trace, prefixes.messages[:count], prefixes.tools, mode)
            following = special.match(trace.text, span.end)
            if following is None:
                raise inexact(
                    f"a turn of the assistant ends without a special token, after {inside[-20:]!r}: "
                    "a model trained on it would never stop"
                )
            spans[position] = Span(span.start, following.end(), index)
        return trace, spans

    def _with_next_opening(self, trace: Trace, messages: Messages, tools: Tools, mode: Mapping[str, Any]) -> Trace:
        """Append the special token that opens the next turn."""
        called = messages[-1].get("tool_calls")
        following = TOOL_MESSAGE if called else make_message("user", ASK)
        if called:
            following = {**following, "name": called[-1]["function"]["name"]}
            if "id" in called[-1]:
                following["tool_call_id"] = called[-1]["id"]
        try:
            longer = self.dialect.trace([*messages, following], tools, mode=mode)
        except BurnishError:
            return trace
        begin = next((piece.start for piece in longer.segments if piece.index == len(messages)), len(longer.text))
        opening = self.dialect.special.match(longer.text, begin)
        if opening is None:
            return trace
        return Trace(trace.text + opening.group(), trace.pieces, trace.segments, trace.marked)


def _tail(prompt: Trace) -> tuple[str, frozenset[int]]:
    """The text of a generation prompt after the last message, and the offsets in it where an output ends."""
    last = prompt.segments[-1] if prompt.segments else None
    if last is None or last.index is not None:
        return "", frozenset()
    return prompt.text[last.start :], frozenset(end - last.start for end in prompt.pieces if end > last.start)


_DIFFERENCED: Method = "differenced prefixes"


def _common_length(left: str, right: str) -> int:
    """The length of the common prefix of two strings."""
    pairs = enumerate(zip(left, right, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(left), len(right)))


def inexact(why: str) -> ModelError:
    return ModelError(
        "model.inexact-template",
        f"cannot determine from the chat template which tokens the assistant writes: {why}",
        "use a render.chat_template with {% generation %} markers, such as chatml, or set render.train_on: all",
    )
