"""Forms: what a template makes of all plain conversations of one shape, so that most rows need no rendering at all.

A shape is the roles of a conversation and which of its turns are learned. It is rendered once, the plain way, with
opaque texts (`burnish.tokens.templates.opaque`): where the template only writes and strips them, every conversation
of the shape whose texts pass the guards has the same literals around its texts, and its turns begin and end at the
same literals.
"""

import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from burnish.core.errors import BurnishError
from burnish.specs.tokens import RewrittenTurns
from burnish.tokens.rendering.history import History, Sample, Samples
from burnish.tokens.rendering.turns import Messages, Span, Turns
from burnish.tokens.templates.dialect import Dialect
from burnish.tokens.templates.opaque import NotOpaqueError, Probe

MAX_CHARACTERS = 1_000_000
"""A longer conversation is rendered, so that the sandbox weighs it."""
_MAX_SHAPES = 256
_PLAIN = frozenset({"role", "content", "weight"})
Shape = tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class Slot:
    """The place of a message's content in a text, and from which of its sides white space is stripped."""

    index: int
    left: bool
    right: bool

    def filled(self, text: str) -> str:
        text = text.lstrip() if self.left else text
        return text.rstrip() if self.right else text


@dataclass(frozen=True)
class Place:
    """`offset` characters into a literal."""

    literal: int
    offset: int


@dataclass(frozen=True)
class FormSample:
    """A text: literal, slot, literal, slot, …, literal; and (begin, end, message) of its learned spans."""

    literals: tuple[str, ...]
    slots: tuple[Slot, ...]
    spans: tuple[tuple[Place, Place, int], ...]

    def filled(self, contents: Sequence[str]) -> Sample:
        parts, starts, length = [], [], 0
        for literal, slot in zip(self.literals, (*self.slots, None), strict=True):
            starts.append(length)
            text = "" if slot is None else slot.filled(contents[slot.index])
            parts += [literal, text]
            length += len(literal) + len(text)
        spans = [
            Span(starts[begin.literal] + begin.offset, starts[end.literal] + end.offset, index)
            for begin, end, index in self.spans
        ]
        return Sample("".join(parts), spans)


@dataclass(frozen=True)
class Edges:
    """Characters with which the text in a slot must not begin or end, since a rendering may have a literal there.

    Turns are told by comparing renderings: a text that goes on as the literal of another one would be taken for it.
    """

    slot: Slot
    first: frozenset[str]
    last: frozenset[str]

    def take(self, content: str) -> bool:
        text = self.slot.filled(content)
        return text[0] not in self.first and text[-1] not in self.last


@dataclass(frozen=True)
class Form:
    """The samples of a shape, what is counted at each conversation, and what its texts must not hold."""

    samples: tuple[FormSample, ...]
    counts: Mapping[str, int]
    guards: frozenset[str]
    edges: Mapping[int, "Edges"]

    def takes(self, contents: Sequence[str]) -> bool:
        """Whether the texts are treated as those that the form was made with."""
        together = "\n".join(contents)
        if any(guard in together for guard in self.guards):
            return False
        return all(edges.take(contents[index]) for index, edges in self.edges.items())


class Forms:
    """The forms of one template. `omitted` says what of a conversation is missing from texts (names of COUNTED)."""

    def __init__(
        self,
        dialect: Dialect,
        turns: Turns,
        rewritten: RewrittenTurns,
        omitted: Callable[[Sequence[str], Messages], Mapping[str, int]],
    ):
        self._history = History(turns, _refuse_tokens)
        self._rewritten: RewrittenTurns = rewritten
        self._omitted = omitted
        self._forms: OrderedDict[Shape, Form | None] = OrderedDict()
        self._seen: set[Shape] = set()
        self._special = dialect.special
        self._may_be_opaque = not dialect.template.looks_for_texts
        self._uses: Counter[Shape] = Counter()

    def samples(self, messages: Messages, wanted: Mapping[int, float]) -> tuple[Samples, bool] | None:
        """The samples of a conversation as `History.samples` gives them, or None where that is not sure.

        Also whether to compare them with those: at every use of a form whose number is a power of two.
        """
        contents = plain_contents(messages) if self._may_be_opaque else None
        if contents is None:
            return None
        shape = tuple((message["role"], index in wanted) for index, message in enumerate(messages))
        form = self._form(shape)
        if form is None:
            return None
        if not form.takes(contents) or any(map(self._special.search, contents)):
            return None
        self._uses[shape] += 1
        uses = self._uses[shape]
        return Samples([sample.filled(contents) for sample in form.samples], form.counts), uses & (uses - 1) == 0

    def _form(self, shape: Shape) -> Form | None:
        """The form of a shape that is met for the second time or later."""
        if shape in self._forms:
            self._forms.move_to_end(shape)
            return self._forms[shape]
        if shape not in self._seen:
            self._seen.add(shape)
            return None
        form = self._forms[shape] = self._made(shape)
        if len(self._forms) > _MAX_SHAPES:
            self._forms.popitem(last=False)
        return form

    def _made(self, shape: Shape) -> Form | None:
        """The form that two different sets of texts agree upon."""
        try:
            first, second = (self._asked(shape, version) for version in _VERSIONS)
        except (BurnishError, NotOpaqueError):
            return None
        if first is None or second is None:
            return None
        return first if first == second else None

    def _asked(self, shape: Shape, version: tuple[str, str, str]) -> Form | None:
        lead, core, trail = version
        cores = [f"{core}{index}q" for index in range(len(shape))]
        texts = [f"{lead}{core}{trail}" for core in cores]
        probe = Probe(texts)
        messages = [{"role": role, "content": probe.opaque(text)} for (role, _), text in zip(shape, texts, strict=True)]
        wanted = {index for index, (_, is_wanted) in enumerate(shape) if is_wanted}
        found = self._history.samples(messages, None, wanted, self._rewritten)
        plain = [{"role": role, "content": text} for (role, _), text in zip(shape, texts, strict=True)]
        if any(self._omitted([sample.text for sample in found.samples], plain).values()):
            return None
        edges = _edges([_cut(text, cores, lead, trail) for text in probe.renderings])
        samples = [_form_sample(sample, _cut(sample.text, cores, lead, trail)) for sample in found.samples]
        if None in samples or edges is None:
            return None
        kept = tuple(sample for sample in samples if sample is not None)
        return Form(kept, dict(found.counts), frozenset(probe.guards), edges)


