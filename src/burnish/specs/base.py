"""The base class of specs, references to inputs, and marks on fields.

A spec holds the settings of a stage. Each read of a field is reported to the consumption ledger
(`burnish.core.runs.ledger`), which finds unused settings.
"""

import datetime
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from types import UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, model_validator

Watcher = Callable[["Spec", str], None]
_watchers: list[Watcher] = []


def watch(watcher: Watcher) -> Callable[[], None]:
    """Report every read of a spec's field to `watcher`, until the returned function is called."""
    _watchers.append(watcher)
    return lambda: _watchers.remove(watcher)


class Spec(BaseModel):
    """A frozen set of settings. An unknown key is an error; field help is the docstring under the field."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
        allow_inf_nan=False,
    )

    @model_validator(mode="before")
    @classmethod
    def _accept_one_for_a_list(cls, values: Any) -> Any:
        """`track: wandb` is `track: [wandb]`."""
        if not isinstance(values, Mapping):
            return values
        given = cast(Mapping[str, Any], values)
        alone = {
            name: [value]
            for name, value in given.items()
            if value and isinstance(value, str | int | float) and takes_one_for_a_list(cls, name, value)
        }
        return {**given, **alone}

    def model_post_init(self, context: Any, /) -> None:
        """Mark a variant's tag as set, so that dumps without defaults still contain it."""
        if "kind" in type(self).__pydantic_fields__:
            self.__pydantic_fields_set__.add("kind")

    def besides(self, *, is_reused: bool) -> str:
        """What the step does that is not its artifact, such as an upload, for its plan; "" for most stages."""
        return ""

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if _watchers and name in type(self).__pydantic_fields__:
            for watcher in _watchers:
                watcher(self, name)
        return value


@dataclass(frozen=True)
class Takes:
    """Marks a field that references an input; `kinds` are the accepted artifact kinds."""

    kinds: tuple[str, ...]


@dataclass(frozen=True)
class Listed:
    """Marks a reference to a YAML file that is a list of settings, which planning reads: its faults end no long run.

    The list is the field `key` of `spec`; `what` says what the file is, `example` shows an item.
    """

    spec: type[Spec]
    key: str
    what: str
    example: str


@dataclass(frozen=True)
class LocalPath:
    """Marks a field with a path of this machine that is no reference to an input: clients of the server may name those
    of the workspace alone."""


@dataclass(frozen=True)
class WithCheckpoints:
    """Marks a switch: if it is on, the other checkpoints of the run that the input `model` is of are inputs, too."""


@dataclass(frozen=True)
class Runtime:
    """Marks a field that affects where or how fast a step runs, not its output: excluded from the fingerprint.

    If `values` are given, only these values are excluded.
    """

    values: tuple[Any, ...] = ()

    def excludes(self, value: Any) -> bool:
        """True if this value is not part of the fingerprint."""
        return not self.values or value in self.values


@dataclass(frozen=True)
class Added:
    """Marks a field that an older stage did not have: at None it is not part of the fingerprint, so that results of
    the older one are reused."""


@dataclass(frozen=True)
class TemplateDate:
    """Marks a field with the date that a chat template prints: planning replaces `auto` by a date."""


@dataclass(frozen=True)
class Operands:
    """Marks the field that takes the words of a command that are no files of settings.

    They are a list of strings, a mapping if `named` gives the (key, value) of a word, or `one` string.
    """

    named: Callable[[str], tuple[str, str]] | None = None
    one: bool = False


@dataclass(frozen=True)
class Trailing:
    """Marks the field, a list of strings, that takes the words of a command after `--`."""


RUNTIME = Runtime()
ADDED = Added()

SCHEMES = ("step", "file", "hub", "git", "https", "package", "builtin")
_REFERENCE = re.compile(
    r"^(?:(?P<scheme>[a-z]+):(?P<rest>.+)|(?P<name>[\w.-]+)@(?P<version>[\w.-]+)(?:/step-\w+)?)$", re.DOTALL
)
_NAME = re.compile(r"[\w.-]+")
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_WINDOWS = re.compile(r"[\"']?(?:[A-Za-z]:|\\\\)")


