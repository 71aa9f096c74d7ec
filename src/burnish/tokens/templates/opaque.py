"""Texts that show what a template asks of them: it may write and strip them, every other question is noted or refused.

A rendering with opaque texts proves that the template treats all texts alike which answer the noted questions with no:
none of `guards` stands in them, and they are not blank.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

import jinja2.sandbox


class NotOpaqueError(jinja2.sandbox.SecurityError):
    """The template looks into a text."""


class Probe:
    """The opaque texts of one question, and what was asked of them."""

    def __init__(self, texts: list[str]):
        self.guards: set[str] = set()
        self.renderings: list[str] = []
        """Every text that the template wrote."""
        self._cores = [text.strip() for text in texts]
        self._pure = {form for text in texts for form in (text, text.strip(), text.lstrip(), text.rstrip())}

    def opaque(self, text: str) -> "Opaque":
        made = Opaque(text)
        made.probe = self
        return made

    def is_pure(self, text: str) -> bool:
        """Whether a text is one of the given ones, perhaps stripped; not one that the template put together."""
        return str(text) in self._pure

    def marks(self, value: Any) -> bool:
        """Whether one of the texts stands in a value: in a string, or below a list or mapping."""
        if isinstance(value, str):
            plain = str(value)
            return any(core in plain for core in self._cores)
        if isinstance(value, Mapping):
            return any(map(self.marks, value.values()))
        return isinstance(value, list | tuple) and any(map(self.marks, value))

    def joined(self, text: str) -> str:
        """What a template put together: opaque where it holds one of the texts."""
        return self.opaque(text) if self.marks(text) else text


class Opaque(str):
    """One such text."""

    probe: Probe

    def _asked(self, needle: Any) -> None:
        """Note that `needle` must not stand in the text; refuse where that is no answer."""
        if not isinstance(needle, str) or isinstance(needle, Opaque) or not self.probe.is_pure(self):
            self._refuse()
        if not needle or str.__contains__(self, needle):
            self._refuse()
        self.probe.guards.add(needle)

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise NotOpaqueError("the template looks into a text")

    def __contains__(self, needle: Any) -> bool:
        self._asked(needle)
        return False

    def __eq__(self, other: object) -> bool:
        if other is self:
            return True
        if isinstance(other, str) and other != "":
            self._asked(other)
        return False

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:  # looking a text up in a mapping
        self._refuse()

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:  # asking whether a text can be walked is no look into it; walking it is
        self._refuse()
        yield ""

    def __add__(self, other: Any) -> str:
        return self.probe.opaque(str(self) + str(other)) if isinstance(other, str) else self._refuse()

    def __radd__(self, other: Any) -> str:
        return self.probe.opaque(str(other) + str(self)) if isinstance(other, str) else self._refuse()

    def strip(self, chars: str | None = None, /) -> str:
        return self.probe.opaque(str.strip(self)) if chars is None else self._refuse()

    def lstrip(self, chars: str | None = None, /) -> str:
        return self.probe.opaque(str.lstrip(self)) if chars is None else self._refuse()

    def rstrip(self, chars: str | None = None, /) -> str:
        return self.probe.opaque(str.rstrip(self)) if chars is None else self._refuse()

    def startswith(self, prefix: Any, *places: Any) -> bool:
        return self._begins(prefix, places)

    def endswith(self, suffix: Any, *places: Any) -> bool:
        return self._begins(suffix, places)

    def _begins(self, needles: Any, places: Any) -> bool:
        if places:
            self._refuse()
        for needle in needles if isinstance(needles, tuple) else (needles,):
            self._asked(needle)
        return False

    def split(self, separator: Any = None, *most: Any) -> Any:
        self._asked(separator)
        return [self]

    def rsplit(self, separator: Any = None, *most: Any) -> Any:
        self._asked(separator)
        return [self]

    def partition(self, separator: Any) -> Any:
        self._asked(separator)
        return self, "", ""

    def rpartition(self, separator: Any) -> Any:
        self._asked(separator)
        return "", "", self

    def replace(self, old: Any, new: Any, *count: Any) -> Any:
        self._asked(old)
        return self


_KEPT = {"__contains__", "__eq__", "__ne__", "__iter__", "__add__", "__new__", "__init__", "__getattribute__"}
_KEPT |= {"__class__", "__doc__", "__str__", "__len__", "__setattr__", "__delattr__", "__init_subclass__", "__dir__"}
_KEPT |= {"__subclasshook__", "__reduce__", "__reduce_ex__", "__sizeof__", "__getnewargs__", "__getstate__", "__repr__"}
for _name in dir(str):
    if _name not in _KEPT and _name not in vars(Opaque):
        setattr(Opaque, _name, Opaque._refuse)

_FILTERS_OF_TEXTS = frozenset({"trim", "string", "default", "d"})
_FILTERS_OF_LISTS = frozenset(
    {"length", "count", "first", "last", "list", "selectattr", "rejectattr", "map", "select", "reject", "items", "attr"}
)


def watched_filter(name: str, function: Callable[..., Any], probe_of: Callable[[], Probe | None]) -> Callable[..., Any]:
    """A filter that refuses texts of a probe, unless it only writes, strips or passes them on."""

    def watched(*args: Any, **kwargs: Any) -> Any:
        probe = probe_of()
        if probe is not None and name not in _FILTERS_OF_TEXTS:
            values = [value for value in (*args, *kwargs.values()) if isinstance(value, str | list | tuple | Mapping)]
            if name in _FILTERS_OF_LISTS:
                values = [value for value in values if isinstance(value, str)]
            if any(map(probe.marks, values)):
                raise NotOpaqueError(f"the filter {name} looks into a text")
        return function(*args, **kwargs)

    watched.__dict__.update(function.__dict__)
    return watched


def probe_of(messages: Any) -> Probe | None:
    """The probe that messages belong to, told by their first text."""
    for message in messages:
        content = message.get("content")
        if isinstance(content, list) and content:
            content = content[0].get("text")
        if isinstance(content, str):
            return content.probe if isinstance(content, Opaque) else None
    return None