_VERSIONS = (
    (" \t\n ", "qzA é\"'<&>\\\n\n\tqz", " \n\t\n"),
    ("\n\n \t", 'QZb 漢 {{&}} </q> \n"qz', "\t \n "),
)
"""(white space before, words, white space after) of the texts of a question; no words occur in a template."""


def plain_contents(messages: Messages) -> list[str] | None:
    """The texts of a conversation of nothing but texts, none of them blank; else None."""
    contents: list[str] = []
    for message in messages:
        content = message.get("content")
        if not isinstance(content, str) or not content.strip() or not message.keys() <= _PLAIN:
            return None
        contents.append(content)
    return contents if sum(map(len, contents)) <= MAX_CHARACTERS else None


@dataclass(frozen=True)
class _Cut:
    """A rendered text, cut at its slots: literal, slot, literal, …; `bounds` are those of the literals."""

    literals: list[str]
    slots: list[Slot]
    bounds: list[tuple[int, int]]


def _cut(text: str, cores: Sequence[str], lead: str, trail: str) -> _Cut:
    literals, slots, bounds, end = [], [], [], 0
    for match in re.finditer("|".join(map(re.escape, sorted(cores, key=len, reverse=True))), text):
        left, right = not text.endswith(lead, 0, match.start()), not text.startswith(trail, match.end())
        begin = match.start() - (0 if left else len(lead))
        if begin < end:
            raise NotOpaqueError("two texts overlap")
        literals.append(text[end:begin])
        bounds.append((end, begin))
        slots.append(Slot(cores.index(match.group()), left, right))
        end = match.end() + (0 if right else len(trail))
    return _Cut([*literals, text[end:]], slots, [*bounds, (end, len(text))])


def _form_sample(sample: Sample, cut: _Cut) -> FormSample | None:
    """None where a span begins or ends inside a slot, or its end hangs on what stands in one."""
    spans = []
    for span in sample.spans:
        begin, close = _place(span.start, cut.bounds), _place(span.end, cut.bounds)
        if begin is None or close is None or span.index is None:
            return None
        if not cut.literals[close.literal][: close.offset].strip():
            return None
        spans.append((begin, close, span.index))
    return FormSample(tuple(cut.literals), tuple(cut.slots), tuple(spans))


def _edges(cuts: Sequence[_Cut]) -> dict[int, Edges] | None:
    """The edges of each slot over all renderings; None where one rendering strips a text and another does not."""
    literals = {literal for cut in cuts for literal in cut.literals}
    tails = {cut.literals[-1] for cut in cuts}
    slots: dict[int, Slot] = {}
    first: dict[int, set[str]] = {}
    last: dict[int, set[str]] = {}
    for cut in cuts:
        for number, slot in enumerate(cut.slots):
            if slots.setdefault(slot.index, slot) != slot:
                return None
            before = cut.literals[number]
            begins = first.setdefault(slot.index, set())
            begins |= {text[len(before)] for text in literals if len(text) > len(before) and text.startswith(before)}
            for size in range(len(before) + 1):
                part = before[len(before) - size :]
                begins |= {tail[size] for tail in tails if len(tail) > size and tail.startswith(part)}
            after = cut.literals[number + 1]
            ends = last.setdefault(slot.index, set())
            ends |= {tail[-len(after) - 1] for tail in tails if len(tail) > len(after) and tail.endswith(after)}
    return {index: Edges(slot, frozenset(first[index]), frozenset(last[index])) for index, slot in slots.items()}


def _place(position: int, bounds: Sequence[tuple[int, int]]) -> Place | None:
    return next((Place(i, position - begin) for i, (begin, end) in enumerate(bounds) if begin <= position <= end), None)


def _refuse_tokens(text: str, place: int) -> bool:
    raise NotOpaqueError("whether a token ends at a place hangs on the texts")