def is_a_reference(value: str) -> str:
    """Accept `SCHEME:x` with one of the schemes, `name@version` or `name@version/step-120`."""
    match = _REFERENCE.match(value)
    if match is None or (match["scheme"] is not None and match["scheme"] not in (*SCHEMES, "http")):
        schemes = ", ".join(f"{scheme}:…" for scheme in SCHEMES)
        likely = f"did you mean hub:{value}, or file:{value}? " if _HUB_NAME.fullmatch(value) else ""
        if _NAME.fullmatch(value):
            step = "" if "." in value else f"step:{value}, "  # a step has no dot in its name
            likely = f"did you mean {step}{value}@latest or file:{value}? "
        likely = f"did you mean file:{value}? " if _WINDOWS.match(value) else likely
        raise ValueError(f"'{value}' is not a reference: {likely}write {schemes}, name@version or name@version/step-9")
    return value


def path_in(text: str) -> PurePath:
    """The parts of a path in a reference, which may be one of Windows."""
    return PureWindowsPath(text) if _WINDOWS.match(text) else PurePosixPath(text)


def short_name(ref: str) -> str:
    """`tune` of step:tune, the last part of a path or of a hub's name, an artifact's name as it is."""
    scheme, _, rest = ref.partition(":")
    name = (rest if scheme == "step" else path_in(rest).name) if rest else ref
    return ref if name in ("", "model") else name  # "model" is the other column


def is_a_date(value: str) -> str:
    """Accept `auto` or a date as YYYY-MM-DD."""
    try:
        if value != "auto" and datetime.date.fromisoformat(value).isoformat() != value:
            raise ValueError
    except ValueError:
        raise ValueError(f"'{value}' is not a date: write YYYY-MM-DD, such as 2026-11-21, or auto") from None
    return value


PrintedDate = Annotated[str, TemplateDate(), AfterValidator(is_a_date)]
"""The date printed by a chat template that reads the clock, such as Llama 3.2's."""
ModelRef = Annotated[str, Takes(("model", "adapter")), AfterValidator(is_a_reference)]
"""A model: a folder, a hub name, `builtin:pocket`, an adapter, or a checkpoint such as `tune.tune@3/step-120`."""
RunnableRef = Annotated[str, Takes(("model", "adapter", "gguf")), AfterValidator(is_a_reference)]
"""A model, an adapter, or a GGUF file: the file, or an artifact or folder that holds one."""
DataRef = Annotated[str, Takes(("dataset", "rows", "file", "folder")), AfterValidator(is_a_reference)]
"""Rows: a prepared dataset, rows that were fetched or cleaned, a file, a folder, or a hub dataset."""
FileRef = Annotated[str, Takes(("file",)), AfterValidator(is_a_reference)]
"""A file."""
RawRef = Annotated[str, Takes(("rows", "file", "folder")), AfterValidator(is_a_reference)]
"""Rows with the fields that they have: fetched or cleaned, a file, a folder, or a hub dataset; no prepared dataset."""
TokenizerRef = Annotated[str, Takes(("tokenizer", "model", "adapter")), AfterValidator(is_a_reference)]
"""A tokenizer, or a model that contains one."""

Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], RUNTIME]
Threads = Annotated[Annotated[int, Field(ge=1, le=1024)] | Literal["auto"], RUNTIME]


def by_kind(default: str) -> Discriminator:
    """Select a variant by its `kind`, or `default` if that is missing, so that `method.rank=8` is enough."""

    def kind_of(value: Any) -> str:
        if isinstance(value, Mapping):
            return str(value.get("kind", default))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        return getattr(value, "kind", default)

    return Discriminator(kind_of)


