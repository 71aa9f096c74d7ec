"""The stages that follow a training in containers: `--then merge,quantize,serve`."""

from collections.abc import Iterable
from dataclasses import dataclass

from burnish.core.catalog import stage
from burnish.core.errors import AskError
from burnish.core.recipes.recipe import Recipe, Step
from burnish.core.recipes.validation import make_spec
from burnish.core.registry.names import KINDS, with_article
from burnish.specs.base import Spec, Takes, marks_of
from burnish.studio.containers.served import KINDS as SERVED

_NEEDS = {"merge": ("adapter",)}
"""Kinds that a stage needs, where its field takes others too."""
QUANTIZER = "/opt/quantize/bin/python"
"""The Python of llm-compressor in the image `quantize`."""
_OWN_IMAGE = {"quantize": "quantize"}
_OPTIONS = {"quantize": ("--environment", QUANTIZER)}
"""What a stage needs in its image, besides its input."""


@dataclass(frozen=True)
class Link:
    """One stage of a chain. `words` is its command in the container; `service` the service that runs it."""

    stage: str
    service: str
    words: tuple[str, ...]
    ref: str
    """The artifact that it takes."""


def training_step(recipe: Recipe, name: str | None) -> Step:
    """The step whose result the chain starts from: the named one, or the only training. AskError if it is not clear."""
    if name is not None:
        return recipe.step(name)
    trainings = (step for step in recipe.steps if step.stage.run.startswith("burnish.stages.train."))
    found = [step for step in trainings if step.stage.kind_for(step.spec) in KINDS]
    if len(found) != 1:
        names = ", ".join(step.name for step in found) or "none"
        what = f"the recipe {recipe.name} has {len(found)} training steps ({names}), and --then follows one"
        raise AskError("ask.missing-key", what, "name it: --step NAME")
    return found[0]


def chain(recipe: Recipe, then: Iterable[str], step: str | None = None) -> list[Link]:
    """The stages after a training, each with what the one before it gives. Nothing runs if one of them does not fit.

    Errors: AskError `ask.unknown-stage`, `ask.wrong-kind`, and those of a stage that needs more settings.
    """
    names = [name.strip() for name in then if name.strip()]
    if not names:
        return []
    start = training_step(recipe, step)
    kind, ref, before = start.stage.kind_for(start.spec), f"{recipe.name}.{start.name}@latest", start.name
    links: list[Link] = []
    for position, name in enumerate(names):
        if name == "serve":
            if position + 1 < len(names):
                raise AskError("ask.wrong-value", "serve runs until it is stopped", "put it last: --then …,serve")
            if kind not in SERVED:
                raise _does_not_fit(name, before, kind)
            links.append(Link(name, "serve", (), ref))
            break
        row = stage(name)
        if name in {link.stage for link in links}:
            raise AskError("ask.wrong-value", f"{name} is twice in --then", "name each stage once")
        field = _field(row.spec_type(), kind)
        if field is None or kind not in _NEEDS.get(name, (kind,)):
            raise _does_not_fit(name, before, kind)
        options = _OPTIONS.get(name, ())
        spec = make_spec(row.spec_type(), {field: ref, **_values(options)}, lambda _, name=name: f"--then {name}")
        words = (name, f"--{field.replace('_', '-')}", ref, *options)
        links.append(Link(name, _OWN_IMAGE.get(name, "train"), words, ref))
        kind, ref, before = row.kind_for(spec), f"{name}.{name}@latest", name
    return links


def _values(options: tuple[str, ...]) -> dict[str, str]:
    return {key[2:].replace("-", "_"): value for key, value in zip(options[::2], options[1::2], strict=True)}


def _field(spec_type: type[Spec], kind: str) -> str | None:
    """The field that takes an artifact of that kind: the first required one."""
    for name, info in spec_type.__pydantic_fields__.items():
        mark = next((mark for mark in marks_of(info) if isinstance(mark, Takes)), None)
        if mark is not None and info.is_required() and kind in mark.kinds:
            return name
    return None


def _does_not_fit(name: str, before: str, kind: str) -> AskError:
    what = f"'{name}' does not take {with_article(kind)}, which '{before}' gives"
    return AskError("ask.wrong-kind", what, f"leave out '{name}', or put a stage between them that gives what it takes")
