"""The kept checkpoints of the training that made a model, measured as the model is, each kept by its content."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.core.context import Context, Input
from burnish.core.errors import BurnishError
from burnish.core.events import Note
from burnish.core.fingerprint import BASE_RECORD, of_model
from burnish.core.inputs.checkpoints import RESTORABLE, as_input, not_trained_here
from burnish.core.runs.checkpoints import KeptCheckpoint, kept_checkpoints
from burnish.core.runs.run import Run, run_of_output
from burnish.evals.evaluation.points import Kind, Point, Points
from burnish.evals.measure import Item
from burnish.evals.report import Sample
from burnish.evals.scoring.scorers import Row
from burnish.models.adapters.attach import fill_adapter
from burnish.models.bases import is_adapter
from burnish.models.engines.opening import open_model
from burnish.models.weights import ADAPTER_CONFIG
from burnish.stages.evals.candidates import LocalModel
from burnish.stages.evals.kept import KeptItems, content_of, key_of
from burnish.stages.evals.measuring import Measuring, measured
from burnish.stages.train.restoring import Restored

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Measured = list[tuple[int, Input, list[Item] | None]]
"""(step, model, items) of every checkpoint; no items where the model is that of the evaluation itself."""
_RESTART = "finished checkpoints are kept"


@dataclass
class Loaded:
    """One model in memory. An adapter with the same config and base gets the weights of another: exact, and fast."""

    measuring: Measuring
    ctx: Context
    _source: Input | None = None
    _model: Any = field(default=None, repr=False)

    def of(self, source: Input, measuring: Measuring | None = None) -> Any:
        """The model of a source; valid until the next call."""
        if self._source is not None and _is_like(self._source, source):
            if self._source.path != source.path:
                fill_adapter(self._model, source.path)
        else:
            self._model = None  # frees the memory first
            place = {"dtype": self.measuring.dtype, "device": self.measuring.device}
            self._model = open_model(source, **place, emit=self.ctx.emit)
        self._source = source
        return self._model


@dataclass(frozen=True)
class Training:
    """The run that made a model, with its kept checkpoints that are whole."""

    run: Run
    model: Input
    step: int
    """Of the model."""
    kind: Kind
    """Whether the model is the artifact, or a checkpoint of an unfinished run."""
    checkpoints: Mapping[int, Input]
    damaged: Mapping[int, str]
    restored: Restored

    @classmethod
    def of(cls, model: Input, ctx: Context) -> "Training":
        """Errors: AskError `ask.bad-reference` for a model that no training in a workspace made."""
        known: dict[str, Any] = {}
        run = run_of_output(model.path)
        restored = Restored(ctx.cache, known, ctx.emit)
        origin = KeptCheckpoint.at(model.inputs["checkpoint"].path) if "checkpoint" in model.inputs else None
        artifact = None if run is None else run.artifact()
        if origin is not None:
            found = {name: ctx.input(name) for name in ctx.inputs if name.startswith("checkpoints.")}
            listed = {int(name.rpartition(".")[2]): value for name, value in found.items()}
            every = kept_checkpoints(origin.run)
            damaged = {one.step: why for one in every if one.step not in listed and (why := one.damage(known))}
            return cls(origin.run, model, origin.step, "checkpoint", listed, damaged, restored)
        if run is None or artifact is None or run.record["stage"] not in RESTORABLE:
            raise not_trained_here(model.ref)
        listed, damaged = dict[int, Input](), dict[int, str]()
        for one in kept_checkpoints(run):
            try:
                listed[one.step] = as_input(f"{run.reference}/step-{one.step}", one, known)
            except BurnishError as error:
                damaged[one.step] = error.what
        step = int(artifact.measures.get("steps", 0))
        return cls(run, model, step, "artifact", listed, damaged, restored)

    def report(self, ctx: Context) -> None:
        """Report what is damaged, and that few or none are kept."""
        for step, why in self.damaged.items():
            ctx.emit(Note(level="warning", text=f"the checkpoint of step {step} is not measured: {why}"))
        count = len(self.checkpoints)
        if count < 2:
            text = f"{self.run.name} keeps {'no checkpoint' if not count else 'one checkpoint'} that can be measured"
            if not self.damaged:
                text += ": train with checkpoint: {archive: true} to keep them all"
            ctx.emit(Note(level="warning", text=text))


@dataclass(frozen=True)
class Measure:
    """How each point is measured: rows, then the prompts of checks."""

    measuring: Measuring
    rows: Sequence[Row]
    tokenizer: "PreTrainedTokenizerBase"
    loaded: Loaded
    kept: KeptItems
    scorers: Sequence[Any]
    """The settings of scorers by likelihood."""

    def items(self, source: Input, name: str, ctx: Context) -> list[Item]:
        """The items of a model; what was kept is not measured again. Errors: RunError `run.interrupted`."""
        measuring = self.measuring
        plain = replace(measuring, choices=())
        local = LocalModel(name, source, self.tokenizer, plain, self.kept, self.loaded.of)
        items = local.items(self.rows, ctx)
        if measuring.choices:
            settings = {"date": measuring.date, "template": self.tokenizer.chat_template, "choices": self.scorers}
            settings |= {"dtype": str(measuring.dtype), "device": measuring.device.type}
            key = key_of("choices", source, self.rows, settings)
            chosen = self.kept.get(key, len(self.rows))
            if chosen is None:
                only = replace(measuring, generation=None, learned=None)
                model = self.loaded.of(source)
                chosen = measured(only, self.rows, ctx, model, self.tokenizer, f"{name}: ", _RESTART)
                self.kept.put(key, chosen, with_scores=True)
            for item, one in zip(items, chosen, strict=True):
                item.scores |= one.scores
        return items


def measure_points(training: Training, measure: Callable[[Input, str], list[Item]]) -> Measured:
    """All checkpoints, by step; `measure` gets a model and its name."""
    found: Measured = []
    ours = _weights(training.model)
    for step, value in sorted(training.checkpoints.items()):
        restored = training.restored.of(value)
        is_same = restored.path == training.model.path or _weights(restored) == ours
        found.append((step, restored, None if is_same else measure(restored, f"step {step}")))
    return found


def points_of(training: Training, found: Measured, sample: Sample, base: Input | Path | None) -> Points:
    """All points by step; `sample` has the items of the model, and of the base if that is a point."""
    same = [step for step, _, items in found if items is None]
    model = training.model
    step = same[-1] if same else training.step
    points = [
        Point(at, "checkpoint", value.ref, value.fingerprint, sample.model if items is None else items)
        for at, value, items in found
        if items is not None or at != step
    ]
    points.append(Point(step, training.kind, model.ref, model.fingerprint, sample.model))
    if base is not None and sample.base is not None:
        ref, fingerprint = (base.ref, base.fingerprint) if isinstance(base, Input) else (str(base), "")
        points.append(Point(0, "base", ref, fingerprint, sample.base))
    order = {"base": 0, "checkpoint": 1, "artifact": 2}
    points.sort(key=lambda point: (point.step, order[point.kind]))
    return Points(sample.rows, points, training.damaged, sample.confidence, sample.seed)


def _weights(model: Input) -> dict[str, str]:
    """The digests of what determines its weights; the record of the base is written by the worker."""
    return {name: digest for name, digest in of_model(model.path, {}).items() if name != BASE_RECORD}


def _is_like(one: Input, other: Input) -> bool:
    """Whether two adapters differ in their weights only."""
    if not (is_adapter(one.path) and is_adapter(other.path)):
        return one.path == other.path
    if (one.path / ADAPTER_CONFIG).read_bytes() != (other.path / ADAPTER_CONFIG).read_bytes():
        return False
    return one.base is not None and other.base is not None and content_of(one.base) == content_of(other.base)
