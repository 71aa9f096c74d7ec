"""Select the texts from which the assistant's turns are learned, so that training matches inference.

At inference, turn i follows the generation prompt of messages[:i]. Many templates render a turn differently when more
turns follow: Qwen 3 drops its reasoning, gpt-oss its `<|return|>`. In the text of the full conversation such a turn
differs from inference, so it is learned from a separate sample: messages[:i+1].
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from burnish.core.errors import ModelError
from burnish.specs.tokens import RewrittenTurns
from burnish.tokens.rendering.turns import Messages, Span, Tools, Turns, inexact
from burnish.tokens.templates.dialect import NO_MODE, Prefixes

IsBorder = Callable[[str, int], bool]
"""Whether a token ends at a position of a text."""


@dataclass(frozen=True)
class Sample:
    """A text, and the spans of the turns learned from it."""

    text: str
    spans: Sequence[Span]


@dataclass(frozen=True)
class Samples:
    """The samples of a conversation, and counts of how its turns are treated (keys of COUNTED)."""

    samples: Sequence[Sample]
    counts: Mapping[str, int]

    def equals(self, other: "Samples") -> bool:
        """Whether texts, spans and counts are equal; counts of 0 are ignored."""
        ours, theirs = ([(sample.text, list(sample.spans)) for sample in found.samples] for found in (self, other))
        return ours == theirs and +Counter(self.counts) == +Counter(other.counts)


@dataclass(frozen=True)
class _InferenceTurn:
    """A turn as at inference: messages[:i+1] in `mode`; the mode is None if no generation prompt matches.

    `cut` is the end of the turn, after its first stop token. Text that the template adds later is not part of it.
    """

    text: str
    spans: Sequence[Span]
    cut: int
    mode: Mapping[str, Any] | None
    is_rendered: bool = True
    """False if it is composed of the generation prompt and the turn, since no rendering contains both."""

    @property
    def start(self) -> int:
        return self.spans[0].start


class History:
    """Selects samples for one template; `is_border` uses the tokenizer."""

    def __init__(self, turns: Turns, is_border: IsBorder):
        self._turns, self._is_border = turns, is_border
        self._modes: list[Mapping[str, Any]] = [NO_MODE, *turns.dialect.modes]

    def samples(
        self, messages: Messages, tools: Tools, wanted: Set[int], rewritten: RewrittenTurns = "separate"
    ) -> Samples:
        """The samples for the turns in `wanted`; each turn is learned in one of them.

        Raises ModelError `model.inexact-template` if a turn cannot be located exactly, `model.bad-template` if
        the template refuses a prefix of the conversation.
        """
        prefixes = Prefixes(self._turns.dialect, messages, tools)
        if not wanted:
            return Samples([Sample(prefixes.render(len(messages)).text, [])], {})
        if rewritten == "as_shown":
            trace, spans = self._turns.find(prefixes, len(messages), wanted)
            turns = self._inference_turns(prefixes, wanted)
            shown = {index for index in wanted if _is_prefix_of(turns[index], trace.text)}
            return Samples([Sample(trace.text, spans)], {**_modes(turns), "rewritten_as_shown": len(wanted - shown)})
        turns = self._inference_turns(prefixes, wanted)
        samples: list[Sample] = []
        remaining = set(turns)
        self._add(samples, prefixes, len(messages), turns, remaining)
        name, count_of_others = ("rewritten_masked" if rewritten == "mask" else "rewritten"), len(remaining)
        while remaining and rewritten == "separate":
            self._add(samples, prefixes, max(remaining) + 1, turns, remaining)
        return Samples(
            samples or [Sample(prefixes.render(len(messages)).text, [])], {**_modes(turns), name: count_of_others}
        )

    def _add(
        self,
        samples: list[Sample],
        prefixes: Prefixes,
        count: int,
        turns: Mapping[int, _InferenceTurn],
        remaining: set[int],
    ) -> None:
        """Add the first `count` messages as a sample for those `remaining` turns that it contains as at inference."""
        last = turns[max(remaining)]
        if count == max(remaining) + 1 and (len(remaining) == 1 or not last.is_rendered):
            samples.append(Sample(last.text, last.spans))
            remaining.remove(max(remaining))
        else:
            self._add_rendered(samples, prefixes, count, turns, remaining, last.mode or NO_MODE)

    def _add_rendered(
        self,
        samples: list[Sample],
        prefixes: Prefixes,
        count: int,
        turns: Mapping[int, _InferenceTurn],
        remaining: set[int],
        mode: Mapping[str, Any],
    ) -> None:
        text = prefixes.render(count, mode).text
        last = {count - 1} & remaining
        matched = last | {index for index in remaining if _is_prefix_of(turns[index], text)}
        try:
            trace, spans = self._turns.find(prefixes, count, matched, mode)
        except ModelError:  # the turns cannot be located in this text
            if not last:
                return
            trace, spans = self._turns.find(prefixes, count, last, mode)
        starts = {index: next((span.start for span in spans if span.index == index), None) for index in matched}
        matched = {index for index in matched if starts[index] == turns[index].start}
        if matched:
            samples.append(Sample(trace.text, [span for span in spans if span.index in matched]))
            remaining -= matched

    def _inference_turns(self, prefixes: Prefixes, wanted: Set[int]) -> dict[int, _InferenceTurn]:
        return {index: self._inference_turn(prefixes, index) for index in wanted}

    def _inference_turn(self, prefixes: Prefixes, index: int) -> _InferenceTurn:
        """Turn `index` as at inference: in the first mode whose generation prompt is a prefix of its rendering."""
        for mode in self._modes:
            trace, spans = self._turns.find(prefixes, index + 1, {index}, mode)
            if not spans:
                raise inexact(f"message {index + 1} (assistant) has no text")
            if index == 0 or self._continues(prefixes.prompt(index, mode).text, trace.text, spans[0].start):
                return _InferenceTurn(trace.text, spans, self._cut(trace.text, spans), mode)
        trace, spans = self._turns.find(prefixes, index + 1, {index})
        start = spans[0].start
        stem, header = self._turns.stem(prefixes, index), self._turns.header(prefixes, index)
        text = stem + trace.text[start:]
        if (
            header
            and trace.text[:start].endswith(header)
            and self._continues(prefixes.prompt(index).text, text, len(stem))
        ):
            moved = [Span(span.start + len(stem) - start, span.end + len(stem) - start, index) for span in spans]
            return _InferenceTurn(text, moved, self._cut(text, moved), NO_MODE, is_rendered=False)
        return _InferenceTurn(trace.text, spans, self._cut(trace.text, spans), None)

    def _continues(self, prompt: str, text: str, start: int) -> bool:
        """Whether `text` continues `prompt`, and the turn starts at its end or before."""
        if len(prompt) < start or not text.startswith(prompt):
            return False
        return len(prompt) == start or self._is_border(text, len(prompt))

    def _cut(self, text: str, spans: Sequence[Span]) -> int:
        """The end of a turn: after its first stop token."""
        special = self._turns.dialect.special
        ends = (match.end() for match in special.finditer(text, spans[0].start) if match.group() in self._turns.ends)
        return min(next(ends, spans[-1].end), spans[-1].end)


def _is_prefix_of(turn: _InferenceTurn, text: str) -> bool:
    return text.startswith(turn.text[: turn.cut])


def with_default_mode(template: str, modes: Sequence[Mapping[str, bool]], counts: Mapping[str, int]) -> str:
    """Make the reasoning mode of all learned turns the default of `template`; unchanged if they differ.

    A model trained without reasoning is then prompted without it by any user of the template.
    """
    for name, value in (("thinking_on", True), ("thinking_off", False)):
        if 0 < counts.get("turns", 0) == counts.get(name, 0):
            switch = next(switch for mode in modes for switch in mode)
            written = str(value).lower()
            return f"{{%- if {switch} is not defined %}}{{%- set {switch} = {written} %}}{{%- endif %}}\n{template}"
    return template


def _modes(turns: Mapping[int, _InferenceTurn]) -> dict[str, int]:
    """The number of turns, of those that need a non-default reasoning mode, and of those that match no mode."""
    counts = {"turns": len(turns)}
    for turn in turns.values():
        if turn.mode is None:
            name = "unprompted"
        elif turn.mode:
            name = "thinking_on" if True in turn.mode.values() else "thinking_off"
        else:
            continue
        counts[name] = counts.get(name, 0) + 1
    return counts
