"""Validate plain values as a spec: every problem is reported with its place, its field and a fix."""

import math
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast, get_args

from pydantic import ValidationError

from burnish.core.errors import AskError
from burnish.core.naming import nearest
from burnish.core.recipes.aliases import ALIASES, DIFFERS, NOT_NEEDED, ON_REWARDS, VALUES
from burnish.core.recipes.yaml import MAX_DEPTH, Where, at
from burnish.core.secrets import mask
from burnish.specs.base import Spec, takes_list_of_plain, types_within

S = TypeVar("S", bound=Spec)


def make_spec(spec_type: type[S], values: Mapping[str, Any], where: Callable[[Where], str]) -> S:
    """Validate `values`; `where` maps a path to its place (`recipe.yaml:7`) for messages."""
    _refuse_bool_as_number(spec_type, values, where, ())
    try:
        return spec_type.model_validate(dict(values))
    except ValidationError as error:
        raise _as_ask_error(spec_type, error, where) from None  # pydantic's message repeats the values


def _refuse_bool_as_number(spec_type: type[Spec], value: Any, where: Callable[[Where], str], path: Where) -> None:
    """In Python and pydantic True equals 1: `max_steps: true` would be one step."""
    if isinstance(value, Mapping):
        for key, member in cast(Mapping[str, Any], value).items():
            _refuse_bool_as_number(spec_type, member, where, (*path, key))
    elif isinstance(value, list | tuple):
        for index, member in enumerate(cast(Sequence[Any], value)):
            _refuse_bool_as_number(spec_type, member, where, (*path, index))
    elif isinstance(value, bool):
        fields = [candidate.__pydantic_fields__.get(str(path[-1])) for candidate in _walk(spec_type, path[:-1])]
        types = {kind for info in fields if info is not None for kind in types_within(info.annotation)}
        if types & {int, float} and bool not in types:
            raise AskError(
                "ask.wrong-value",
                at(where(path), f"'{'.'.join(map(str, path))}': {str(value).lower()} is not a number"),
                _help(spec_type, path) or "write a number",
            )


def check_plain(value: Any, where: Callable[[Where], str], path: Where = ()) -> None:
    """Check that values are plain: strings, finite numbers, true, false, null, lists, mappings with string keys, specs.

    Errors: AskError `ask.wrong-value`.
    """
    if value is None or isinstance(value, bool | int | Spec) or (isinstance(value, float) and math.isfinite(value)):
        return
    if isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value):
        return
    place, field = where(path), ".".join(map(str, path))
    if len(path) > MAX_DEPTH:
        what = at(place, f"'{field[:80]}…': nested deeper than {MAX_DEPTH} levels")
        raise AskError("ask.wrong-value", what, "flatten it")
    if isinstance(value, list | tuple):
        for index, member in enumerate(cast(Sequence[Any], value)):
            check_plain(member, where, (*path, index))
    elif isinstance(value, dict):
        for key, member in cast(dict[Any, Any], value).items():
            if not isinstance(key, str):
                raise AskError("ask.wrong-value", at(place, f"a key is {_short(key)}"), "use strings as keys")
            check_plain(key, where, path)
            check_plain(member, where, (*path, key))
    else:
        subject = f"'{field}': " if field else ""
        raise AskError(
            "ask.wrong-value",
            at(place, f"{subject}{_short(value)} is not a plain value"),
            "write a string, a finite number, true, false, null, a list or a mapping",
        )


_FEW = 3
"""Faults whose fixes stand in one line."""
_MAPPINGS = ("model_type", "model_attributes_type", "dict_type")
"""pydantic's errors for a value that must be a mapping."""
_CODES = {"extra_forbidden": "ask.unknown-key", "missing": "ask.missing-key"}


def _as_ask_error(spec_type: type[Spec], error: ValidationError, where: Callable[[Where], str]) -> AskError:
    """Combine all problems into one error; the first sets the code."""
    found = error.errors(include_url=False, include_context=True)
    paths = [_without_tags(spec_type, fault["loc"], ends_with_key=fault["type"] in _CODES) for fault in found]
    relevant = [i for i in range(len(found)) if not _is_redundant(i, found, paths)]
    return error_of(list(dict.fromkeys(_describe(spec_type, found[i], paths[i], where) for i in relevant)))


@dataclass(frozen=True)
class Fault:
    """A problem of one field; `field` is its dotted path."""

    field: str
    code: str
    what: str
    fix: str


