"""A recipe: named steps, read from one or more YAML files, overridden by `--set`, and validated as a whole."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from burnish.core.catalog import Stage, stage
from burnish.core.errors import AskError, BurnishError
from burnish.core.naming import nearest
from burnish.core.recipes.validation import Fault, check_plain, error_of, make_spec, stray_settings
from burnish.core.recipes.yaml import Document, Where, at, parse_yaml, place_of, read_yaml
from burnish.core.registry.names import KINDS, check_name
from burnish.core.runs.names import plain_name
from burnish.specs.base import Spec, Takes, fields_with

Values = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """One step: its name, its stage, its spec, and its place in the file (`recipe.yaml:7`) for messages."""

    name: str
    stage: Stage
    spec: Spec
    place: Callable[[Where], str] = field(default=lambda _: "", compare=False, repr=False)
    register: str | None = None
    """The name in the registry under which its artifact is registered."""

    def references(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """Dotted field path → (reference, artifact kinds that the field accepts)."""
        return {
            path: (value, mark.kinds)
            for path, mark, value in fields_with(self.spec, Takes)
            if isinstance(value, str) and (":" in value or "@" in value)
        }


@dataclass(frozen=True)
class Recipe:
    """Steps in dependency order: each comes after the steps it uses."""

    name: str
    steps: tuple[Step, ...]

    def as_dict(self) -> Values:
        """The plain values that reproduce this recipe, `--set` included."""
        return {
            "name": self.name,
            "steps": {
                step.name: {
                    "stage": step.stage.name,
                    **({} if step.register is None else {"register": step.register}),
                    **step.spec.model_dump(mode="json", exclude_unset=True),
                }
                for step in self.steps
            },
        }

    def step(self, name: str) -> Step:
        for step in self.steps:
            if step.name == name:
                return step
        raise AskError(
            "ask.bad-reference", f"the recipe has no step '{name}'", nearest(name, [s.name for s in self.steps])
        )


def load_recipe(paths: Iterable[Path], settings: Iterable[str] = ()) -> Recipe:
    """Read files from left to right, where later ones override earlier ones, then apply `--set step.field=value`."""
    documents = [read_yaml(path) for path in paths]
    values: Values = {}
    for document in documents:
        given: Any = document.value
        if not isinstance(given, Mapping):
            raise AskError(
                "ask.recipe-unreadable",
                f"{document.name}: a recipe must be a mapping with `name` and `steps`",
                "see docs/guides/first-run.md for an example",
            )
        values = merged(values, cast(Values, given))
    return recipe_of(*with_settings(values, settings, documents))


def with_settings(
    values: Values, settings: Iterable[str], documents: Iterable[Document] = ()
) -> tuple[Values, list[Document]]:
    """Override the values of a recipe by `step.field=value`; also returns the documents that locate both."""
    known, steps = list(documents), values.get("steps")
    for setting in settings:
        path, value = parse_setting(setting)
        if isinstance(steps, dict) and path[0] not in steps and path[0] != "name":
            raise AskError(
                "ask.unknown-key",
                f"--set {setting}: the recipe has no step '{path[0]}'",
                nearest(path[0], map(str, cast(Values, steps))),
            )
        full = path if path[0] == "name" else ("steps", *path)
        values = merged(values, nested(full, value))
        known.append(Document(None, f"--set {'.'.join(path)}", {full: 0}))
    return values, known


def recipe_of(values: Mapping[str, Any], documents: Iterable[Document] = ()) -> Recipe:
    """Validate plain values as a recipe; `documents` locate them for messages."""
    known = list(documents)

    def place(path: Where) -> str:
        return place_of(path, known)

    check_plain(dict(values), place)
    _refuse_unknown_keys(values, place)
    for key in ("name", "steps"):
        if not values.get(key):
            raise AskError("ask.missing-key", at(place(()), f"'{key}' is missing"), f"add {key}: …")
    steps = values["steps"]
    if not isinstance(values["name"], str) or not isinstance(steps, dict):
        raise AskError(
            "ask.wrong-value", at(place(()), "`name` must be a string and `steps` a mapping"), "fix the recipe"
        )
    plain_name(values["name"])
    made: dict[str, Step] = {}
    for name, given in cast(Values, steps).items():

        def in_step(path: Where, name: str = name) -> str:
            return place(("steps", name, *path))

        made[name] = make_step(name, given, in_step)
    return Recipe(values["name"], tuple(_in_order(made, place)))


def _refuse_unknown_keys(values: Mapping[str, Any], place: Callable[[Where], str]) -> None:
    """Refuse all keys beside `name` and `steps`; without steps they may be the settings of a training."""
    unknown = [key for key in values if key not in ("name", "steps")]
    if not unknown:
        return
    hints = stray_settings(stage("sft").spec_type(), unknown) if "steps" not in values else None
    faults = [
        Fault(key, "ask.unknown-key", at(place((key,)), f"unknown key '{key}'"), nearest(key, ["name", "steps"]))
        for key in unknown
    ]
    error = error_of([replace(fault, fix=hints[fault.field]) for fault in faults] if hints else faults)
    if hints:
        start = "a recipe has `name` and `steps`; a file with the settings of one step is run with `burnish sft FILE`"
        error = AskError(error.code, error.what, f"{start}; {error.fix}")
    raise error


def make_step(name: str, given: Any, where: Callable[[Where], str]) -> Step:
    """Validate one step: `{stage: …, settings…}`."""
    try:
        plain_name(name)
    except AskError as error:
        raise AskError(error.code, at(where(()), error.what), error.fix) from None
    if "." in name:  # `recipe.step@3` and `--set step.field` are split at dots
        raise AskError("ask.wrong-value", at(where(()), f"the step name '{name}' contains a dot"), "use - or _ instead")
    if not isinstance(given, dict):
        raise AskError(
            "ask.wrong-value", at(where(()), f"step '{name}' is not a mapping"), f"write {name}: {{stage: …}}"
        )
    settings: Values = dict(cast(Values, given))
    if "stage" not in settings:
        raise AskError("ask.missing-key", at(where(()), f"step '{name}' has no stage"), "add stage: …")
    try:
        row = stage(str(settings.pop("stage")))
        spec_type = row.spec_type()
    except BurnishError as error:
        raise type(error)(error.code, at(where(("stage",)), error.what), error.fix) from None
    has_key = "register" in settings and "register" not in spec_type.__pydantic_fields__
    entry = settings.pop("register") if has_key else None
    try:
        spec = make_spec(spec_type, settings, where)
    except AskError as error:
        error.fields = tuple((f"{name}.{field}", what) for field, what in error.fields)
        raise
    if entry is not None:
        _check_registration(entry, row.kind_for(spec), where(("register",)))
    return Step(name, row, spec, where, entry)


def _check_registration(entry: Any, kind: str, place: str) -> None:
    """Refuse a name that the registry would refuse, and a step whose artifact it does not hold."""
    try:
        check_name(entry if isinstance(entry, str) else str(entry))
    except AskError as error:
        raise AskError(error.code, at(place, f"'register': {error.what}"), error.fix) from None
    if not isinstance(entry, str):
        raise AskError("ask.wrong-value", at(place, f"'register': {entry} is not a string"), f"write '{entry}'")
    if kind not in KINDS:
        what = f"'register': the registry holds adapters and models, and this step produces a {kind}"
        raise AskError("ask.wrong-kind", at(place, what), "remove register")


def parse_setting(text: str) -> tuple[tuple[str, ...], Any]:
    """`a.b=value` → (("a", "b"), value), with the value parsed as YAML."""
    key, sign, value = text.partition("=")
    path = tuple(part.strip() for part in key.split("."))
    if not sign or not all(path):
        raise AskError("ask.wrong-value", f"--set {text}: expected key=value", "write --set learning_rate=1e-4")
    if not value.strip():
        raise AskError(
            "ask.wrong-value",
            f"--set {text}: there is no value after the =",
            f"add one, or write --set {key.strip()}=null to unset it",
        )
    return path, parse_yaml(value.encode(errors="replace"), f"--set {key.strip()}").value


def nested(path: tuple[str, ...], value: Any) -> Values:
    for key in reversed(path):
        value = {key: value}
    return value


def merged(below: Values, above: Values) -> Values:
    """Merge `above` over `below`: mappings are merged, other values replaced. A new `kind` replaces the mapping."""
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            old, value = cast(Values, old), cast(Values, value)
            another = "kind" in value and value["kind"] != old.get("kind")
            result[key] = value if another else merged(old, value)
        else:
            result[key] = value
    return result


def _in_order(steps: dict[str, Step], place: Callable[[Where], str]) -> list[Step]:
    """Sort steps by their dependencies; a missing step or a cycle is an error."""
    done: list[Step] = []
    open_steps: list[str] = []

    def visit(name: str) -> None:
        if any(step.name == name for step in done):
            return
        if name in open_steps:
            cycle = " → ".join([*open_steps[open_steps.index(name) :], name])
            raise AskError(
                "ask.cycle", at(place(("steps", name)), f"steps depend on each other: {cycle}"), "break the cycle"
            )
        open_steps.append(name)
        for path, (ref, _) in steps[name].references().items():
            scheme, _, other = ref.partition(":")
            if scheme != "step":
                continue
            if other not in steps:
                raise AskError(
                    "ask.bad-reference",
                    at(
                        place(("steps", name, *(int(part) if part.isdigit() else part for part in path.split(".")))),
                        f"'{name}.{path}' refers to a step '{other}' that is not in the recipe",
                    ),
                    nearest(other, steps),
                )
            visit(other)
        open_steps.pop()
        done.append(steps[name])

    for name in steps:
        visit(name)
    return done
