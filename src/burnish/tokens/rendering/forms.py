"""Forms: cached renderings of plain conversations with placeholders, so that most rows need no template execution.

The shape of a conversation is its roles and which of its turns are learned. Each shape is rendered once with opaque
texts (`burnish.tokens.templates.opaque`). If the template only writes and strips them, all conversations of the shape
whose texts pass the guards have the same literals between their texts, and their turns start and end at the same
literals.
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
"""Longer conversations are rendered, so that the sandbox enforces its limits."""
_MAX_SHAPES = 256
_PLAIN = frozenset({"role", "content", "weight"})
Shape = tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class Slot:
    """The place of a message's content in a text, and on which sides whitespace is stripped."""

    index: int
    left: bool
    right: bool

    def filled(self, text: str) -> str:
        text = text.lstrip() if self.left else text
        return text.rstrip() if self.right else text


@dataclass(frozen=True)
class Place:
    """A position: `offset` characters into a literal."""

    literal: int
    offset: int


@dataclass(frozen=True)
class FormSample:
    """A text with placeholders: literal, slot, literal, …, literal; and (begin, end, message) of its learned spans."""

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
    """Characters that the text in a slot must not start or end with, since a literal may be there.

    Turns are located by comparing renderings: a text that starts like a literal could be mistaken for it.
    """

    slot: Slot
    first: frozenset[str]
    last: frozenset[str]

    def accepts(self, content: str) -> bool:
        text = self.slot.filled(content)
        return text[0] not in self.first and text[-1] not in self.last


@dataclass(frozen=True)
class Form:
    """The samples of a shape, the counts of each conversation, and the strings that its texts must not contain."""

    samples: tuple[FormSample, ...]
    counts: Mapping[str, int]
    guards: frozenset[str]
    firsts: frozenset[str]
    lasts: frozenset[str]
    edges: Mapping[int, "Edges"]

    def accepts(self, contents: Sequence[str]) -> bool:
        """Whether the template treats the texts like those that the form was built with."""
        joined = "\n".join(contents)
        if any(guard in joined for guard in self.guards):
            return False
        for text in contents if self.firsts or self.lasts else ():
            stripped = text.strip()
            if {text[0], stripped[0]} & self.firsts or {text[-1], stripped[-1]} & self.lasts:
                return False
        return all(edges.accepts(contents[index]) for index, edges in self.edges.items())


class Forms:
    """The forms of one template. `omitted` counts the parts of a conversation missing from texts (keys of COUNTED)."""

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
        self._supports_opaque = not dialect.template.searches_texts
        self._uses: Counter[Shape] = Counter()

    def samples(self, messages: Messages, wanted: Mapping[int, float]) -> tuple[Samples, bool] | None:
        """The samples of a conversation as from `History.samples`, or None if no form applies.

        Also whether to verify them: at every use of a form whose number is a power of two.
        """
        contents = plain_contents(messages) if self._supports_opaque else None
        if contents is None:
            return None
        shape = tuple((message["role"], index in wanted) for index, message in enumerate(messages))
        form = self._form(shape)
        if form is None:
            return None
        if not form.accepts(contents) or any(map(self._special.search, contents)):
            return None
        self._uses[shape] += 1
        uses = self._uses[shape]
        return Samples([sample.filled(contents) for sample in form.samples], form.counts), uses & (uses - 1) == 0

    def _form(self, shape: Shape) -> Form | None:
        """The form of a shape, from its second occurrence on."""
        if shape in self._forms:
            self._forms.move_to_end(shape)
            return self._forms[shape]
        if shape not in self._seen:
            self._seen.add(shape)
            return None
        form = self._forms[shape] = self._build(shape)
        if len(self._forms) > _MAX_SHAPES:
            self._forms.popitem(last=False)
        return form

    def _build(self, shape: Shape) -> Form | None:
        """Build a form from two different sets of texts; None if they disagree."""
        try:
            first, second = (self._probed(shape, version) for version in _VERSIONS)
        except (BurnishError, NotOpaqueError):
            return None
        return first if first == second else None

    def _probed(self, shape: Shape, version: tuple[str, str, str]) -> Form | None:
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
        edges = _edges([_split_at_slots(text, cores, lead, trail) for text in probe.renderings])
        samples = [_form_sample(sample, _split_at_slots(sample.text, cores, lead, trail)) for sample in found.samples]
        if None in samples or edges is None:
            return None
        kept = tuple(sample for sample in samples if sample is not None)
        return Form(
            kept, dict(found.counts), frozenset(probe.guards), frozenset(probe.firsts), frozenset(probe.lasts), edges
        )


