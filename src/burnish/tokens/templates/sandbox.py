"""The room in which a chat template may run: no attribute of Python's own, no unbounded number, string or loop.

A chat template is code that came with somebody's model. It renders here exactly as in transformers (the same
filters, functions and white space), but each operation that could grow without bound is weighed first.
"""

import functools
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.runtime
import jinja2.sandbox
import jinja2.utils

from burnish.tokens.templates.conversation import Number
from burnish.tokens.templates.opaque import NotOpaqueError, Opaque, Probe, watched_filter

MAX_TEXT = 16_000_000
"""The most characters that a rendering, or any string on its way, may have."""
MAX_NUMBER = 1_000_000
"""The largest whole number that a filter or a method may be given: widths and repetitions."""
MAX_SECONDS = 10.0
"""The longest that one rendering may take."""
MAX_TURNS = 1_000_000
"""The most turns that the loops of one rendering may make together."""
_OF_LOOPS = frozenset({"first", "last", "index", "index0", "previtem", "nextitem", "length", "revindex", "revindex0"})
_OF_MAPPINGS = frozenset(dir(dict))
_WIDTH = re.compile(r"\d{6,}|\*")


class TooMuch(jinja2.sandbox.SecurityError):
    """A template asked for more text, time or turns than it may have."""


class Meter:
    """Counts the loop turns and the seconds of one rendering."""

    def __init__(self) -> None:
        self.turns = 0
        self.until = 0.0

    def start(self) -> None:
        self.turns, self.until = 0, time.monotonic() + MAX_SECONDS

    def tick(self) -> None:
        """One turn of a loop or one call.

        Raises TooMuch past MAX_TURNS or MAX_SECONDS.
        """
        self.turns += 1
        if self.turns > MAX_TURNS:
            raise TooMuch(f"its loops turn more than {MAX_TURNS:,} times")
        if self.turns % 64 == 0 and time.monotonic() > self.until:
            raise TooMuch(f"it runs for more than {MAX_SECONDS:g} seconds")


