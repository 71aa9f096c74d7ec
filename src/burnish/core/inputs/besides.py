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


def lacking(step: Step) -> Iterator[str]:
    """Warnings of what the step will need and what is not there: packages of its stage, the token of an upload."""
    if packages := _lacking(step.stage.extra):
        yield f"{step.name}: not installed: {', '.join(packages)}; pip install 'burnish[{step.stage.extra}]'"
    elif step.spec.__dict__.get("push_to") is not None and not hub.has_token():
        yield f"{step.name}: push_to needs a token, and there is none: set HF_TOKEN, or `hf auth login`"


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
