"""Files of settings that a step names, such as a gate or checks: read when it is planned, before anything runs."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from burnish.core.context import Input
from burnish.core.errors import AskError, BurnishError
from burnish.core.naming import nearest
from burnish.core.recipes.gates import Rule, refuse_unknown, scores_of
from burnish.core.recipes.listed import read_listed
from burnish.core.recipes.recipe import Step
from burnish.core.recipes.task_folder import read_folder
from burnish.core.recipes.yaml import at
from burnish.specs.base import Listed, fields_with


def check_named_files(step: Step, inputs: Mapping[str, Input]) -> None:
    """Read every file of settings that is on disk. Errors: those of the file, with the field of the step."""
    for path, mark, value in fields_with(step.spec, Listed):
        given = inputs.get(path) if isinstance(value, str) else None
        with _naming(step, path):
            listed: Sequence[Any] = []
            places: Sequence[str] = []
            if given is not None and given.path.is_file():
                found, places = read_listed(given.path, mark)
                listed = found.__dict__[mark.key]
            elif isinstance(value, list):
                listed = cast(list[Any], value)
                places = [f"rule {number}" for number in range(1, len(listed) + 1)]
            if step.stage.name == "compare":
                _check_names(step, listed, places, inputs)
    if step.stage.name == "evaluate":
        _check_tasks(step, inputs)


def _check_tasks(step: Step, inputs: Mapping[str, Input]) -> None:
    """The YAML files of tasks that are on disk."""
    spec: Any = step.spec
    tasks: Any = spec.tasks
    if tasks is None:
        return
    for number, task in enumerate(tasks.names):
        path = f"tasks.names.{number}.folder"
        if path in inputs and inputs[path].path.is_dir():
            with _naming(step, path):
                read_folder(inputs[path].path, task.files, trusts_code=tasks.trust_code)


@contextmanager
def _naming(step: Step, path: str) -> Generator[None]:
    """Name the field of the step in an error."""
    try:
        yield
    except BurnishError as error:
        place = step.place(tuple(int(part) if part.isdigit() else part for part in path.split(".")))
        raise type(error)(error.code, at(place, f"'{step.name}.{path}': {error.what}"), error.fix) from error


def _check_names(step: Step, listed: Sequence[Any], places: Sequence[str], inputs: Mapping[str, Input]) -> None:
    """The names in the rules and margins of a comparison."""
    spec: Any = step.spec
    scores = scores_of(spec, inputs)
    rules = [Rule(rule, place) for rule, place in zip(listed, places, strict=True)]
    refuse_unknown(rules, scores, list(spec.candidates), list(spec.regressions))
    for name in spec.margins:
        if scores is not None and name not in scores:
            raise AskError("ask.bad-reference", f"margins: there is no score '{name}'", nearest(name, scores))
