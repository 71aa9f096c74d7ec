"""The forms of a plan: YAML for a file, a command for a terminal, and Python."""

import pprint
import shlex
from collections.abc import Sequence
from typing import Any

import yaml

from burnish.core.recipes.flow import flow
from burnish.core.recipes.recipe import Recipe
from burnish.studio.recipes.given import Given


def forms_of(
    given: Given, recipe: Recipe, *, start: str | None = None, force: Sequence[str] = (), only: Sequence[str] = ()
) -> dict[str, str]:
    """`yaml`, `command` and `python` that run what was given. One that is not on the shelf is saved as `NAME.yaml`."""
    options = {"start": start, "force": list(force), "only": list(only)}
    return {
        "yaml": yaml.safe_dump(recipe.as_dict(), sort_keys=False, allow_unicode=True, width=110),
        "command": _command(given, recipe, options),
        "python": _python(given, recipe, options),
    }


def _command(given: Given, recipe: Recipe, options: dict[str, Any]) -> str:
    if given.stage is not None:
        settings = _settings_of(recipe)
        words = ["burnish", given.stage]
        for key, value in settings.items():
            if isinstance(value, dict):
                words += ["--set", f"{key}={flow(value)}"]
            else:
                words += [f"--{key.replace('_', '-')}", flow(value)]
        return shlex.join([*words, *(["--force"] if options["force"] else [])])
    words = ["burnish", "run", given.name or f"{recipe.name}.yaml"]
    if given.name is not None:
        words += [word for setting in given.settings for word in ("--set", setting)]
    words += ["--from", options["start"]] if options["start"] else []
    words += [word for name in ("force", "only") for value in options[name] for word in (f"--{name}", value)]
    return shlex.join(words)


def _python(given: Given, recipe: Recipe, options: dict[str, Any]) -> str:
    if given.stage is not None:
        arguments = [repr(given.stage), *(f"{key}={_shown(value)}" for key, value in _settings_of(recipe).items())]
        arguments += ["force=True"] if options["force"] else []
        return _call("burnish.run_stage", arguments)
    arguments = [repr(given.name) if given.name is not None else _shown(recipe.as_dict())]
    if given.name is not None and given.settings:
        arguments.append(f"settings={_shown(list(given.settings))}")
    arguments += [f"{name}={_shown(value)}" for name, value in options.items() if value]
    return _call("burnish.run", arguments)


def _call(name: str, arguments: Sequence[str]) -> str:
    one = f"{name}({', '.join(arguments)})"
    if len(one) <= 100 and "\n" not in one:
        return f"import burnish\n\nresult = {one}\n"
    lines = "".join(f"    {argument.replace(chr(10), chr(10) + '    ')},\n" for argument in arguments)
    return f"import burnish\n\nresult = {name}(\n{lines})\n"


def _settings_of(recipe: Recipe) -> dict[str, Any]:
    """The settings of the only step."""
    [settings] = recipe.as_dict()["steps"].values()
    return {key: value for key, value in settings.items() if key != "stage"}


def _shown(value: Any) -> str:
    return pprint.pformat(value, width=90, sort_dicts=False)
