"""Two processes that use each other's objects: requests and replies over a socket, and handles for what stays there.

The process of the tests is one side, that of the answer the other. Each may call the other's functions, while it waits
for a reply too. What a side lets the other do is decided by `Peer.allows`.
"""

import builtins
import json
import operator
import os
import struct
from collections.abc import Callable
from typing import Any

from burnish.train.rewards.sandbox.values import NOTHING, decode, encode, plain_part

_LONGEST = 1 << 26
_MUTABLE = (list, dict, set, bytearray)

UNARY: dict[str, Callable[..., Any]] = {
    "__len__": len,
    "__iter__": iter,
    "__next__": next,
    "__str__": str,
    "__repr__": repr,
    "__bool__": bool,
    "__int__": int,
    "__float__": float,
    "__index__": operator.index,
    "__abs__": abs,
    "__neg__": operator.neg,
    "__getitem__": operator.getitem,
    "__setitem__": operator.setitem,
    "__delitem__": operator.delitem,
    "__round__": round,
    "__reversed__": reversed,
    "__complex__": complex,
    "__format__": format,
    "__enter__": lambda value: type(value).__enter__(value),
    "__exit__": lambda value, *error: type(value).__exit__(value, None, None, None),
}
"""Special methods that tell the object nothing of what is expected of it."""
_NUMBERS = ("__bool__", "__int__", "__float__", "__index__", "__abs__", "__neg__", "__round__", "__complex__")
_NAMES = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and_", "or_", "xor", "lshift", "rshift")
ARITHMETIC = {f"__{name.strip('_')}__": getattr(operator, name) for name in _NAMES}
REFLECTED = {f"__r{name.strip('_')}__": getattr(operator, name) for name in _NAMES}
ORDER = {f"__{name}__": getattr(operator, name) for name in ("lt", "le", "gt", "ge")}
BINARY: dict[str, Callable[..., Any]] = {
    **ARITHMETIC,
    **ORDER,
    "__eq__": operator.eq,
    "__contains__": operator.contains,
}


class GoneError(Exception):
    """The other process has ended."""


