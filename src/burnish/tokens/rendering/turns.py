"""Finds, in the text of a conversation, what the assistant itself has to write in each of its turns.

Three ways, tried in this order, each exact:

1. *generation markers*: the template says it itself, with `{% generation %}` blocks;
2. *traced turns*: the template's run says which stretch was written for which message; a turn begins after what the
   generation prompt gives, and ends where its stretch ends;
3. *differenced prefixes*: a turn is what `messages[:i+1]` has more than `messages[:i]` with the generation prompt;
   only where both are beginnings of the whole text.

An assistant that cannot end its turn never stops. So where a turn carries no end of its own (GLM 4), its end is the
special token that opens the turn after it. A line break after the end of a turn belongs to the turn.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from burnish.core.errors import BurnishError, ModelError
from burnish.tokens.templates.dialect import (
    ANSWERING,
    ASK,
    CALLING,
    NO_MODE,
    REPLY,
    RESULT,
    TOOL,
    Beginnings,
    Dialect,
    said,
)
from burnish.tokens.templates.template import Trace

Method = Literal["generation markers", "traced turns", "differenced prefixes"]
Messages = Sequence[Mapping[str, Any]]
Tools = Sequence[Mapping[str, Any]] | None


@dataclass(frozen=True)
class Span:
    """Characters [start, end) that message `index` (None: no message in particular) has to write."""

    start: int
    end: int
    index: int | None


class Turns:
    """The spans of one dialect."""

    def __init__(self, dialect: Dialect):
        self.dialect = dialect
        self._headers: dict[tuple[str, frozenset[int]], str] = {}

    @cached_property
    def method(self) -> Method:
        """How the spans of a conversation without tools are found; it is shown to the user."""
        if self.dialect.template.has_markers:
            return "generation markers"
        exchange = [said("user", ASK), said("assistant", REPLY), said("user", ASK), said("assistant", REPLY)]
        return "traced turns" if self._is_traced(self.dialect.trace(exchange), {1: REPLY, 3: REPLY}) else _DIFFERENCED

    @cached_property
    def _method_with_results(self) -> Method:
        """The same for conversations with tool results, which some templates render inside the assistant's turn."""
        if self.method == "traced turns":
            exchange = [said("user", ASK), CALLING, ANSWERING, said("assistant", REPLY)]
            if not self._is_traced(self.dialect.trace(exchange), {1: TOOL, 3: REPLY}, RESULT):
                return _DIFFERENCED
        return self.method

    @staticmethod
    def _is_traced(trace: Trace, expected: Mapping[int, str], foreign: str = ASK) -> bool:
        """Whether every message's word stands in its own stretch, and the foreign word in no assistant's."""
        own = dict.fromkeys(expected, "")
        for stretch in trace.stretches:
            if stretch.index in own:
                own[stretch.index] += trace.text[stretch.start : stretch.end]
        return all(word in own[index] and foreign not in own[index] for index, word in expected.items())

    @cached_property
    def ends(self) -> frozenset[str]:
        """Special tokens that end a turn: those after a plain answer, the last of a calling turn, and eos."""
        dialect = self.dialect
        ends = {dialect.eos} if dialect.eos is not None else set()
        for closing, last in ((said("assistant", REPLY), REPLY), (CALLING, TOOL)):
            asking = [said("user", ASK), closing]
            try:
                text = dialect.trace(asking).text
                if dialect.special.search(text, text.rindex(last)) is None:
                    text = self.find(Beginnings(dialect, asking, None), 2, {1})[0].text  # the turn ends in the next one
            except BurnishError:  # a template that knows no calls
                continue
            found = dialect.special.findall(text, text.rindex(last))
            ends |= set(found if last == REPLY else found[-1:])
        return frozenset(ends)

    def find(
        self, beginnings: Beginnings, count: int, wanted: Set[int], mode: Mapping[str, Any] = NO_MODE
    ) -> tuple[Trace, list[Span]]:
        """Render the first `count` messages and find the spans of the assistant's turns in `wanted`.

        The text may be longer than the template gives it: by the end of the last turn, where turns end in the next.
        Raises ModelError `model.inexact-template` where a span cannot be told exactly.
        """
        with_results = any(message["role"] == "tool" for message in beginnings.messages[:count])
        method = self._method_with_results if with_results else self.method
        trace = beginnings.shown(count, mode)
        if method == "generation markers":
            spans = self._marked(trace, count, wanted)
        elif method == "traced turns":
            spans = self._traced(trace, beginnings, count, wanted, mode)
        else:
            spans = self._differenced(trace, beginnings, wanted, mode)
        return self._with_ends(trace, spans, beginnings, count, wanted, mode)

    def _marked(self, trace: Trace, count: int, wanted: Set[int]) -> list[Span]:
        last = count - 1
        spans = [Span(mark.start, mark.end, last if mark.index is None else mark.index) for mark in trace.marked]
        return [span for span in spans if span.index in wanted]

    def _traced(
        self, trace: Trace, beginnings: Beginnings, count: int, wanted: Set[int], mode: Mapping[str, Any]
    ) -> list[Span]:
        spans = []
        for index in sorted(wanted):
            own = [stretch for stretch in trace.stretches if stretch.index == index]
            if not own:
                raise inexact(f"message {index + 1} (assistant) is written nowhere in the text")
            if index == count - 1 and trace.stretches[-1].index is None:
                own.append(trace.stretches[-1])  # what follows the last message, such as an end of text
            start = self._after_header(trace, own[0].start, beginnings, index, mode)
            spans += [Span(max(piece.start, start), piece.end, index) for piece in own if piece.end > start]
        return spans

    def _after_header(
        self, trace: Trace, begin: int, beginnings: Beginnings, index: int, mode: Mapping[str, Any]
    ) -> int:
        """Where turn `index`, which begins at `begin`, goes on after what the generation prompt gives."""
        prompt = beginnings.prompt(index, mode)
        if self.dialect.modes:
            header = self.header(beginnings, index, mode)
            if header and trace.text.startswith(header, begin):
                return begin + len(header)
        elif begin <= len(prompt.text) and trace.text.startswith(prompt.text):
            return len(prompt.text)
        header, _ = _tail(prompt)
        if header and trace.text.startswith(header, begin):
            return begin + len(header)
        if begin <= len(prompt.text) and trace.text.startswith(prompt.text):
            return len(prompt.text)
        raise inexact(
            f"the generation prompt {header!r} is not how a turn of the assistant begins: "
            f"{trace.text[begin : begin + 40]!r}"
        )

    def header(self, beginnings: Beginnings, index: int, mode: Mapping[str, Any] = NO_MODE) -> str:
        """What the generation prompts of every mode of thinking open turn `index` with.

        A thought that one mode opens or closes is no header: another mode leaves it to the model. The header is the
        first outputs that all have in common, or else their common beginning, back to a line break or special token.
        Worked out once for each way in which the prompt ends.
        """
        key = common, ends = _tail(beginnings.prompt(index, mode))
        if not self.dialect.modes:
            return common
        if key not in self._headers:
            for other in (NO_MODE, *self.dialect.modes):
                tail, others = _tail(beginnings.prompt(index, other))
                ends &= others
                common = common[: _common_length(common, tail)]
            end = max((end for end in ends if 0 < end <= len(common)), default=0)
            marks = [match.end() for match in self.dialect.special.finditer(common)]
            self._headers[key] = common[: end or max([*marks, common.rfind("\n") + 1])]
        return self._headers[key]

    def stem(self, beginnings: Beginnings, index: int, mode: Mapping[str, Any] = NO_MODE) -> str:
        """The generation prompt for turn `index` up to the end of its header."""
        prompt = beginnings.prompt(index, mode)
        tail, _ = _tail(prompt)
        return prompt.text[: len(prompt.text) - len(tail)] + self.header(beginnings, index, mode)

    def _differenced(
        self, trace: Trace, beginnings: Beginnings, wanted: Set[int], mode: Mapping[str, Any]
    ) -> list[Span]:
        spans = []
        for index in sorted(wanted):
            if index == 0:
                raise inexact("the conversation begins with the assistant, so that there is no prefix to compare with")
            start = beginnings.prompt(index, mode).text
            end = beginnings.shown(index + 1, mode).text
            if not (end.startswith(start) and trace.text.startswith(end)):
                raise inexact(
                    f"the text of message {index + 1} depends on later messages, and the template hides from which "
                    "message each part comes"
                )
            spans.append(Span(len(start), len(end), index))
        return spans

    def _with_ends(
        self,
        trace: Trace,
        spans: list[Span],
        beginnings: Beginnings,
        count: int,
        wanted: Set[int],
        mode: Mapping[str, Any],
    ) -> tuple[Trace, list[Span]]:
        """Make each turn hold its end: a special token."""
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
                trace = self._opened(trace, beginnings.messages[:count], beginnings.tools, mode)
            following = special.match(trace.text, span.end)
            if following is None:
                raise inexact(
                    f"a turn of the assistant ends without a special token, after {inside[-20:]!r}: "
                    "a model trained on it would never stop"
                )
            spans[position] = Span(span.start, following.end(), index)
        return trace, spans

    def _opened(self, trace: Trace, messages: Messages, tools: Tools, mode: Mapping[str, Any]) -> Trace:
        """The text and, after it, the special token that opens the turn which would follow."""
        called = messages[-1].get("tool_calls")
        following = ANSWERING if called else said("user", ASK)
        if called:
            following = {**following, "name": called[-1]["function"]["name"]}
            if "id" in called[-1]:
                following["tool_call_id"] = called[-1]["id"]
        try:
            longer = self.dialect.trace([*messages, following], tools, mode=mode)
        except BurnishError:
            return trace
        begin = next((piece.start for piece in longer.stretches if piece.index == len(messages)), len(longer.text))
        opening = self.dialect.special.match(longer.text, begin)
        if opening is None:
            return trace
        return Trace(trace.text + opening.group(), trace.pieces, trace.stretches, trace.marked)


def _tail(prompt: Trace) -> tuple[str, frozenset[int]]:
    """What a generation prompt's rendering writes after the last message, and where in it an output ends."""
    last = prompt.stretches[-1] if prompt.stretches else None
    if last is None or last.index is not None:
        return "", frozenset()
    return prompt.text[last.start :], frozenset(end - last.start for end in prompt.pieces if end > last.start)


_DIFFERENCED: Method = "differenced prefixes"


def _common_length(left: str, right: str) -> int:
    """How many leading characters two strings share."""
    pairs = enumerate(zip(left, right, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(left), len(right)))


def inexact(why: str) -> ModelError:
    return ModelError(
        "model.inexact-template",
        f"the chat template does not tell exactly which tokens the assistant writes: {why}",
        "give a render.chat_template with {% generation %} markers, such as chatml, or set render.train_on: all",
    )
