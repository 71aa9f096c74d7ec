"""Pin the dates that chat templates print, so that a step's text and fingerprint do not change by the day.

Some templates print the date (`strftime_now`, as in Llama 3.2). Such a step gets its date when it is planned: the
given date, the one its model was trained with, the one of an earlier run of the same step, or today. Other steps keep
`auto`.
"""

import contextlib
import datetime
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, cast

from burnish.core.context import Input
from burnish.core.errors import BurnishError
from burnish.core.fingerprint import of_step
from burnish.core.inputs import hub
from burnish.core.inputs.checks import artifact_at
from burnish.core.inputs.gguf import CHAT_TEMPLATE, gguf_file, read_keys
from burnish.core.recipes.recipe import Step
from burnish.core.runs.checkpoints import KeptCheckpoint
from burnish.core.runs.run import Run
from burnish.specs.base import Spec, Takes, TemplateDate, fields_with

CLOCK = "strftime_now"
_TEMPLATES = ("chat_template.jinja", "chat_template.json", "tokenizer_config.json", "additional_chat_templates/*.jinja")
_WITH_TOKENIZER = ("hub-model", "model", "adapter", "tokenizer", "gguf")


def today() -> str:
    """Today as YYYY-MM-DD; the date of SOURCE_DATE_EPOCH (UTC) if set, as in reproducible builds."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if epoch.isdecimal():
        return datetime.datetime.fromtimestamp(int(epoch), datetime.UTC).date().isoformat()
    return datetime.date.today().isoformat()


class Dates:
    """The dates of one plan; `earlier` maps fingerprints to runs."""

    def __init__(self, earlier: Mapping[str, Sequence[Run]]):
        self._earlier = earlier
        self._today = today()
        self._planned: dict[str, tuple[Spec, Mapping[str, Input]]] = {}

    def add_planned(self, fingerprint: str, spec: Spec, inputs: Mapping[str, Input]) -> None:
        """Register a planned step, whose artifact may not exist yet."""
        self._planned[fingerprint] = spec, inputs

    def pin(self, step: Step, inputs: Mapping[str, Input]) -> tuple[Step, list[str]]:
        """Replace `auto` by a date wherever the step's chat template prints one; also returns notes for the user."""
        notes: list[str] = []
        for path, _, value in list(fields_with(step.spec, TemplateDate)):
            models = _with_tokenizer(step.spec, inputs)
            if not models:
                continue
            template = _sibling(step.spec, path, "chat_template")
            prints = CLOCK in template if template is not None else any(map(self._prints, models))
            name = f"{step.name}.{path}"
            if value == "auto" and prints:
                date, reason = self._choose(step, path, models, inputs)
                step = replace(step, spec=_with_date(step.spec, path, date))
                notes.append(f"{name}: {date} ({reason}), for a chat template that prints the date")
            elif value == "auto" and (date := self._earlier_date(step, path, inputs)) is not None:
                # pinned before its model was downloaded, when the template was unknown
                step = replace(step, spec=_with_date(step.spec, path, date))
            elif value != "auto" and not prints:
                notes.append(f"{name} has no effect: the chat template does not print the date")
        return step, notes

    def _choose(self, step: Step, path: str, models: list[Input], inputs: Mapping[str, Input]) -> tuple[str, str]:
        for model in models:
            trained = self._trained(model)
            if trained is not None:
                return trained, f"as {model.ref} was trained"
        earlier = self._earlier_date(step, path, inputs)
        return (self._today, "today") if earlier is None else (earlier, "as in an earlier run")

    def _earlier_date(self, step: Step, path: str, inputs: Mapping[str, Input]) -> str | None:
        """The date of an earlier run of the same step."""
        fingerprints = {name: value.fingerprint for name, value in inputs.items()}
        tried: set[str] = set()
        for stage, settings in self._jobs:
            date = _value_at(settings, path) if stage == step.stage.name else None
            if not isinstance(date, str) or date == "auto" or date in tried:
                continue
            tried.add(date)
            made = of_step(step.stage.name, step.stage.version, _with_date(step.spec, path, date), fingerprints)
            if made in self._earlier:
                return date
        return None

    @cached_property
    def _jobs(self) -> list[tuple[str, Any]]:
        """Stage and settings of every earlier run with a readable record."""
        jobs: list[tuple[str, Any]] = []
        for run in (run for runs in self._earlier.values() for run in runs):
            with contextlib.suppress(BurnishError):
                job = run.job
                jobs.append((job["stage"], job["spec"]))
        return jobs

    def _prints(self, model: Input) -> bool:
        """Whether the chat template of a model or tokenizer prints the date; True if unknown."""
        if model.fingerprint in self._planned and not model.path.is_dir():
            spec, inputs = self._planned[model.fingerprint]
            given = [text for text in _texts(spec, "chat_template") if CLOCK in text]
            return bool(given) or any(map(self._prints, _with_tokenizer(spec, inputs)))
        folder = model.path
        if model.kind == "gguf":
            keys = read_keys(gguf_file(folder))
            return any(CLOCK in str(value) for name, value in keys.items() if name.startswith(CHAT_TEMPLATE))
        if model.kind == "hub-model":
            repo, _ = hub.split_name(model.ref.removeprefix("hub:"))
            folder = hub.cache_folder() / f"models--{repo.replace('/', '--')}" / "snapshots" / model.revision
        if (checkpoint := KeptCheckpoint.at(folder)) is not None:
            folder = checkpoint.tokenizer
        found = [file for pattern in _TEMPLATES for file in folder.glob(pattern)]
        if found:
            return any(CLOCK in file.read_text(encoding="utf-8", errors="replace") for file in found)
        bases = [value for value in model.inputs.values() if value.kind in _WITH_TOKENIZER]
        return any(map(self._prints, bases)) if bases else model.kind in ("hub-model", "adapter")

    def _trained(self, model: Input) -> str | None:
        """The date that a model or its base was trained with."""
        if model.fingerprint in self._planned:
            spec, inputs = self._planned[model.fingerprint]
            values = spec.model_dump(mode="json")
        else:
            artifact, checkpoint = artifact_at(model), KeptCheckpoint.at(model.path)
            values, inputs = dict(artifact.spec) if artifact is not None else {}, model.inputs
            values = checkpoint.run.job["spec"] if checkpoint is not None else values
        date = _value_at(values, "render.date")
        if isinstance(date, str) and date != "auto":
            return date
        bases = (value for value in inputs.values() if value.kind in _WITH_TOKENIZER)
        return next((found for base in bases if (found := self._trained(base)) is not None), None)


def _with_tokenizer(spec: Spec, inputs: Mapping[str, Input]) -> list[Input]:
    """The inputs that may contain a chat template."""
    paths = [path for path, mark, _ in fields_with(spec, Takes) if {"tokenizer", "model"} & set(mark.kinds)]
    return [inputs[path] for path in paths if path in inputs]


def _value_at(values: Any, path: str) -> Any:
    for part in path.split("."):
        values = cast(Mapping[str, Any], values).get(part) if isinstance(values, Mapping) else None
    return values


def _sibling(spec: Spec, path: str, name: str) -> str | None:
    """The value of the field `name` next to the field at `path`; None if there is none."""
    holder: Any = spec
    for part in path.split(".")[:-1]:
        holder = holder.__dict__[part]
    return holder.__dict__.get(name)


def _texts(spec: Spec, name: str) -> Iterator[str]:
    for path, _, _ in fields_with(spec, TemplateDate):
        text = _sibling(spec, path, name)
        if text is not None:
            yield text


def _with_date(spec: Spec, path: str, date: str) -> Spec:
    """Copy a spec with another value at a dotted path."""
    name, _, rest = path.partition(".")
    return spec.model_copy(update={name: _with_date(spec.__dict__[name], rest, date) if rest else date})
