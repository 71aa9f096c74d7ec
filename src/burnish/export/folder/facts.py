"""What is known of a model: its base, data, training, scores, proof and licences, from the records of its runs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from burnish.core.context import DATA_KINDS, Input, walk
from burnish.core.errors import BurnishError
from burnish.core.files import read_json
from burnish.core.registry.description import describe
from burnish.core.registry.evidence import gather
from burnish.core.registry.licences import consequences, licence_of, licences_of
from burnish.core.runs.run import Run, run_of_output
from burnish.core.runs.workspace import Workspace
from burnish.export.folder.recipe import Steps, public_reference
from burnish.models.bases import Source, chain_of, folder_of, is_adapter, whole_model

_MOST_SPOKEN = 0.1
"""Share of the sampled rows from which on a language is one of the data's."""
_SAMPLE = 20
"""Fewer rows say nothing of the languages."""


@dataclass(frozen=True)
class Base:
    """The model that everything started from."""

    ref: str
    hub: str
    """Its name on the hub; "" if it is from elsewhere."""
    revision: str
    fingerprint: str


@dataclass(frozen=True)
class Data:
    """One source of rows; `rows` are those that a prepared dataset kept, 0 if unknown."""

    ref: str
    hub: str
    kind: str
    fingerprint: str
    revision: str
    rows: int
    languages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Score:
    """One score of an evaluation. `low` and `high` are its interval, None if there is none."""

    name: str
    value: float
    low: float | None
    high: float | None
    rows: int | None
    run: str
    data: str
    data_hub: str


@dataclass(frozen=True)
class Training:
    """One training: its settings by dotted name, and what it measured."""

    step: str
    stage: str
    spec: Mapping[str, Any]
    given: frozenset[str]
    measures: Mapping[str, Any]


@dataclass(frozen=True)
class Facts:
    """Everything that a model card says of the model that it is about; unknown parts are empty."""

    ref: str
    source: Source
    base: Base
    is_adapter: bool
    data: Sequence[Data]
    trainings: Sequence[Training]
    steps: Steps
    step: str | None
    """The name of the step that made the model; None if no step did."""
    licences: Sequence[Mapping[str, str]]
    consequences: Sequence[str]
    proofs: Mapping[str, Mapping[str, Any]]
    scores: Sequence[Score]
    confidence: float | None
    certificates: Sequence[str]
    """Earlier ones of the model, in words."""
    left_out: Sequence[str] = ()
    """Evidence that could not be used, with reasons."""
    languages: Sequence[str] = field(default=())


def facts_of(source: Input, workspace: Workspace, evaluations: Mapping[str, Input]) -> Facts:
    """The facts of a model or adapter. `evaluations` are those to show, or else all of the workspace.

    Errors: those of finding the base of an adapter.
    """
    steps = Steps()
    step = steps.add(source)
    made = [value for value in (source, *walk(source.inputs)) if run_of_output(value.path) is not None]
    licences = _licences(source)
    data = _data(source)
    scores, confidence, certificates, left_out = _evidence(source, workspace, evaluations)
    return Facts(
        ref=public_reference(source.ref),
        source=source,
        base=_base(source),
        is_adapter=is_adapter(source.path),
        data=data,
        trainings=list(_trainings(made)),
        steps=steps,
        step=step,
        licences=licences,
        consequences=consequences(licences),
        proofs=dict(_proofs(made)),
        scores=scores,
        confidence=confidence,
        certificates=certificates,
        left_out=[*left_out, *(f"the records of {run} cannot be read" for run in steps.missing)],
        languages=sorted({language for one in data for language in one.languages}),
    )


def hub_name(ref: str) -> str:
    """`owner/name` of a reference to a hub; "" for another."""
    return ref.removeprefix("hub:").partition("@")[0] if ref.startswith("hub:") else ""


def _base(source: Input) -> Base:
    """The first model: what the adapters are on, or what it was trained from."""
    found: Source = whole_model(source)
    while isinstance(found, Input) and (below := found.inputs.get("base") or found.inputs.get("model")) is not None:
        found = whole_model(below)
    if isinstance(found, Path):
        return Base(f"file:{found.name}", "", "", "")
    run = run_of_output(found.path)
    ref = public_reference(found.ref) if run is None else run.reference
    return Base(ref, hub_name(found.ref), found.revision, found.fingerprint)


def _licences(source: Input) -> list[dict[str, str]]:
    """Those of the records, and of the models below an adapter that no step made."""
    found = licences_of(source)
    known = {one["ref"] for one in found}
    for link in chain_of(source)[1:]:
        run = run_of_output(folder_of(link))
        ref = link.ref if isinstance(link, Input) else f"file:{link}"
        if run is None and ref not in known:
            licence, where = licence_of(folder_of(link))
            found.append({"of": "base", "ref": ref, "licence": licence, "stated_in": where})
    return [{**one, "ref": public_reference(one["ref"])} for one in found]


