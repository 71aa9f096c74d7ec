"""The sandbox for chat templates: no access to Python internals, no unbounded numbers, strings or loops.

A chat template is untrusted code. It renders exactly as in transformers (same filters, functions and whitespace), but
each operation that could grow without bound is checked first.
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
"""Maximum number of characters of a rendering, or of any intermediate string."""
MAX_NUMBER = 1_000_000
"""Maximum integer argument of a filter or method, such as a width or a repetition."""
MAX_SECONDS = 10.0
"""Maximum duration of one rendering."""
MAX_ITERATIONS = 1_000_000
"""Maximum total number of loop iterations of one rendering."""
_LOOP_ATTRIBUTES = frozenset(
    {"first", "last", "index", "index0", "previtem", "nextitem", "length", "revindex", "revindex0"}
)
_DICT_ATTRIBUTES = frozenset(dir(dict))
_CONTEXT_ARGUMENTS = frozenset({"_loop_vars", "_block_vars"})
"""Keywords that jinja adds to every call in a loop or block, for functions that take the context."""
_WIDTH = re.compile(r"\d{6,}|\*")


class LimitExceededError(jinja2.sandbox.SecurityError):
    """A template exceeded a limit of text, time or iterations."""


class Meter:
    """Counts loop iterations and measures the time of one rendering."""

    def __init__(self) -> None:
        self.iterations = 0
        self.deadline = 0.0

    def start(self) -> None:
        self.iterations, self.deadline = 0, time.monotonic() + MAX_SECONDS

    def tick(self) -> None:
        """Count one loop iteration or call. Raises LimitExceededError beyond MAX_ITERATIONS or MAX_SECONDS."""
        self.iterations += 1
        if self.iterations > MAX_ITERATIONS:
            raise LimitExceededError(f"its loops take more than {MAX_ITERATIONS:,} iterations")
        if self.iterations % 64 == 0 and time.monotonic() > self.deadline:
            raise LimitExceededError(f"it runs for more than {MAX_SECONDS:g} seconds")


class Sandbox(jinja2.sandbox.ImmutableSandboxedEnvironment):
    """The environment of transformers for chat templates, with limits."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})
    trusted: frozenset[type] = frozenset()
    """Types of burnish whose methods are called without checks; templates cannot call them."""

    def __init__(self, extensions: list[Any], day: date):
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[*extensions, jinja2.ext.loopcontrols])
        self.trusted = frozenset(extensions)
        self.meter = Meter()
        self.probe: Probe | None = None
        """Set during a rendering with opaque texts."""
        filters = {name: _bounded(check_filter, filter_) for name, filter_ in self.filters.items()}
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
        """Join the output of a macro or a block, if it is not too long."""
        pieces = list(parts)
        if sum(map(len, pieces)) > MAX_TEXT:
            raise LimitExceededError(f"it writes more than {MAX_TEXT:,} characters")
        text = "".join(pieces)
        return text if self.probe is None else self.probe.wrap(text)

    def call_binop(self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any) -> Any:
        check_operation(operator, left, right)
        if self.probe is not None and operator != "+" and (self.probe.occurs_in(left) or self.probe.occurs_in(right)):
            raise NotOpaqueError(f"the template computes {operator} with a text")
        return super().call_binop(context, operator, left, right)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """An attribute, or else an item; a shortcut for items of a mapping whose name is not an attribute."""
        if type(obj) is dict and attribute in obj and attribute not in _DICT_ATTRIBUTES:
            return obj[attribute]
        if type(obj) is jinja2.runtime.LoopContext and attribute in _LOOP_ATTRIBUTES:
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
            check_call(getattr(obj, "__name__", ""), owner, args, kwargs)
        given = [*args, *(value for name, value in kwargs.items() if name not in _CONTEXT_ARGUMENTS)]
        if self.probe is not None and isinstance(owner, str) and self.probe.occurs_in(given):
            raise NotOpaqueError("the template passes a text to a method of another")
        return super().call(context, obj, *args, **kwargs)