def error_of(faults: Sequence[Fault]) -> AskError:
    """One error of all faults; the first gives the code. Many fixes are listed by field."""
    what, fix = faults[0].what, faults[0].fix
    if len(faults) > 1:
        what = "\n".join(f"- {fault.what}" for fault in faults)
        fix = "; ".join(dict.fromkeys(fault.fix for fault in faults))
    if len(faults) > _FEW:
        fix = "\n".join(["one for each:", *(f"- {fault.field}: {_brief(fault.fix)}" for fault in faults)])
    error = AskError(faults[0].code, what, fix)
    error.fields = tuple((fault.field, mask(fault.what)) for fault in faults)
    return error


def stray_settings(spec_type: type[Spec], keys: Sequence[str]) -> dict[str, str] | None:
    """A hint for each key that stands outside a step; None if no key is a setting of the spec or of another tool."""
    own = spec_type.__pydantic_fields__
    if not any(key in own or key in ALIASES or key in NOT_NEEDED for key in keys):
        return None
    known = {*own, "stage"}
    return {key: "it belongs in a step" if key in known else suggestion(spec_type, (key,)) for key in keys}


def _brief(fix: str) -> str:
    """A hint for one of many faults: without the list of all known names."""
    return "unknown here; remove it" if fix.startswith("known names: ") else fix


def _is_redundant(index: int, found: Sequence[Any], paths: list[Where]) -> bool:
    """A union reports an error for each of its types; only the most specific one is useful."""
    path = paths[index]
    for other, its_path in enumerate(paths):
        if len(its_path) > len(path) and its_path[: len(path)] == path:
            return True
        same_field = other != index and its_path == path
        if same_field and found[index]["type"].endswith("_type") and not found[other]["type"].endswith("_type"):
            return True
    return False


def _describe(spec_type: type[Spec], fault: Any, path: Where, where: Callable[[Where], str]) -> Fault:
    field, place = _cut(".".join(map(str, path))), where(path)
    code = _CODES.get(fault["type"], "ask.wrong-value")
    if code == "ask.unknown-key":
        return Fault(field, code, at(place, f"unknown key '{field}'"), suggestion(spec_type, path))
    if code == "ask.missing-key":
        return Fault(field, code, at(place, f"'{field}' is missing"), f"add {path[-1]}: …")
    message = _message(fault)
    given = "" if fault["type"] == "value_error" and not field else f" (given: {_short(fault['input'])})"
    subject = f"'{field}': " if field else ""
    fix = _other_value(path, fault["input"]) or _help(spec_type, path, fault["loc"]) or "fix the value"
    kinds = dict.fromkeys(kind for spec in _walk(spec_type, path) for kind in _kinds(spec))
    if fault["type"] in _MAPPINGS and kinds and isinstance(path[-1], str):
        examples = " or ".join(f"{path[-1]}: {{kind: {kind}}}" for kind in kinds)
        fix = f"write {examples}"
    return Fault(field, code, at(place, f"{subject}{message}{given}"), fix)


def _message(fault: Any) -> str:
    """pydantic's message, or ours where pydantic's refers to Python."""
    match fault["type"]:
        case kind if kind in _MAPPINGS:
            return "must be a mapping, such as {kind: …}"
        case "union_tag_invalid":
            return f"unknown kind '{_cut(str(fault['ctx']['tag']))}': write one of {fault['ctx']['expected_tags']}"
        case kind if fault["input"] is None and kind.endswith("_type"):
            return "has no value (in a mapping, a space follows the colon)"
        case _:
            said, given = fault["msg"].removeprefix("Value error, "), fault["input"]
            return said.replace(given, _cut(given)) if isinstance(given, str) and given else said


def _other_value(path: Where, given: Any) -> str:
    """What to write for a value of another tool, or for a list of them."""
    values = cast(list[Any], given if isinstance(given, list) else [given])
    hints = (VALUES.get((str(path[-1]), value)) for value in values if path and isinstance(value, str))
    return next((hint for hint in hints if hint), "")


