"""Opaque texts: strings that a template may write and strip; other operations are recorded or refused.

A rendering with opaque texts proves that the template treats all texts the same that are not blank, contain none of the
recorded `guards`, and start with none of `firsts` and end with none of `lasts`.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

import jinja2.sandbox


class NotOpaqueError(jinja2.sandbox.SecurityError):
    """The template inspects a text."""


class Probe:
    """A set of opaque texts, and the strings that the template searched for in them."""

    def __init__(self, texts: list[str]):
        self.guards: set[str] = set()
        self.firsts: set[str] = set()
        self.lasts: set[str] = set()
        self.renderings: list[str] = []
        """All texts rendered with this probe."""
        self._cores = [text.strip() for text in texts]
        self._pure = {form for text in texts for form in (text, text.strip(), text.lstrip(), text.rstrip())}

    def opaque(self, text: str) -> "Opaque":
        made = Opaque(text)
        made.probe = self
        return made

    def is_pure(self, text: str) -> bool:
        """Whether a text is one of the given ones, possibly stripped, and not a concatenation."""
        return str(text) in self._pure

    def occurs_in(self, value: Any) -> bool:
        """Whether a value contains one of the texts: in a string, or nested in a list or mapping."""
        if isinstance(value, str):
            plain = str(value)
            return any(core in plain for core in self._cores)
        if isinstance(value, Mapping):
            return any(map(self.occurs_in, value.values()))
        return isinstance(value, list | tuple) and any(map(self.occurs_in, value))

    def wrap(self, text: str) -> str:
        """Make a concatenation opaque if it contains one of the texts."""
        return self.opaque(text) if self.occurs_in(text) else text


class Opaque(str):
    """An opaque text."""

    probe: Probe

    def _require_absent(self, needle: Any) -> None:
        """Record that the text must not contain `needle`, and refuse if that is not sufficient."""
        if not isinstance(needle, str) or isinstance(needle, Opaque) or not self.probe.is_pure(self):
            self._refuse()
        if not needle or str.__contains__(self, needle):
            self._refuse()
        self.probe.guards.add(needle)

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise NotOpaqueError("the template inspects a text")

    def __contains__(self, needle: Any) -> bool:
        self._require_absent(needle)
        return False

    def __eq__(self, other: object) -> bool:
        if other is self:
            return True
        if isinstance(other, str) and other != "":
            self._require_absent(other)
        return False

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:  # a lookup in a mapping
        self._refuse()

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:  # the test `is iterable` calls iter(), which is allowed; iterating is not
        self._refuse()
        yield ""

    def __add__(self, other: Any) -> str:
        return self.probe.opaque(str(self) + str(other)) if isinstance(other, str) else self._refuse()

    def __radd__(self, other: Any) -> str:
        return self.probe.opaque(str(other) + str(self)) if isinstance(other, str) else self._refuse()

    def strip(self, chars: str | None = None, /) -> str:
        return self.probe.opaque(str.strip(self)) if chars is None else self._kept(chars, chars)

    def lstrip(self, chars: str | None = None, /) -> str:
        return self.probe.opaque(str.lstrip(self)) if chars is None else self._kept(chars, "")

    def rstrip(self, chars: str | None = None, /) -> str:
        return self.probe.opaque(str.rstrip(self)) if chars is None else self._kept("", chars)

    def _kept(self, first: Any, last: Any) -> str:
        """Record that the text must not start or end with these characters: stripping them then changes nothing."""
        if not all(type(chars) is str for chars in (first, last)) or not self.probe.is_pure(self):
            self._refuse()
        self.probe.firsts |= set(first)
        self.probe.lasts |= set(last)
        return self

    def startswith(self, prefix: Any, *places: Any) -> bool:
        return self._has_affix(prefix, places)

    def endswith(self, suffix: Any, *places: Any) -> bool:
        return self._has_affix(suffix, places)

    def _has_affix(self, needles: Any, places: Any) -> bool:
        if places:
            self._refuse()
        for needle in needles if isinstance(needles, tuple) else (needles,):
            self._require_absent(needle)
        return False

    def split(self, separator: Any = None, *most: Any) -> Any:
        self._require_absent(separator)
        return [self]

    def rsplit(self, separator: Any = None, *most: Any) -> Any:
        self._require_absent(separator)
        return [self]

    def partition(self, separator: Any) -> Any:
        self._require_absent(separator)
        return self, "", ""

    def rpartition(self, separator: Any) -> Any:
        self._require_absent(separator)
        return "", "", self

    def replace(self, old: Any, new: Any, *count: Any) -> Any:
        self._require_absent(old)
        return self


_KEPT = {"__contains__", "__eq__", "__ne__", "__iter__", "__add__", "__new__", "__init__", "__getattribute__"}
_KEPT |= {"__class__", "__doc__", "__str__", "__len__", "__setattr__", "__delattr__", "__init_subclass__", "__dir__"}
_KEPT |= {"__subclasshook__", "__reduce__", "__reduce_ex__", "__sizeof__", "__getnewargs__", "__getstate__", "__repr__"}
for _name in dir(str):
    if _name not in _KEPT and _name not in vars(Opaque):
        setattr(Opaque, _name, Opaque._refuse)

_TEXT_FILTERS = frozenset({"trim", "string", "default", "d"})
_LIST_FILTERS = frozenset(
    {"length", "count", "first", "last", "list", "selectattr", "rejectattr", "map", "select", "reject", "items", "attr"}
)


def watched_filter(name: str, function: Callable[..., Any], probe_of: Callable[[], Probe | None]) -> Callable[..., Any]:
    """A filter that refuses opaque texts, unless it only writes, strips or passes them on."""

    def watched(*args: Any, **kwargs: Any) -> Any:
        probe = probe_of()
        if probe is not None and name not in _TEXT_FILTERS:
            values = [value for value in (*args, *kwargs.values()) if isinstance(value, str | list | tuple | Mapping)]
            if name in _LIST_FILTERS:
                values = [value for value in values if isinstance(value, str)]
            if any(map(probe.occurs_in, values)):
                raise NotOpaqueError(f"the filter {name} inspects a text")
        return function(*args, **kwargs)

    watched.__dict__.update(function.__dict__)
    return watched


def probe_of(messages: Any) -> Probe | None:
    """The probe that messages belong to, from their first text."""
    for message in messages:
        content = message.get("content")
        if isinstance(content, list) and content:
            content = content[0].get("text")
        if isinstance(content, str):
            return content.probe if isinstance(content, Opaque) else None
    return None