_VERSIONS = (
    (" \t\n ", "qzA é\"'<&>\\\n\n\tqz", " \n\t\n"),
    ("\n\n \t", 'QZb 漢 {{&}} </q> \n"qz', "\t \n "),
)
"""(whitespace before, text, whitespace after) of the opaque texts, which occur in no template."""


def plain_contents(messages: Messages) -> list[str] | None:
    """The contents of a conversation with only non-blank texts; else None."""
    contents: list[str] = []
    for message in messages:
        content = message.get("content")
        if not isinstance(content, str) or not content.strip() or not message.keys() <= _PLAIN:
            return None
        contents.append(content)
    return contents if sum(map(len, contents)) <= MAX_CHARACTERS else None


@dataclass(frozen=True)
class _Parts:
    """A rendered text, split at its slots: literal, slot, literal, …; `bounds` are those of the literals."""

    literals: list[str]
    slots: list[Slot]
    bounds: list[tuple[int, int]]


def _split_at_slots(text: str, cores: Sequence[str], lead: str, trail: str) -> _Parts:
    literals, slots, bounds, end = [], [], [], 0
    for match in re.finditer("|".join(map(re.escape, cores)), text):
        left, right = not text.endswith(lead, 0, match.start()), not text.startswith(trail, match.end())
        begin = match.start() - (0 if left else len(lead))
        if begin < end:
            raise NotOpaqueError("two texts overlap")
        literals.append(text[end:begin])
        bounds.append((end, begin))
        slots.append(Slot(cores.index(match.group()), left, right))
        end = match.end() + (0 if right else len(trail))
    return _Parts([*literals, text[end:]], slots, [*bounds, (end, len(text))])


def _form_sample(sample: Sample, parts: _Parts) -> FormSample | None:
    """None if a span starts or ends inside a slot, or its end depends on the text in one."""
    spans = []
    for span in sample.spans:
        begin, close = _place(span.start, parts.bounds), _place(span.end, parts.bounds)
        if begin is None or close is None or span.index is None:
            return None
        if not parts.literals[close.literal][: close.offset].strip():
            return None
        spans.append((begin, close, span.index))
    return FormSample(tuple(parts.literals), tuple(parts.slots), tuple(spans))


def _edges(all_parts: Sequence[_Parts]) -> dict[int, Edges] | None:
    """The edges of each slot over all renderings; None if one rendering strips a text and another does not."""
    literals = {literal for parts in all_parts for literal in parts.literals}
    tails = {parts.literals[-1] for parts in all_parts}
    slots: dict[int, Slot] = {}
    first: dict[int, set[str]] = {}
    last: dict[int, set[str]] = {}
    for parts in all_parts:
        for number, slot in enumerate(parts.slots):
            if slots.setdefault(slot.index, slot) != slot:
                return None
            before = parts.literals[number]
            begins = first.setdefault(slot.index, set())
            begins |= {text[len(before)] for text in literals if len(text) > len(before) and text.startswith(before)}
            for size in range(len(before)):
                part = before[len(before) - size :]
                begins |= {tail[size] for tail in tails if len(tail) > size and tail.startswith(part)}
            after = parts.literals[number + 1]
            ends = last.setdefault(slot.index, set())
            ends |= {tail[-len(after) - 1] for tail in tails if len(tail) > len(after) and tail.endswith(after)}
    return {index: Edges(slot, frozenset(first[index]), frozenset(last[index])) for index, slot in slots.items()}


def _place(position: int, bounds: Sequence[tuple[int, int]]) -> Place | None:
    return next((Place(i, position - begin) for i, (begin, end) in enumerate(bounds) if begin <= position <= end), None)


def _refuse_tokens(text: str, place: int) -> bool:
    raise NotOpaqueError("token borders depend on the texts")