def fields_with(spec: Spec, mark: type, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Walk a spec's tree; yield (dotted path, mark, value) of every field marked with `mark`.

    List items have their position as key (`source.0.rows`); references in a list or mapping have its keys. These reads
    are not reported to the ledger.
    """
    values = spec.__dict__
    for name, info in type(spec).__pydantic_fields__.items():
        value, path = values[name], f"{prefix}{name}"
        found = next((m for m in marks_of(info) if isinstance(m, mark)), None)
        if isinstance(found, Takes) and isinstance(value, list) and not any(specs_within(value)):
            value = dict(enumerate(cast(list[Any], value)))
        if isinstance(found, Takes) and isinstance(value, dict):
            members = cast(dict[Any, Any], value)
            yield from ((f"{path}.{key}", found, member) for key, member in members.items())
        elif found is not None:
            yield path, found, value
        for key, child in specs_within(value):
            yield from fields_with(child, mark, f"{path}.{key}." if key else f"{path}.")


def specs_within(value: Any) -> Iterator[tuple[str, Spec]]:
    """The specs in a field's value: the value itself (key ""), or the members of a list or mapping by key."""
    if isinstance(value, Spec):
        yield "", value
    members: dict[Any, Any] = {}
    if isinstance(value, list | tuple):
        members = dict(enumerate(cast(list[Any], value)))
    elif isinstance(value, dict):
        members = cast(dict[Any, Any], value)
    for key, child in members.items():
        if isinstance(child, Spec):
            yield str(key), child


def types_within(annotation: Any) -> Iterator[Any]:
    """The types in an annotation: members of unions, types of literals, and those inside `Annotated`."""
    if get_origin(annotation) is Literal:
        yield from map(type, get_args(annotation))
    elif get_origin(annotation) is Annotated:
        yield from types_within(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            yield from types_within(part)
    else:
        yield annotation


def takes_list_of_plain(annotation: Any) -> bool:
    """Whether a value may be a list of strings or numbers."""
    lists = [part for part in types_within(annotation) if get_origin(part) is list]
    return any(
        isinstance(item, type) and issubclass(item, str | int | float)
        for part in lists
        for item in types_within(get_args(part)[0])
    )


def takes_one_for_a_list(spec_type: type[Spec], name: str, value: object) -> bool:
    """Whether a field takes a list of plain values, and this value only as the member of one."""
    info = spec_type.__pydantic_fields__.get(name)
    if info is None or isinstance(value, bool) or not takes_list_of_plain(info.annotation):
        return False
    return not any(_accepts(part, value) for part in _members(info.annotation))


def _members(annotation: Any) -> Iterator[Any]:
    """The members of a union, literals whole."""
    if get_origin(annotation) is Annotated:
        yield from _members(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            yield from _members(part)
    else:
        yield annotation


def _accepts(part: Any, value: object) -> bool:
    if get_origin(part) is Literal:
        return value in get_args(part)
    return isinstance(part, type) and get_origin(part) is None and isinstance(value, part)


def choices_of(annotation: Any) -> tuple[str, ...]:
    """The words that a value must be one of, if it must; None besides is not named."""
    found: dict[str, None] = {}
    for part in _members(annotation):
        if part is bool:
            found |= dict.fromkeys(("true", "false"))
        elif get_origin(part) is Literal and all(isinstance(word, str) for word in get_args(part)):
            found |= dict.fromkeys(get_args(part))
        elif part is not type(None):
            return ()
    return tuple(found)


def marks_of(info: Any) -> Iterator[Any]:
    """The marks of a field, including those on members of its union (`DataRef | None`)."""
    yield from info.metadata
    yield from _marks_of_type(info.annotation)


def _marks_of_type(annotation: Any) -> Iterator[Any]:
    yield from getattr(annotation, "__metadata__", ())
    for part in getattr(annotation, "__args__", ()):
        yield from _marks_of_type(part)
