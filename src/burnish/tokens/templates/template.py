"""Compiles a chat template and renders it, noting which message each stretch of its text was written for.

The loops of a template are given one invisible call at the start of each turn. It notes how much text is written
by then, and, when the loop's item is one of the messages, which one. So the origin of every stretch is known from
the template's own run, without guessing from the text.
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
from burnish.tokens.templates.sandbox import MAX_TEXT, Sandbox, TooMuch


@dataclass(frozen=True)
class Stretch:
    """Characters [start, end) of a text, written for message `index` (None: before, after or outside all)."""

    start: int
    end: int
    index: int | None


@dataclass(frozen=True)
class Trace:
    """One rendering: its text, where its pieces end, whose each stretch is, and what generation markers enclose."""

    text: str
    pieces: tuple[int, ...]  # offsets at which one output of the template ends
    stretches: tuple[Stretch, ...]
    marked: tuple[Stretch, ...]


@dataclass
class _Tape:
    """What is noted while a template runs."""

    index_of: dict[int, int] = field(default_factory=dict)
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
    """The `{% generation %}` block, and the calls that the loops are given."""

    tags: ClassVar[set[str]] = {"generation"}
    tape: _Tape

    def parse(self, parser: jinja2.parser.Parser) -> jinja2.nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_marked"), [], [], body).set_lineno(line)

    def _marked(self, caller: jinja2.runtime.Macro) -> str:
        text = caller()
        self.tape.marked.append((self.tape.length, str(text), self.tape.current))
        return text

    def _enter(self, item: Any) -> None:
        self.environment.meter.tick()  # type: ignore[attr-defined]  # Sandbox is the only environment it serves
        index = self.tape.index_of.get(id(item))
        if index is not None:
            self.tape.change(index)

    def _push(self) -> None:
        self.tape.outer.append(self.tape.current)

    def _pop(self) -> None:
        self.tape.change(self.tape.outer.pop())

    def instrument(self, node: jinja2.nodes.Node) -> None:
        """Give every loop below `node` its calls, and every `~` a bound, in place."""
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
            joined = self.call_method("_joined", [jinja2.nodes.List(node.nodes)], lineno=line)
            return [joined]
        if isinstance(node, jinja2.nodes.For):
            item = _as_read(node.target)
            node.body.insert(0, self._statement("_enter", [item], line))
            return [self._statement("_push", [], line), node, self._statement("_pop", [], line)]
        return [node]

    def _joined(self, parts: list[Any]) -> str:
        return self.environment.concat(map(str, parts))

    def _statement(self, method: str, args: list[jinja2.nodes.Expr], line: int) -> jinja2.nodes.Node:
        call = self.call_method(method, args, lineno=line)
        return jinja2.nodes.ExprStmt(call).set_lineno(line)


def _looks_for_text(compare: jinja2.nodes.Compare) -> bool:
    """Whether `x in y` may look for a message's text in a string, which no opaque text can notice."""
    return not isinstance(compare.expr, jinja2.nodes.Const) and any(
        operand.op in ("in", "notin") and not isinstance(operand.expr, jinja2.nodes.List | jinja2.nodes.Tuple)
        for operand in compare.ops
    )


def _as_read(target: jinja2.nodes.Node) -> jinja2.nodes.Expr:
    """A loop's variable, to be read; a loop over pairs walks no messages."""
    if isinstance(target, jinja2.nodes.Name):
        return jinja2.nodes.Name(target.name, "load")
    return jinja2.nodes.Const(None)


class ChatTemplate:
    """A compiled chat template; `day` is the date that it prints where it asks for one.

    Raises ModelError `model.bad-template` where it cannot be compiled, fails, or asks for too much.
    """

    def __init__(self, source: str, day: date):
        self.environment = Sandbox([Tracing], day)
        self._lock = threading.Lock()  # the tape and the meter serve one rendering at a time
        tracing = self.environment.extensions[Tracing.identifier]
        assert isinstance(tracing, Tracing)
        self._tracing = tracing
        try:
            tree = self.environment.parse(source)
            self.has_markers = any(
                isinstance(block.call.node, jinja2.nodes.ExtensionAttribute)
                for block in tree.find_all(jinja2.nodes.CallBlock)
            )
            self.variables = jinja2.meta.find_undeclared_variables(tree)
            self.asks_for_the_date = any(name.name == CLOCK for name in tree.find_all(jinja2.nodes.Name))
            self.looks_for_texts = any(map(_looks_for_text, tree.find_all(jinja2.nodes.Compare)))
            self._tracing.instrument(tree)
            self._template = self.environment.from_string(tree)
        except jinja2.TemplateSyntaxError as error:
            raise _bad(f"the chat template cannot be read: line {error.lineno}: {error.message}") from error
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
        tape = _Tape({id(message): index for index, message in enumerate(messages)})
        self._tracing.tape = tape
        self.environment.meter.start()
        self.environment.probe = probe_of(messages)
        parts: list[str] = []
        pieces: list[int] = []
        try:
            for part in self._template.generate(
                **variables, messages=messages, tools=tools, documents=None, add_generation_prompt=prompt
            ):
                parts.append(part)
                tape.length += len(part)
                pieces.append(tape.length)
                if tape.length > MAX_TEXT:
                    raise TooMuch(f"it writes more than {MAX_TEXT:,} characters")
        except jinja2.TemplateError as error:
            raise _bad(f"the chat template refuses the conversation: {error.message or error}") from error
        except Exception as error:  # a template is foreign code: whatever it raises is its own failure
            raise _bad(f"the chat template fails: {type(error).__name__}: {error}") from error
        text = "".join(parts)
        if self.environment.probe is not None:
            self.environment.probe.renderings.append(text)
        return Trace(text, tuple(pieces), _stretches(tape.changes, len(text)), _marked(tape.marked, text))


@lru_cache(maxsize=64)
def compiled(source: str, day: date) -> ChatTemplate:
    """`ChatTemplate(source, day)`, kept."""
    return ChatTemplate(source, day)


def _stretches(changes: list[tuple[int, int | None]], length: int) -> tuple[Stretch, ...]:
    bounds = [(0, None), *changes, (length, None)]
    return tuple(Stretch(start, end, index) for (start, index), (end, _) in itertools.pairwise(bounds) if end > start)


def _marked(marks: list[tuple[int, str, int | None]], text: str) -> tuple[Stretch, ...]:
    """The marked stretches; a block inside a macro or a captured block has no place of its own, and is refused."""
    stretches = []
    for start, inside, index in marks:
        if not text.startswith(inside, start):
            raise ModelError(
                "model.inexact-template",
                "a {% generation %} block of the chat template stands inside a macro or a captured block, "
                "so that its place in the text is not known",
                "move the block to the top level of the template, or give another render.chat_template",
            )
        if inside:
            stretches.append(Stretch(start, start + len(inside), index))
    return tuple(stretches)


def _bad(what: str) -> ModelError:
    return ModelError(
        "model.bad-template",
        what,
        "check that the rows have the turns the template knows, or give another render.chat_template",
    )
