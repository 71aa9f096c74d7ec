"""Compile and render a chat template, and record which message each segment of its text was written for.

The loops of a template are instrumented with a call at the start of each iteration, which records the length of the
text so far and the message, if the loop's item is one. So the origin of every segment is known from the template's
execution, without guessing from the text.
"""

import itertools
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any, ClassVar

import jinja2
import jinja2.ext
import jinja2.meta
import jinja2.nodes
import jinja2.parser
import jinja2.runtime

from burnish.core.errors import ModelError
from burnish.core.inputs.dates import CLOCK
from burnish.tokens.templates.opaque import probe_of
from burnish.tokens.templates.sandbox import MAX_TEXT, LimitExceededError, Sandbox


@dataclass(frozen=True)
class Segment:
    """Characters [start, end) of a text, written for message `index` (None: not in a message)."""

    start: int
    end: int
    index: int | None


@dataclass(frozen=True)
class Trace:
    """One rendering: its text, the ends of its outputs, the segments of messages, and the marked segments."""

    text: str
    pieces: tuple[int, ...]  # offsets at which an output of the template ends
    segments: tuple[Segment, ...]
    marked: tuple[Segment, ...]


@dataclass
class _Recorder:
    """Records the execution of a template."""

    index_of: dict[int, int]
    length: int = 0
    current: int | None = None
    outer: list[int | None] = field(default_factory=list)
    changes: list[tuple[int, int | None]] = field(default_factory=list)
    marked: list[tuple[int, str, int | None]] = field(default_factory=list)

    def change(self, index: int | None) -> None:
        if index != self.current:
            self.current = index
            self.changes.append((self.length, index))


class Tracing(jinja2.ext.Extension):
    """The `{% generation %}` block, and the instrumentation of loops."""

    tags: ClassVar[set[str]] = {"generation"}
    recorder: _Recorder

    def parse(self, parser: jinja2.parser.Parser) -> jinja2.nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_marked"), [], [], body).set_lineno(line)

    def _marked(self, caller: jinja2.runtime.Macro) -> str:
        text = caller()
        self.recorder.marked.append((self.recorder.length, str(text), self.recorder.current))
        return text

    def _enter(self, item: Any) -> None:
        self.environment.meter.tick()  # type: ignore[attr-defined]  # Sandbox is the only environment it serves
        index = self.recorder.index_of.get(id(item))
        if index is not None:
            self.recorder.change(index)

    def _push(self) -> None:
        self.recorder.outer.append(self.recorder.current)

    def _pop(self) -> None:
        self.recorder.change(self.recorder.outer.pop())

    def instrument(self, node: jinja2.nodes.Node) -> None:
        """Instrument every loop below `node`, and limit every `~`, in place."""
        for name in node.fields:
            child = getattr(node, name)
            if isinstance(child, list):
                setattr(node, name, [made for item in child for made in self._replaced(item)])
            elif isinstance(child, jinja2.nodes.Node):
                (made,) = self._replaced(child)
                setattr(node, name, made)

    def _replaced(self, node: Any) -> list[Any]:
        if not isinstance(node, jinja2.nodes.Node):
            return [node]
        self.instrument(node)
        line = node.lineno
        if isinstance(node, jinja2.nodes.Concat):
            joined = self.call_method("_joined", [jinja2.nodes.List(node.nodes)])
            return [joined]
        if isinstance(node, jinja2.nodes.For):
            item = _loaded(node.target)
            node.body.insert(0, self._statement("_enter", [item], line))
            return [self._statement("_push", [], line), node, self._statement("_pop", [], line)]
        return [node]

    def _joined(self, parts: list[Any]) -> str:
        return self.environment.concat(map(str, parts))

    def _statement(self, method: str, args: list[jinja2.nodes.Expr], line: int) -> jinja2.nodes.Node:
        return jinja2.nodes.ExprStmt(self.call_method(method, args)).set_lineno(line)


def _searches_text(compare: jinja2.nodes.Compare) -> bool:
    """Whether `x in y` may search for a message's text in a string, which opaque texts cannot detect."""
    return not isinstance(compare.expr, jinja2.nodes.Const) and any(
        operand.op in ("in", "notin") and not isinstance(operand.expr, jinja2.nodes.List | jinja2.nodes.Tuple)
        for operand in compare.ops
    )