class Sandbox(jinja2.sandbox.ImmutableSandboxedEnvironment):
    """transformers' environment for chat templates, with bounds."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})
    trusted: frozenset[type] = frozenset()
    """Types whose methods are burnish's own: calls that no template can write."""

    def __init__(self, extensions: list[Any], day: date):
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[*extensions, jinja2.ext.loopcontrols])
        self.trusted = frozenset(extensions)
        self.meter = Meter()
        self.probe: Probe | None = None
        """Set while a template is rendered with opaque texts."""
        filters = {name: _bounded(weigh_filter, filter_) for name, filter_ in self.filters.items()}
        filters["tojson"] = _tojson
        self.filters = {name: watched_filter(name, filter_, lambda: self.probe) for name, filter_ in filters.items()}
        self.tests = {**self.tests, "in": _is_in}
        self.globals = {
            "range": jinja2.sandbox.safe_range,
            "cycler": jinja2.utils.Cycler,
            "joiner": jinja2.utils.Joiner,
            "namespace": Namespace,
            "dict": _Dict(),
            "raise_exception": _raise_exception,
            "strftime_now": _strftime(day),
        }

    def concat(self, parts: Iterable[str]) -> str:
        """Join what a macro or a block wrote, unless it is too long."""
        pieces = list(parts)
        if sum(map(len, pieces)) > MAX_TEXT:
            raise TooMuch(f"it writes more than {MAX_TEXT:,} characters")
        text = "".join(pieces)
        return text if self.probe is None else self.probe.joined(text)

    def call_binop(self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any) -> Any:
        weigh_operation(operator, left, right)
        if self.probe is not None and operator != "+" and (self.probe.marks(left) or self.probe.marks(right)):
            raise NotOpaqueError(f"the template computes {operator} with a text")
        return super().call_binop(context, operator, left, right)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """An attribute, or else an item: of a mapping at once, where its type has no attribute of that name."""
        if type(obj) is dict and attribute in obj and attribute not in _OF_MAPPINGS:
            return obj[attribute]
        if type(obj) is jinja2.runtime.LoopContext and attribute in _OF_LOOPS:
            return getattr(obj, attribute)
        return super().getattr(obj, attribute)

    def call(self, context: jinja2.runtime.Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        if type(getattr(obj, "__self__", None)) in self.trusted:
            kwargs.pop("_loop_vars", None)
            kwargs.pop("_block_vars", None)
            return obj(*args, **kwargs)
        self.meter.tick()
        owner = getattr(getattr(obj, "__wrapped__", obj), "__self__", None)  # jinja wraps str.format
        if isinstance(owner, (str, bytes, list, tuple, int)):
            weigh_call(getattr(obj, "__name__", ""), owner, args, kwargs)
        if self.probe is not None and isinstance(owner, str) and self.probe.marks([*args, *kwargs.values()]):
            raise NotOpaqueError("the template passes a text to a method of another")
        return super().call(context, obj, *args, **kwargs)


def weigh_operation(operator: str, left: Any, right: Any) -> None:
    """Refuse `left operator right` when its result could be huge."""
    if operator == "+":
        if isinstance(left, (str, list, tuple)) and isinstance(right, (str, list, tuple)):
            _refuse_length(len(left) + len(right))
    elif operator == "*":
        for sequence, times in ((left, right), (right, left)):
            if isinstance(sequence, (str, bytes, list, tuple)) and isinstance(times, int):
                _refuse_length(len(sequence) * max(times, 0))
        if isinstance(left, int) and isinstance(right, int) and left.bit_length() + right.bit_length() > 4096:
            raise TooMuch("it multiplies huge numbers")
    elif operator == "**":
        if isinstance(left, int) and isinstance(right, int) and left.bit_length() * max(right, 0) > 4096:
            raise TooMuch("it raises a number to a huge power")
    elif isinstance(left, (str, bytes)):
        _refuse_width(left if isinstance(left, str) else left.decode("latin-1"))
        _refuse_numbers(right if isinstance(right, tuple) else (right,))


def weigh_call(name: str, owner: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Refuse a method of a string or list whose result could be huge."""
    _refuse_numbers((*args, *kwargs.values()))
    if isinstance(owner, str):
        if name in ("format", "format_map"):
            _refuse_width(owner)
        elif name == "replace" and len(args) >= 2 and all(isinstance(arg, str) for arg in args[:2]):
            _refuse_length(len(owner) + owner.count(args[0]) * len(args[1]))
        elif name == "join" and args and isinstance(args[0], (list, tuple, str, dict)):
            _refuse_length(len(owner) * len(args[0]) + sum(len(part) for part in args[0] if isinstance(part, str)))
        elif name == "translate" and args and isinstance(args[0], dict):
            longest = max((len(value) for value in args[0].values() if isinstance(value, str)), default=1)
            _refuse_length(len(owner) * max(longest, 1))
        elif name == "expandtabs":
            _refuse_length(len(owner) + owner.count("\t") * (args[0] if args and isinstance(args[0], int) else 8))


def weigh_filter(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Refuse a filter whose result could be huge; `args` begins with what is filtered."""
    values = (*args, *kwargs.values())
    _refuse_numbers(value for value in values if not isinstance(value, bool))
    if name == "do_replace":
        text, *rest = [arg for arg in values if isinstance(arg, str)] or [""]
        if len(rest) >= 2:
            _refuse_length(len(text) + text.count(rest[0]) * len(rest[1]))
    elif name == "do_format":
        for value in values:
            if isinstance(value, str):
                _refuse_width(value)
    elif name == "sync_do_join" or name == "do_join":
        parts = next((value for value in values if isinstance(value, (list, tuple))), ())
        glue = max((len(value) for value in values if isinstance(value, str)), default=0)
        _refuse_length(glue * len(parts) + sum(len(part) for part in parts if isinstance(part, str)))
    elif name == "do_indent":
        text = next((value for value in values if isinstance(value, str)), "")
        width = max((v if isinstance(v, int) else len(v) for v in values[1:] if isinstance(v, (int, str))), default=4)
        _refuse_length(len(text) + (text.count("\n") + 1) * width)
    elif name in ("do_wordwrap", "do_urlize", "do_batch", "do_slice", "sync_do_slice"):
        _refuse_length(sum(len(value) for value in values if isinstance(value, str)) * 4)


def _refuse_length(length: int) -> None:
    if length > MAX_TEXT:
        raise TooMuch(f"it builds a text or list of more than {MAX_TEXT:,}")


def _refuse_numbers(values: Iterable[Any]) -> None:
    for value in values:
        if isinstance(value, int) and abs(value) > MAX_NUMBER:
            raise TooMuch(f"it passes a number above {MAX_NUMBER:,} to a function")


def _refuse_width(pattern: str) -> None:
    if _WIDTH.search(pattern):
        raise TooMuch("it formats to a huge width")


def _bounded(weigh: Callable[..., None], function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` behind a weighing; jinja's own marks on it (which context it wants) are kept."""
    name = getattr(function, "__name__", "")

    @functools.wraps(function)
    def weighed(*args: Any, **kwargs: Any) -> Any:
        plain = tuple(arg for arg in args if not isinstance(arg, (jinja2.Environment, jinja2.runtime.Context)))
        # What is filtered may be any number; only what it is asked to do is bounded.
        weigh(name, plain if plain and not isinstance(plain[0], int) else plain[1:], kwargs)
        return function(*args, **kwargs)

    return weighed


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """transformers' tojson: as json.dumps writes, without Jinja's escaping of HTML."""
    if (isinstance(indent, int) and indent > 64) or any(len(part) > 64 for part in (separators or ())):
        raise TooMuch("it indents JSON too deep")
    written: list[str] = []
    plain = _held(value, written)
    text = json.dumps(plain, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
    return _HELD.sub(lambda match: written[int(match.group(1))], text) if written else text


def _is_in(value: Any, container: Any) -> bool:
    if isinstance(value, Opaque) and isinstance(container, str):
        raise NotOpaqueError("the template looks for a text in another")
    return value in container


_HELD = re.compile(r'"number (\d+) of burnish"')


def _held(value: Any, written: list[str]) -> Any:
    """`value` with a place holder for each Number, whose own writing json.dumps does not know, put into `written`."""
    if isinstance(value, Number):
        written.append(value.written)
        return f"number {len(written) - 1} of burnish"
    if isinstance(value, dict):
        return {key: _held(item, written) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_held(item, written) for item in value]
    return value


_DATE_FORMAT = re.compile(r"(?:[^%]|%[-_^#]?[aAbBdDeFgGhjmnuUVwWyYtC%])*")


def _strftime(day: date) -> Callable[[str], str]:
    """transformers' `strftime_now`, which knows `day` and no clock: the time of day would differ in every run."""

    def strftime_now(format: str) -> str:
        if not isinstance(format, str) or len(format) > 1000 or not _DATE_FORMAT.fullmatch(format):
            raise jinja2.sandbox.SecurityError(
                f"it prints more of the clock than a date: strftime_now({str(format)[:40]!r})"
            )
        return day.strftime(format)

    return strftime_now


def _raise_exception(message: str) -> None:
    raise jinja2.TemplateError(message)


class _Dict:
    """`dict(...)` without the attributes of the type itself."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict.fromkeys(*args, **kwargs)


class Namespace(jinja2.utils.Namespace):
    """A namespace that takes no underscore-prefixed name: those lead into Python's own."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        self, rest = args[0], args[1:]
        attributes = dict(*rest, **kwargs)
        for name in attributes:
            _refuse_private(name)
        jinja2.utils.Namespace.__init__(self, attributes)

    def __setitem__(self, name: str, value: Any) -> None:
        _refuse_private(name)
        super().__setitem__(name, value)


def _refuse_private(name: Any) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise jinja2.sandbox.SecurityError(f"a namespace cannot hold the underscore-prefixed name {name!r}")