class Peer:
    """One side. `allows(object, operation, name)` says what the other may do with an object of this side.

    `is_open(type name)` is whether operators with another operand are passed to the other side's objects of that type:
    such an object learns what it is compared with.
    """

    def __init__(
        self,
        descriptor: int,
        allows: Callable[[Any, str, str], bool],
        is_open: Callable[[str], bool] = lambda name: True,
        scope: dict[str, Any] | None = None,
    ):
        self._descriptor = descriptor
        self._allows, self.is_open = allows, is_open
        self._scope: dict[str, Any] = {} if scope is None else scope
        self._mine: dict[int, Any] = {}
        self._numbers: dict[int, int] = {}
        self._errors: dict[tuple[str, str], type[Exception]] = {}

    # requests

    def ask(self, operation: str, *arguments: Any) -> Any:
        """What the other side gives, or the exception that it raised. Errors: GoneError."""
        self.send(["ask", operation, encode(list(arguments), self._export)])
        while True:
            message = self.receive()
            if message[0] == "ask":
                self._serve(message)
            elif message[0] == "gave":
                return decode(message[1], self._import)
            elif message[0] == "changed":  # arguments of a call that it changed in place
                _update(arguments[1], decode(message[1], self._import))
            else:
                raise self._error(*message[1:4])

    def serve_forever(self) -> None:
        """Serve requests until the other side ends."""
        while True:
            try:
                message = self.receive()
            except GoneError:
                return
            self._serve(message)

    def send(self, message: Any) -> None:
        """Send a message."""
        data = json.dumps(message).encode("ascii")
        data = struct.pack(">I", len(data)) + data
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except OSError:
                raise GoneError from None

    def receive(self) -> Any:
        """The next message. Errors: GoneError, also for one that is no message."""
        (length,) = struct.unpack(">I", self._read(4))
        if length > _LONGEST:
            raise GoneError
        try:
            message = json.loads(self._read(length))
        except (ValueError, RecursionError):
            raise GoneError from None
        if not isinstance(message, list) or not message:
            raise GoneError
        return message

    def _read(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            try:
                piece = os.read(self._descriptor, length - len(data))
            except OSError:
                piece = b""
            if not piece:
                raise GoneError
            data += piece
        return data

    # replies

    def _serve(self, message: Any) -> None:
        try:
            _, operation, encoded = message
            arguments = decode(encoded, self._import)
            if operation == "call":
                reply = self._call(*arguments)
            else:
                reply = ["gave", encode(self._do(operation, *arguments), self._export)]
        except GoneError:
            raise
        except BaseException as error:  # SystemExit and KeyboardInterrupt too: the other side decides
            kinds = [kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins"]
            text = _text(error)
            reply = ["raised", type(error).__name__, kinds, text]
        self.send(reply)

    def _call(self, function: Any, arguments: list[Any], named: dict[str, Any]) -> Any:
        self._check(function, "call", "")
        given = [encode(item, self._export) if type(item) in _MUTABLE else None for item in arguments]
        found = function(*arguments, **named)
        reply = ["gave", encode(found, self._export)]
        after = [encode(item, self._export) if type(item) in _MUTABLE else None for item in arguments]
        changed = [[place, new] for place, (old, new) in enumerate(zip(given, after, strict=True)) if old != new]
        if changed:
            self.send(["changed", ["list", [["tuple", pair] for pair in changed]]])
        return reply

    def _do(self, operation: str, subject: Any, *arguments: Any) -> Any:
        if operation == "names":
            return {name: self._scope[name] for name in subject if name in self._scope}
        name = arguments[0]
        self._check(subject, operation, name)
        if operation == "attribute":
            return getattr(subject, name)
        if operation == "set":
            return setattr(subject, name, arguments[1])
        if operation == "special":
            return {**UNARY, **BINARY}[name](subject, *arguments[1:])
        if operation == "reflected":
            return REFLECTED[name](arguments[1], subject)
        if operation == "isinstance":
            return isinstance(arguments[1], subject)
        raise ValueError(f"unknown operation {operation!r}")

    def _check(self, subject: Any, operation: str, name: str) -> None:
        is_offered = id(subject) in self._numbers  # not a function that the other side only named
        if not is_offered or not self._allows(subject, operation, name):
            raise PermissionError(f"{operation} {name} is not allowed on {type(subject).__name__}")

    # objects

    def _export(self, value: Any) -> list[Any]:
        if isinstance(value, Handle):
            return ["yours", number_of(value)]
        if isinstance(value, type) and issubclass(value, BaseException):
            kinds = [kind.__name__ for kind in value.__mro__ if kind.__module__ == "builtins"]
            return ["error", value.__name__, kinds]
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self._mine)
            self._mine[number] = value
        data = plain_part(value)
        return ["mine", number, type(value).__name__, [] if data is NOTHING else [encode(data, self._export, 1)]]

    def _import(self, message: list[Any]) -> Any:
        tag, *rest = message
        if tag == "yours":
            return self._mine[rest[0]]
        if tag == "error":
            return self._error_type(rest[0], rest[1])
        if tag == "mine":
            number, kind, data = rest
            if type(number) is not int or type(kind) is not str or not isinstance(data, list):
                raise ValueError("not a message")
            return Handle(self, number, kind, decode(data[0], self._import) if data else NOTHING)
        raise ValueError(f"unknown tag {tag!r}")

    def _error_type(self, name: str, kinds: list[str]) -> type[Exception]:
        """The built-in exception of that name, or one class for each name of the other side's own."""
        found = (getattr(builtins, kind, None) for kind in kinds)
        bases = (kind for kind in found if isinstance(kind, type) and issubclass(kind, Exception))
        base = next(bases, RuntimeError)
        if base.__name__ == name:
            return base
        if (name, base.__name__) not in self._errors:
            made: Any = type(name, (base,), {})
            self._errors[name, base.__name__] = made
        return self._errors[name, base.__name__]

    def _error(self, name: Any, kinds: Any, text: Any) -> Exception:
        kind = self._error_type(str(name), [str(each) for each in kinds])
        try:
            return kind(str(text))
        except Exception:  # UnicodeDecodeError and others take more arguments
            return RuntimeError(f"{name}: {text}")


def _text(error: BaseException) -> str:
    try:
        return str.__str__(str(error))[:300]
    except BaseException:
        return ""


def _update(given: Any, changed: list[tuple[int, Any]]) -> None:
    for place, new in changed:
        old = given[place]
        if type(old) is not type(new) or type(old) not in _MUTABLE:
            continue
        if isinstance(old, list | bytearray):
            old[:] = new
        else:
            old.clear()
            old.update(new)


class Handle:
    """An object of the other process. Attributes, calls and special methods are passed on.

    Comparison with plain data uses the data that came with it, or is false: what an object of an answer says of itself
    is no evidence. Arithmetic with plain data tells the object what it is compared with, as in `abs(f(1) - 2.5) < 0.1`:
    the result is `_h_told`, and gives no numbers.
    """

    __slots__ = ("_h_data", "_h_kind", "_h_number", "_h_peer", "_h_told")

    def __init__(self, peer: Peer, number: int, kind: str, data: Any):
        for name, value in (("peer", peer), ("number", number), ("kind", kind), ("data", data), ("told", False)):
            object.__setattr__(self, f"_h_{name}", value)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ("__name__", "__dict__"):
            raise AttributeError(name)
        return self._h_peer.ask("attribute", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._h_peer.ask("set", self, name, value)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._h_peer.ask("call", self, list(arguments), named)

    def __instancecheck__(self, instance: Any) -> bool:
        return isinstance(instance, Handle) and self._h_peer.ask("isinstance", self, "", instance) is True

    def __eq__(self, other: Any) -> bool:
        mine, others = _data(self), _data(other)
        if mine is not NOTHING or not isinstance(other, Handle):
            return mine is not NOTHING and others is not NOTHING and mine == others
        if self._h_number == other._h_number:
            return True
        both = self._h_peer.is_open(self._h_kind) and self._h_peer.is_open(other._h_kind)
        return both and self._h_peer.ask("special", self, "__eq__", other) is True

    def __hash__(self) -> int:
        return hash(self._h_number) if self._h_data is NOTHING else hash(self._h_data)

    def __contains__(self, item: Any) -> bool:
        if isinstance(item, Handle) and self._h_peer.is_open(self._h_kind):
            return self._h_peer.ask("special", self, "__contains__", item) is True
        mine: Any = self
        return any(item == each for each in mine)  # the object does not learn what is looked for


def number_of(handle: Handle) -> int:
    """The number of a handle's object on its side."""
    return handle._h_number


def _data(value: Any) -> Any:
    return value._h_data if isinstance(value, Handle) else value


def _plain(value: Any) -> Any:
    found = _data(value)
    return value if found is NOTHING else found


def _passed(name: str) -> Callable[..., Any]:
    def method(self: Any, *arguments: Any) -> Any:
        if self._h_told and name in _NUMBERS:
            raise TypeError(f"{name} of {self._h_kind} after arithmetic with plain data is not used")
        if name in ("__bool__", "__hash__") and self._h_data is not NOTHING:
            return bool(self._h_data)
        if name == "__exit__":
            arguments = ()
        return _plain(self._h_peer.ask("special", self, name, *arguments))

    return method


def _operator(name: str, function: Callable[..., Any], operation: str) -> Callable[..., Any]:
    def method(self: Any, other: Any) -> Any:
        is_open, is_plain = self._h_peer.is_open(self._h_kind), not isinstance(other, Handle)
        if is_open and not is_plain:
            return self._h_peer.ask(operation, self, name, other)
        if is_open and name not in ORDER and not isinstance(self._h_data, int | float):
            found = self._h_peer.ask(operation, self, name, other)
            if isinstance(found, Handle):
                object.__setattr__(found, "_h_told", True)
                object.__setattr__(found, "_h_data", NOTHING)
                return found
        if self._h_data is not NOTHING:
            mine, others = self._h_data, _plain(other)
            return function(others, mine) if operation == "reflected" else function(mine, others)
        raise TypeError(f"{name} of {self._h_kind} with {_kind(other)} is not used: it would be the answer's word")

    return method


def _kind(value: Any) -> str:
    return value._h_kind if isinstance(value, Handle) else type(value).__name__


for _name in UNARY:
    setattr(Handle, _name, _passed(_name))
for _name, _function in {**ARITHMETIC, **ORDER}.items():
    setattr(Handle, _name, _operator(_name, _function, "special"))
for _name, _function in REFLECTED.items():
    setattr(Handle, _name, _operator(_name, _function, "reflected"))
