"""What a plan does besides running its steps: downloads, uploads, environments; and the packages that it lacks."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, requires

from burnish.core.context import Input
from burnish.core.inputs import hub
from burnish.core.recipes.recipe import Step

_LINE = re.compile(r"(?P<name>[\w.-]+)(?:\[(?P<extras>[\w, -]+)\])?.*\bextra == ['\"](?P<extra>[\w-]+)['\"]")


def besides(step: Step, inputs: Mapping[str, Input], *, is_reused: bool) -> Iterator[str]:
    """What the step does that is not its artifact, one text each."""
    for value in () if is_reused else inputs.values():
        if value.kind.startswith("hub-"):
            name, kind = value.ref.removeprefix("hub:"), value.kind.removeprefix("hub-")
            if hub.cached(name, value.revision, kind) is None:
                yield f"{step.name}: downloads {value.ref} to {hub.cache_folder()}"
    if text := step.spec.besides(is_reused=is_reused):
        yield f"{step.name}: {text}"


def packages_lacking(step: Step) -> str:
    """A warning with the packages that the step's stage needs and that are not installed; "" if there are none."""
    extra = step.stage.extra
    lacking = _lacking(extra)
    if not lacking:
        return ""
    return f"{step.name}: not installed: {', '.join(lacking)}; pip install 'burnish[{extra}]'"


@cache
def _lacking(extra: str) -> tuple[str, ...]:
    """The packages of an extra of burnish, and of the extras in it, that are not installed."""
    try:
        lines = requires("burnish") or []
    except PackageNotFoundError:  # run from its source
        return ()
    found: dict[str, None] = {}
    for line in (match for text in lines if (match := _LINE.match(text)) and match["extra"] == extra):
        if line["name"] == "burnish":
            for inner in (line["extras"] or "").split(","):
                found |= dict.fromkeys(_lacking(inner.strip()))
        elif not _is_installed(line["name"]):
            found[line["name"]] = None
    return tuple(found)


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