def check_operation(operator: str, left: Any, right: Any) -> None:
    """Refuse `left operator right` if its result could be too large."""
    if operator == "+":
        if isinstance(left, (str, list, tuple)) and isinstance(right, (str, list, tuple)):
            _refuse_length(len(left) + len(right))
    elif operator == "*":
        for sequence, times in ((left, right), (right, left)):
            if isinstance(sequence, (str, bytes, list, tuple)) and isinstance(times, int):
                _refuse_length(len(sequence) * max(times, 0))
        if isinstance(left, int) and isinstance(right, int) and left.bit_length() + right.bit_length() > 4096:
            raise LimitExceededError("it multiplies numbers that are too large")
    elif operator == "**":
        if isinstance(left, int) and isinstance(right, int) and left.bit_length() * max(right, 0) > 4096:
            raise LimitExceededError("it raises a number to a power that is too large")
    elif isinstance(left, (str, bytes)):
        _refuse_width(left if isinstance(left, str) else left.decode("latin-1"))
        _refuse_numbers(right if isinstance(right, tuple) else (right,))


def check_call(name: str, owner: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Refuse a method call on a string or list if its result could be too large."""
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


def check_filter(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Refuse a filter if its result could be too large; `args` starts with the filtered value."""
    values = (*args, *kwargs.values())
    _refuse_numbers(values)
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
        raise LimitExceededError(f"it builds a text or list of more than {MAX_TEXT:,}")


def _refuse_numbers(values: Iterable[Any]) -> None:
    for value in values:
        if isinstance(value, int) and abs(value) > MAX_NUMBER:
            raise LimitExceededError(f"it passes a number above {MAX_NUMBER:,} to a function")


def _refuse_width(pattern: str) -> None:
    if _WIDTH.search(pattern):
        raise LimitExceededError("it formats with a width that is too large")


def _bounded(check: Callable[..., None], function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `function` in a check; jinja's attributes of it (such as the context it needs) are kept."""
    name = getattr(function, "__name__", "")

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        plain = tuple(arg for arg in args if not isinstance(arg, (jinja2.Environment, jinja2.runtime.Context)))
        # The filtered value may be any number; only the arguments are limited.
        check(name, plain[1:] if isinstance(plain[0], int) else plain, kwargs)
        return function(*args, **kwargs)

    return checked


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """The tojson filter of transformers: json.dumps, without Jinja's HTML escaping."""
    if (isinstance(indent, int) and indent > 64) or any(len(part) > 64 for part in (separators or ())):
        raise LimitExceededError("its JSON indentation is too large")
    spellings: list[str] = []
    plain = _with_placeholders(value, spellings)
    text = json.dumps(plain, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
    return _PLACEHOLDER.sub(lambda match: spellings[int(match.group(1))], text) if spellings else text


def _is_in(value: Any, container: Any) -> bool:
    if isinstance(value, Opaque) and isinstance(container, str):
        raise NotOpaqueError("the template searches for a text in another")
    return value in container


_PLACEHOLDER = re.compile(r'"number (\d+) of burnish"')


def _with_placeholders(value: Any, spellings: list[str]) -> Any:
    """Replace each Number by a placeholder, since json.dumps would lose its spelling, which is added to `spellings`."""
    if isinstance(value, Number):
        spellings.append(value.written)
        return f"number {len(spellings) - 1} of burnish"
    if isinstance(value, dict):
        return {key: _with_placeholders(item, spellings) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_placeholders(item, spellings) for item in value]
    return value


_DATE_FORMAT = re.compile(r"(?:[^%]|%[-_^#]?[aAbBdDeFgGhjmnuUVwWyYtC%])*")


def _strftime(day: date) -> Callable[[str], str]:
    """The `strftime_now` of transformers with a fixed `day`; the time of day is refused, since it changes every run."""

    def strftime_now(format: str) -> str:
        if not isinstance(format, str) or len(format) > 1000 or not _DATE_FORMAT.fullmatch(format):
            raise jinja2.sandbox.SecurityError(
                f"it prints the time of day, only dates are allowed: strftime_now({str(format)[:40]!r})"
            )
        return day.strftime(format)

    return strftime_now


def _raise_exception(message: str) -> None:
    raise jinja2.TemplateError(message)


class _Dict:
    """`dict(...)` without the attributes of the type."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict.fromkeys(*args, **kwargs)


class Namespace(jinja2.utils.Namespace):
    """A namespace that refuses underscore-prefixed names, which give access to Python internals."""

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
        raise jinja2.sandbox.SecurityError(f"a namespace cannot contain the underscore-prefixed name {name!r}")
