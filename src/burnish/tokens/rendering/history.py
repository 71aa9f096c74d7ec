"""Chooses the texts from which the assistant's turns are learned, so that each is learned as it is met in use.

In use, turn i follows the generation prompt of messages[:i]. Many templates render a turn otherwise once the
conversation goes on: Qwen 3 drops its thought, gpt-oss its `<|return|>`. The whole conversation then shows such a
turn in a shape that the model is never asked for, and it is learned from a sample of its own: messages[:i+1].
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from burnish.core.errors import ModelError
from burnish.specs.tokens import RewrittenTurns
from burnish.tokens.rendering.turns import Messages, Span, Tools, Turns, inexact
from burnish.tokens.templates.dialect import NO_MODE, Beginnings

IsBorder = Callable[[str, int], bool]
"""Whether a token ends at a place of a text."""


@dataclass(frozen=True)
class Sample:
    """A text, and the spans of the turns that are learned from it."""

    text: str
    spans: Sequence[Span]


@dataclass(frozen=True)
class Samples:
    """The samples of a conversation, and how many of its turns were treated in which way (names of COUNTED)."""

    samples: Sequence[Sample]
    counts: Mapping[str, int]

    def equals(self, other: "Samples") -> bool:
        """The same texts and spans, and the same counts where a count of 0 is none."""
        ours, theirs = ([(sample.text, list(sample.spans)) for sample in found.samples] for found in (self, other))
        return ours == theirs and +Counter(self.counts) == +Counter(other.counts)


@dataclass(frozen=True)
class _Own:
    """A turn as it is met in use: messages[:i+1] in `mode`; None where no mode asks for it.

    `cut` is the end of the turn: its first stop token. What the template writes after it is not part of the turn.
    """

    text: str
    spans: Sequence[Span]
    cut: int
    mode: Mapping[str, Any] | None
    is_rendered: bool = True
    """False: put together from the generation prompt and the turn, since no rendering holds both."""

    @property
    def start(self) -> int:
        return self.spans[0].start


class History:
    """Chooses samples with the turns of one template; `is_border` asks the tokenizer."""

    def __init__(self, turns: Turns, is_border: IsBorder):
        self._turns, self._is_border = turns, is_border
        self._modes: list[Mapping[str, Any]] = [NO_MODE, *turns.dialect.modes]

    def samples(
        self, messages: Messages, tools: Tools, wanted: Set[int], rewritten: RewrittenTurns = "separate"
    ) -> Samples:
        """The texts that teach the turns in `wanted`; each turn stands in one of them.

        Raises ModelError `model.inexact-template` where a turn cannot be told exactly, `model.bad-template` where
        the template refuses a beginning of the conversation.
        """
        beginnings = Beginnings(self._turns.dialect, messages, tools)
        if not wanted:
            return Samples([Sample(beginnings.shown(len(messages)).text, [])], {})
        if rewritten == "as_shown":
            trace, spans = self._turns.find(beginnings, len(messages), wanted)
            own = self._own_of(beginnings, wanted)
            shown = {index for index in wanted if _stands_in(own[index], trace.text)}
            return Samples([Sample(trace.text, spans)], {**_modes(own), "rewritten_as_shown": len(wanted - shown)})
        own = self._own_of(beginnings, wanted)
        samples: list[Sample] = []
        left = set(own)
        self._add(samples, beginnings, len(messages), own, left)
        name, others = ("rewritten_masked" if rewritten == "mask" else "rewritten"), len(left)
        while left and rewritten == "separate":
            self._add(samples, beginnings, max(left) + 1, own, left)
        return Samples(samples or [Sample(beginnings.shown(len(messages)).text, [])], {**_modes(own), name: others})

    def _add(
        self, samples: list[Sample], beginnings: Beginnings, count: int, own: Mapping[int, _Own], left: set[int]
    ) -> None:
        """Add the first `count` messages as a sample of the turns in `left` that stand there as in use."""
        last = own[max(left)]
        if count == max(left) + 1 and (len(left) == 1 or not last.is_rendered):
            samples.append(Sample(last.text, last.spans))
            left.remove(max(left))
        else:
            self._add_rendered(samples, beginnings, count, own, left, last.mode or NO_MODE)

    def _add_rendered(
        self,
        samples: list[Sample],
        beginnings: Beginnings,
        count: int,
        own: Mapping[int, _Own],
        left: set[int],
        mode: Mapping[str, Any],
    ) -> None:
        text = beginnings.shown(count, mode).text
        last = {count - 1} & left
        held = last | {index for index in left if index < count - 1 and _stands_in(own[index], text)}
        try:
            trace, spans = self._turns.find(beginnings, count, held, mode)
        except ModelError:  # the turns that stand there cannot be told apart in this text
            if not last:
                return
            trace, spans = self._turns.find(beginnings, count, last, mode)
        starts = {index: next((span.start for span in spans if span.index == index), None) for index in held}
        held = {index for index in held if starts[index] == own[index].start}
        if held:
            samples.append(Sample(trace.text, [span for span in spans if span.index in held]))
            left -= held

    def _own_of(self, beginnings: Beginnings, wanted: Set[int]) -> dict[int, _Own]:
        return {index: self._own(beginnings, index) for index in wanted}

    def _own(self, beginnings: Beginnings, index: int) -> _Own:
        """Turn `index` as it is met in use: in the first mode whose generation prompt is how its rendering begins."""
        for mode in self._modes:
            trace, spans = self._turns.find(beginnings, index + 1, {index}, mode)
            if not spans:
                raise inexact(f"message {index + 1} (assistant) has no tokens of its own")
            if index == 0 or self._asks(beginnings.prompt(index, mode).text, trace.text, spans[0].start):
                return _Own(trace.text, spans, self._cut(trace.text, spans), mode)
        trace, spans = self._turns.find(beginnings, index + 1, {index})
        start = spans[0].start
        stem, header = self._turns.stem(beginnings, index), self._turns.header(beginnings, index)
        text = stem + trace.text[start:]
        if (
            header
            and trace.text.endswith(header, 0, start)
            and self._asks(beginnings.prompt(index).text, text, len(stem))
        ):
            moved = [Span(span.start + len(stem) - start, span.end + len(stem) - start, index) for span in spans]
            return _Own(text, moved, self._cut(text, moved), NO_MODE, is_rendered=False)
        return _Own(trace.text, spans, self._cut(trace.text, spans), None)

    def _asks(self, prompt: str, text: str, start: int) -> bool:
        """Whether `text` goes on where `prompt` ends, and the turn begins there or before."""
        if len(prompt) < start or not text.startswith(prompt):
            return False
        return len(prompt) == start or self._is_border(text, len(prompt))

    def _cut(self, text: str, spans: Sequence[Span]) -> int:
        """Where a turn ends: after its first stop token."""
        special = self._turns.dialect.special
        ends = (match.end() for match in special.finditer(text, spans[0].start) if match.group() in self._turns.ends)
        return min(next(ends, spans[-1].end), spans[-1].end)


def _stands_in(own: _Own, text: str) -> bool:
    return text.startswith(own.text[: own.cut])


def with_default_mode(template: str, modes: Sequence[Mapping[str, bool]], counts: Mapping[str, int]) -> str:
    """`template` with the mode of thinking as its default in which all learned turns are met; else as it is.

    A model that learned no thoughts is then asked without them by whoever renders its chats.
    """
    for name, value in (("thinking_on", True), ("thinking_off", False)):
        if 0 < counts.get("turns", 0) == counts.get(name, 0):
            switch = next(switch for mode in modes for switch in mode)
            written = str(value).lower()
            return f"{{%- if {switch} is not defined %}}{{%- set {switch} = {written} %}}{{%- endif %}}\n{template}"
    return template


def _modes(own: Mapping[int, _Own]) -> dict[str, int]:
    """The turns, how many are not met under the template's default mode of thinking, and how many under none."""
    counts = {"turns": len(own)}
    for turn in own.values():
        if turn.mode is None:
            name = "unprompted"
        elif turn.mode:
            name = "thinking_on" if True in turn.mode.values() else "thinking_off"
        else:
            continue
        counts[name] = counts.get(name, 0) + 1
    return counts
