"""What becomes what: the tables of the mutation operators."""

import ast
from typing import Any

BINARY: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "*"),
    ast.Pow: ("**", "*"),
    ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
    ast.BitXor: ("^", "&"),
}
AUGMENTED: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+=", "-="),
    ast.Sub: ("-=", "+="),
    ast.Mult: ("*=", "/="),
    ast.Div: ("/=", "*="),
    ast.BitOr: ("|=", "&="),
    ast.BitAnd: ("&=", "|="),
}
COMPARED: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}

_PAIRS = (
    ("min", "max"),
    ("amin", "amax"),
    ("argmin", "argmax"),
    ("any", "all"),
    ("startswith", "endswith"),
    ("lstrip", "rstrip"),
    ("removeprefix", "removesuffix"),
    ("partition", "rpartition"),
    ("sum", "mean"),
    ("zeros", "ones"),
    ("zeros_like", "ones_like"),
    ("ceil", "floor"),
)
SWAPPED_NAMES = {**dict(_PAIRS), **{b: a for a, b in _PAIRS}}
BUILTIN_SWAPS = {"min", "max", "any", "all", "ceil", "floor"}
"""Those that are also functions; the others are changed only as attributes."""

UNWRAPPED_NAMES = {"sorted": "list", "reversed": "list", "abs": "", "set": "list", "round": ""}
UNWRAPPED_METHODS = {"lower", "upper", "casefold", "strip", "detach", "float", "double", "copy", "clone", "resolve"}
KEYED_METHODS = {"get", "pop", "setdefault", "startswith", "endswith", "removeprefix", "removesuffix", "split"}

KEPT_KEYWORDS = {"encoding", "strict", "stacklevel", "ensure_ascii"}
"""Not dropped: `encoding` changes nothing where the locale is UTF-8, and `strict` of zip is a guard."""

QUIET_CALLS = {"Note", "Failed", "warn", "print", "getLogger", "TypeVar", "ParamSpec", "NewType"}
QUIET_OWNERS = {"_log", "log", "logger", "logging", "warnings"}


def constant(value: Any) -> str | None:
    """The text of what replaces a constant: integers below 100 grow by one, larger ones double, floats
    halve (below 1) or double, truth flips. None where it is left alone."""
    if isinstance(value, bool):
        return str(not value)
    if isinstance(value, int):
        return str(value + 1 if value < 100 else value * 2)
    if isinstance(value, float):
        if value == 0:
            return "1.0"
        return repr(value / 2 if abs(value) < 1 else value * 2)
    return None