def suggestion(spec_type: type[Spec], path: Where) -> str:
    """A hint for an unknown key: another tool's name for a setting, a nested setting, or a similar name."""
    name = str(path[-1])
    everywhere = [f"{prefix}{key}" for prefix, spec in all_specs(spec_type) for key in spec.__pydantic_fields__]
    alias = ALIASES.get(name)
    for ours, differs in ((alias, DIFFERS.get(name)), ON_REWARDS.get(name, (None, None))):
        if ours in everywhere:
            return f"burnish calls it {ours}{f', {differs}' if differs else ''}"
    if name in NOT_NEEDED:
        return NOT_NEEDED[name]
    if len(path) == 1:
        nested = sorted(
            (key for key in everywhere if key.endswith(f".{name}")), key=lambda key: key.startswith("rewards.")
        )
        if nested:
            return f"it is {' or '.join(dict.fromkeys(nested))}"
    kinds = [kind for spec in _walk(spec_type, path[:-1]) if name in spec.__pydantic_fields__ for kind in _kinds(spec)]
    if kinds:
        return f"only kind {' or '.join(kinds)} has it"
    if alias is not None:
        return f"burnish calls it {alias}, a setting of another stage"
    return nearest(name, _known_names(spec_type, path[:-1]), most=100)


def all_specs(spec_type: type[Spec], prefix: str = "") -> Iterator[tuple[str, type[Spec]]]:
    """A spec type and those nested in it, with the dotted prefix of their fields."""
    yield prefix, spec_type
    for name, info in spec_type.__pydantic_fields__.items():
        for inner in _specs_in(info.annotation):
            yield from all_specs(inner, f"{prefix}{name}.")


def _short(value: Any) -> str:
    return _cut(repr(value), 60)


def _cut(text: str, most: int = 100) -> str:
    """The beginning of what a user wrote. A secret is masked first: a part of it would not be known as one."""
    return text if len(text) <= most else f"{mask(text)[: most - 3]}…"


def _walk(spec_type: type[Spec], path: Where) -> Iterator[type[Spec]]:
    """The spec types possible at a path; several for a union."""
    candidates = [spec_type]
    for part in path:
        step: list[type[Spec]] = []
        for candidate in candidates:
            info = candidate.__pydantic_fields__.get(str(part))
            step.extend(_specs_in(info.annotation) if info else ())
        candidates = step or candidates
    yield from candidates


def _specs_in(annotation: Any) -> Iterator[type[Spec]]:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias) and issubclass(annotation, Spec):
        yield annotation
    for part in get_args(annotation):
        yield from _specs_in(part)


def _known_names(spec_type: type[Spec], path: Where) -> set[str]:
    return {name for candidate in _walk(spec_type, path) for name in candidate.__pydantic_fields__}


def _kinds(spec_type: type[Spec]) -> tuple[str, ...]:
    """The variant tags of a spec type."""
    info = spec_type.__pydantic_fields__.get("kind")
    return get_args(info.annotation) if info is not None else ()


def _without_tags(spec_type: type[Spec], location: Where, *, ends_with_key: bool) -> Where:
    """Remove the variant tags and type names that pydantic adds to a location; the last part may be any key."""
    path: list[str | int] = []
    candidates = [spec_type]
    follows_field = False
    for index, part in enumerate(location):
        variants = [candidate for candidate in candidates if part in _kinds(candidate)]
        if follows_field and variants and len(candidates) > 1:  # the tag, also where a field has the same name
            candidates, follows_field = variants, False
            continue
        follows_field = True
        known = {name for candidate in candidates for name in candidate.__pydantic_fields__}
        is_last = index == len(location) - 1
        if isinstance(part, int) or part in known or (is_last and (ends_with_key or not _is_tag(candidates, part))):
            path.append(part)
            candidates = [
                s for c in candidates if (i := c.__pydantic_fields__.get(str(part))) for s in _specs_in(i.annotation)
            ] or candidates
    return tuple(path)


def _is_tag(candidates: list[type[Spec]], part: str) -> bool:
    if part in {"str", "int", "float", "bool"} or "[" in part:
        return True
    return any(part == candidate.__name__ or part in _kinds(candidate) for candidate in candidates)


def _help(spec_type: type[Spec], path: Where, location: Where = ()) -> str:
    """The field's help, as the hint; of the variant whose tag is part of pydantic's `location`."""
    while path and isinstance(path[-1], int):  # an item of a list
        path = path[:-1]
    for candidate in sorted(_walk(spec_type, path[:-1]), key=lambda each: not set(_kinds(each)) & set(location)):
        info = candidate.__pydantic_fields__.get(str(path[-1])) if path else None
        if info is not None and info.description:
            several = " Several are written as [A, B]." if takes_list_of_plain(info.annotation) else ""
            return f"{path[-1]}: {info.description}{several}"
    return ""