def _data(source: Input) -> list[Data]:
    found: list[Data] = []
    seen: set[tuple[str, str]] = set()
    for value in walk(source.inputs):
        if value.kind not in DATA_KINDS:
            continue
        run = run_of_output(value.path)
        ref = public_reference(value.ref) if run is None else run.reference
        if (ref, value.fingerprint) in seen:
            continue
        seen.add((ref, value.fingerprint))
        stats = _content(value.path / "stats.json") if value.path.is_dir() else {}
        rows = stats.get("kept")
        found.append(
            Data(
                ref=ref,
                hub=hub_name(value.ref),
                kind=value.kind,
                fingerprint=value.fingerprint,
                revision=value.revision,
                rows=rows if isinstance(rows, int) else 0,
                languages=tuple(_spoken(stats)),
            )
        )
    return found


def _spoken(stats: Mapping[str, Any]) -> Iterator[str]:
    """The languages that many sampled rows are in."""
    languages = stats.get("languages")
    if not isinstance(languages, dict):
        return
    counted = cast(dict[str, Any], languages)
    sample, rows = counted.get("sample"), counted.get("rows")
    if isinstance(sample, int) and sample >= _SAMPLE and isinstance(rows, dict):
        for name, count in cast(dict[str, Any], rows).items():
            if len(name) == 2 and isinstance(count, int) and count >= _MOST_SPOKEN * sample:
                yield name


def _trainings(made: Sequence[Input]) -> Iterator[Training]:
    """The trainings behind a model, the first one first."""
    seen: set[str] = set()
    for value in reversed(made):
        run = cast(Run, run_of_output(value.path))
        artifact = run.artifact()
        if artifact is None or run.name in seen or "learning_rate" not in artifact.spec:
            continue
        seen.add(run.name)
        given = frozenset(_flat(run.job["spec"]))
        yield Training(run.folder.name, run.record["stage"], _flat(artifact.spec), given, artifact.measures)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(cast(dict[str, Any], value), f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _proofs(made: Sequence[Input]) -> Iterator[tuple[str, dict[str, Any]]]:
    for value in reversed(made):
        proof = _content(value.path / "proof.json")
        if proof.get("checks"):
            run = run_of_output(value.path)
            yield (public_reference(value.ref) if run is None else run.folder.name), proof


def _evidence(
    source: Input, workspace: Workspace, evaluations: Mapping[str, Input]
) -> tuple[list[Score], float | None, list[str], list[str]]:
    """Scores with their confidence, certificates in words, and what is left out."""
    folders: list[tuple[str, Path, Mapping[str, Input]]] = []
    certificates: list[str] = []
    left_out: list[str] = []
    if workspace.runs.is_dir():
        case = gather(describe(source, workspace.root), workspace)
        certificates = [one.found for one in case.of("certificate") if one.state == "passed"]
        left_out = list(case.left_out)
        if not evaluations:
            for one in case.of("score"):
                run = Run(workspace.runs / one.run)
                artifact = run.artifact()
                if artifact is not None:
                    folders.append((run.name, run.out, artifact.inputs))
    for name, value in evaluations.items():
        run = run_of_output(value.path)
        folders.append((name if run is None else run.name, value.path, value.inputs))
    scores: list[Score] = []
    confidence: float | None = None
    for run_name, folder, inputs in folders:
        try:
            metrics = _content(folder / "metrics.json")
            scores += _scores(metrics, run_name, inputs.get("data"))
            confidence = metrics.get("confidence", confidence)
        except (KeyError, TypeError, AttributeError, BurnishError):
            left_out.append(f"the scores of {run_name} cannot be read")
    return scores, confidence, certificates, left_out


def _scores(metrics: Mapping[str, Any], run: str, data: Input | None) -> Iterator[Score]:
    made = None if data is None else run_of_output(data.path)
    ref = "" if data is None else public_reference(data.ref) if made is None else made.reference
    for name, entry in {**metrics.get("scores", {}), **metrics.get("likelihood", {})}.items():
        model = entry["model"]
        if isinstance(model["value"], int | float):
            hub = "" if data is None else hub_name(data.ref)
            yield Score(name, model["value"], model.get("low"), model.get("high"), model.get("n"), run, ref, hub)


def _content(path: Path) -> dict[str, Any]:
    """The mapping in a JSON file; empty if there is none."""
    try:
        found: Any = read_json(path)
    except (OSError, ValueError, RecursionError):
        return {}
    return cast(dict[str, Any], found) if isinstance(found, dict) else {}