def _loaded(target: jinja2.nodes.Node) -> jinja2.nodes.Expr:
    """A loop's variable as an expression; None for a loop over pairs, which cannot be messages."""
    if isinstance(target, jinja2.nodes.Name):
        return jinja2.nodes.Name(target.name, "load")
    return jinja2.nodes.Const(None)


class ChatTemplate:
    """A compiled chat template; `day` is the date that it prints.

    Raises ModelError `model.bad-template` if it cannot be compiled, fails, or exceeds a limit.
    """

    def __init__(self, source: str, day: date):
        self.environment = Sandbox([Tracing], day)
        self._lock = threading.Lock()  # the recorder and the meter are for one rendering at a time
        tracing = self.environment.extensions[Tracing.identifier]
        assert isinstance(tracing, Tracing)
        self._tracing = tracing
        try:
            tree = self.environment.parse(source)
            self.has_markers = any(
                isinstance(block.call.node, jinja2.nodes.ExtensionAttribute)
                for block in tree.find_all(jinja2.nodes.CallBlock)
            )
            self.prints_date = any(name.name == CLOCK for name in tree.find_all(jinja2.nodes.Name))
            self.searches_texts = any(map(_searches_text, tree.find_all(jinja2.nodes.Compare)))
            self.variables = jinja2.meta.find_undeclared_variables(tree)  # folds constants of the tree, so comes last
            self._tracing.instrument(tree)
            self._template = self.environment.from_string(tree)
        except jinja2.TemplateSyntaxError as error:
            raise _bad(f"the chat template has a syntax error: line {error.lineno}: {error.message}") from error
        except (RecursionError, MemoryError, SyntaxError, OverflowError, ValueError, AttributeError) as error:
            raise _bad(f"the chat template cannot be compiled: {type(error).__name__}: {error}") from error

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None,
        variables: Mapping[str, Any],
        prompt: bool = False,
    ) -> Trace:
        """Render `messages`; `prompt` adds the generation prompt. `variables` are the tokenizer's special tokens."""
        with self._lock:
            return self._render(messages, tools, variables, prompt)

    def _render(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None,
        variables: Mapping[str, Any],
        prompt: bool,
    ) -> Trace:
        recorder = _Recorder({id(message): index for index, message in enumerate(messages)})
        self._tracing.recorder = recorder
        self.environment.meter.start()
        self.environment.probe = probe_of(messages)
        parts: list[str] = []
        pieces: list[int] = []
        try:
            for part in self._template.generate(
                **variables, messages=messages, tools=tools, documents=None, add_generation_prompt=prompt
            ):
                parts.append(part)
                recorder.length += len(part)
                pieces.append(recorder.length)
                if recorder.length > MAX_TEXT:
                    raise LimitExceededError(f"it writes more than {MAX_TEXT:,} characters")
        except jinja2.TemplateError as error:
            raise _bad(f"the chat template refuses the conversation: {error.message or error}") from error
        except Exception as error:  # a template is untrusted code and may raise anything
            raise _bad(f"the chat template fails: {type(error).__name__}: {error}") from error
        text = "".join(parts)
        if self.environment.probe is not None:
            self.environment.probe.renderings.append(text)
        return Trace(text, tuple(pieces), _segments(recorder.changes, len(text)), _marked(recorder.marked, text))


@lru_cache(maxsize=64)
def compiled(source: str, day: date) -> ChatTemplate:
    """A cached `ChatTemplate(source, day)`."""
    return ChatTemplate(source, day)


def _segments(changes: list[tuple[int, int | None]], length: int) -> tuple[Segment, ...]:
    bounds = [(0, None), *changes, (length, None)]
    return tuple(Segment(start, end, index) for (start, index), (end, _) in itertools.pairwise(bounds) if end > start)


def _marked(marks: list[tuple[int, str, int | None]], text: str) -> tuple[Segment, ...]:
    """The marked segments; a block inside a macro or a captured block is refused, since its position is unknown."""
    segments = []
    for start, inside, index in marks:
        if not text.startswith(inside, start):
            raise ModelError(
                "model.inexact-template",
                "a {% generation %} block of the chat template is inside a macro or a captured block, "
                "so its position in the text is unknown",
                "move the block to the top level of the template, or set another render.chat_template",
            )
        if inside:
            segments.append(Segment(start, start + len(inside), index))
    return tuple(segments)


def _bad(what: str) -> ModelError:
    return ModelError(
        "model.bad-template",
        what,
        "check that the template supports the roles and turns of the rows, or set another render.chat_template",
    )
