"""Values between the process of an answer and that of its tests, as JSON.

Plain data is copied. Anything else stays where it is, and the other side gets a number for it. What arrives is data
only: nothing in it is executed, so that an answer cannot send its tests an object that equals everything.
"""

import collections
import datetime
import decimal
import fractions
import importlib
import sys
import types
from collections.abc import Callable
from typing import Any

NOTHING: Any = object()
_NAMED = (type, types.FunctionType, types.BuiltinFunctionType)
_SMALL = 1 << 53
_DEEPEST = 200
_OPEN_MODULES = (
    *(
        "builtins",
        "math",
        "cmath",
        "collections",
        "collections.abc",
        "itertools",
        "functools",
        "operator",
        "string",
        "re",
    ),
    *("heapq", "bisect", "statistics", "datetime", "decimal", "fractions", "typing", "json", "copy", "random", "array"),
    *("abc", "dataclasses", "enum", "numbers", "time", "textwrap", "hashlib", "struct", "calendar"),
)
"""Modules whose public classes and functions are the other side's own. Not `unittest.mock`, for one: it has an object
that equals everything."""
_CLOSED = ("exec", "eval", "compile", "open", "input", "breakpoint", "getattr", "setattr", "delattr", "vars", "globals")
"""Built-in functions that are not passed on."""
_PLAIN = (str, int, float, complex, bytes, bytearray, list, tuple, set, frozenset, dict)

Export = Callable[[Any], list[Any]]
"""Gives the message for an object that stays here."""
Import = Callable[[list[Any]], Any]
"""Gives the object for such a message."""

_STANDARD: dict[str, tuple[type, Callable[[Any], list[Any]]]] = {
    "Decimal": (decimal.Decimal, lambda value: [str(value)]),
    "Fraction": (fractions.Fraction, lambda value: [value.numerator, value.denominator]),
    "deque": (collections.deque, lambda value: [list(value), value.maxlen]),
    "Counter": (collections.Counter, lambda value: [dict(value)]),
    "OrderedDict": (collections.OrderedDict, lambda value: [list(value.items())]),
    "date": (datetime.date, lambda value: [value.year, value.month, value.day]),
    "timedelta": (datetime.timedelta, lambda value: [value.days, value.seconds, value.microseconds]),
    "range": (range, lambda value: [value.start, value.stop, value.step]),
    "slice": (slice, lambda value: [value.start, value.stop, value.step]),
}
"""Types of the standard library that are copied: how to make one again, and from what."""


def encode(value: Any, export: Export, depth: int = 0) -> Any:
    """The message for a value.

    Errors: ValueError for data that is nested too deeply or contains itself.
    """
    if depth > _DEEPEST:
        raise ValueError("the value is nested too deeply, or contains itself")
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if kind is int:
        return value if -_SMALL < value < _SMALL else ["int", hex(value)]
    if kind is float:
        return ["float", value.hex()]
    if kind is complex:
        return ["complex", value.real.hex(), value.imag.hex()]
    if kind is bytes or kind is bytearray:
        return [kind.__name__, value.hex()]
    if kind in (list, tuple, set, frozenset):
        return [kind.__name__, [encode(item, export, depth + 1) for item in value]]
    if kind is dict:
        return ["dict", [[encode(part, export, depth + 1) for part in item] for item in value.items()]]
    if kind is collections.defaultdict:
        return encode(dict(value), export, depth)
    for name, (standard, parts) in _STANDARD.items():
        if kind is standard:
            return ["new", name, encode(parts(value), export, depth + 1)]
    if kind.__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        return encode(value.item(), export, depth + 1)
    if (name := _standard_name(value)) is not None:
        return ["name", *name]
    return export(value)


def plain_part(value: Any) -> Any:
    """The data in an object of a class that extends a built-in type, such as a named tuple; else NOTHING."""
    kind: Any
    for kind in _PLAIN:
        if isinstance(value, kind):
            if kind is dict:
                return dict(dict.items(value))
            if kind in (list, tuple, set, frozenset):
                return kind(kind.__iter__(value))
            return kind.__getnewargs__(value)[0] if kind in (str, int, float, bytes) else NOTHING
    return NOTHING


def decode(message: Any, take: Import, depth: int = 0) -> Any:
    """The value of a message. Errors: ValueError for one that is not well-formed."""
    if depth > 3 * _DEEPEST:
        raise ValueError("the value is nested too deeply")
    if message is None or type(message) in (bool, str, int):
        return message
    if not isinstance(message, list) or not message:
        raise ValueError("not a message")
    tag, *rest = message
    if tag == "int":
        return int(rest[0], 16)
    if tag == "float":
        return float.fromhex(rest[0])
    if tag == "complex":
        return complex(float.fromhex(rest[0]), float.fromhex(rest[1]))
    if tag in ("bytes", "bytearray"):
        data = bytes.fromhex(rest[0])
        return data if tag == "bytes" else bytearray(data)
    if tag in ("list", "tuple", "set", "frozenset"):
        items = [decode(item, take, depth + 1) for item in rest[0]]
        return {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}[tag](items)
    if tag == "dict":
        return {decode(key, take, depth + 1): decode(item, take, depth + 1) for key, item in rest[0]}
    if tag == "new":
        return _STANDARD[rest[0]][0](*decode(rest[1], take, depth + 1))
    if tag == "name":
        return _standard(*rest)
    return take(message)


def _standard_name(value: Any) -> tuple[str, str] | None:
    """The module and name of a module, class or function of the standard library."""
    if type(value) is type(sys):
        name = value.__name__
        return (name, "") if name in _OPEN_MODULES and sys.modules.get(name) is value else None
    if not isinstance(value, _NAMED):
        return None
    name = value.__name__
    for module in _OPEN_MODULES:
        if _is_open(name) and getattr(sys.modules.get(module), name, None) is value:
            return module, name
    return None


def _standard(module: str, name: str) -> Any:
    """This process's own object of that name."""
    if module not in _OPEN_MODULES or not _is_open(name):
        raise ValueError(f"{module}.{name} is not passed on")
    found = importlib.import_module(module)
    if not name:
        return found
    value = getattr(found, name)
    if not isinstance(value, _NAMED):
        raise ValueError(f"{module}.{name} is neither a class nor a function")
    return value


def _is_open(name: str) -> bool:
    return not name.startswith("_") and name not in _CLOSED
