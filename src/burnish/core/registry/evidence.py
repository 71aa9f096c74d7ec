"""Evidence for a version: certificates, proofs, verdicts and scores in the workspace, found by the digest of its files.

A certificate says that an artifact is still the model it was made from, a verdict that it is better than another, or
not worse. A trained artifact has no parent that it should equal: the proof of its training stands for the certificate.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

from burnish.core.context import Input, walk
from burnish.core.errors import BurnishError
from burnish.core.files import read_json
from burnish.core.registry.description import path_of
from burnish.core.registry.identity import Identity, content_of_input, content_of_record
from burnish.core.runs.artifact import Artifact, summary
from burnish.core.runs.certificates import is_of_a_copy
from burnish.core.runs.run import Run, run_of_output
from burnish.core.runs.workspace import Workspace
from burnish.specs.evals.judge import MEASURES

State = Literal["passed", "failed", "undecided"]
_GOOD = ("better", "not worse")
_BASELINES = ("compare_with", "against", "references", "data")
"""Inputs of an evaluation that it does not judge."""
_ANSWERS = ("evaluation", "generations")
"""Kinds of artifacts that hold the answers of a model."""
_Test = Callable[[Identity], bool]
"""Whether an input is the artifact that evidence is gathered for."""
_REPEAT = "run it again for these"


@dataclass(frozen=True)
class Evidence:
    """One finding on an artifact; `run` names the run folder that holds it."""

    kind: Literal["certificate", "proof", "verdict", "score"]
    run: str
    at: float
    state: State
    found: str
    scores: Mapping[str, float] | None = None

    def as_dict(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Case:
    """All evidence for one artifact, the newest first, and what could not be used."""

    evidence: tuple[Evidence, ...]
    left_out: tuple[str, ...] = ()

    def of(self, kind: str) -> list[Evidence]:
        return [found for found in self.evidence if found.kind == kind]

    def missing(self) -> list[str]:
        """What a promotion lacks; empty if there are a certificate (or proof) and a verdict, and they passed."""
        return [text for text in (self._lacks("certificate", "proof"), self._lacks("verdict")) if text]

    def _lacks(self, *kinds: str) -> str:
        """The first kind that there is counts: its newest evidence must have passed, and of certificates all."""
        for kind in kinds:
            found = self.of(kind)
            decisive = found if kind == "certificate" else found[:1]
            bad = [one for one in decisive if one.state != "passed"]
            if bad:
                return f"the {kind} in {bad[0].run} {_STATES[bad[0].state]} ({bad[0].found})"
            if found:
                return ""
        return f"there is no {' or '.join(kinds)}"


_STATES = {"failed": "failed", "undecided": "is undecided"}


def gather(record: Mapping[str, Any], workspace: Workspace) -> Case:
    """The evidence for the artifact of a record."""
    left_out: list[str] = []
    found, subject = list(_own(record, workspace)), Identity.of_record(record, workspace.root)
    for run in workspace.all_runs():
        try:
            artifact = run.artifact()
            if artifact is None or artifact.kind not in _READERS:
                continue
            evidence = list(_READERS[artifact.kind](artifact, run, subject.is_same))
            if not evidence and any(_READERS[artifact.kind](artifact, run, subject.is_alike)):
                left_out.append(
                    f"{run.name} is on other files with the same fingerprint, and is not counted: {_REPEAT}"
                )
            if evidence and artifact.kind == "certificate" and (why := _unrelated(artifact, record, workspace)):
                left_out.append(f"{run.name} is not counted: {why}")
                continue
            if evidence and (damage := artifact.damage({})):
                left_out.append(f"{run.name} is damaged, and is not counted: {summary(damage)}")
                continue
            found += evidence
        except BurnishError as error:
            left_out.append(f"{run.name} cannot be read: {error.what}")
    return Case(tuple(sorted(found, key=lambda one: one.at, reverse=True)), tuple(left_out))


def _own(record: Mapping[str, Any], workspace: Workspace) -> Iterator[Evidence]:
    """The certificate and the proof in the artifact itself."""
    if record["files"] is None:
        return
    run = Run(path_of(record, workspace.root).parent)
    is_run = record["artifact"]["run"] is not None
    try:
        artifact = run.artifact() if is_run else None
        if artifact is not None and artifact.certificate is not None:
            yield _certificate(artifact.certificate, run)
    except BurnishError as error:
        found = f"its own certificate is unknown: {error.what}"
        yield Evidence("certificate", _name(run, is_run=is_run), _ended(run), "undecided", found)
    try:
        proof = read_json(path_of(record, workspace.root) / "proof.json")
        held, failed, errors = (int(proof[key]) for key in ("held", "failed", "errors"))
        passed = held > 0 and not failed and not errors
        counts = f"{held} checks hold, {failed} do not, {errors} with an error"
        yield Evidence("proof", _name(run, is_run=is_run), _ended(run), "passed" if passed else "failed", counts)
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        found = f"its proof.json cannot be read ({type(error).__name__})"
        yield Evidence("proof", _name(run, is_run=is_run), _ended(run), "undecided", found)


def _of_certificate(artifact: Artifact, run: Run, is_it: _Test) -> Iterator[Evidence]:
    found, child = artifact.certificate, artifact.inputs.get("child")
    if found is not None and child is not None and is_it(Identity.of_input(child)):
        yield _certificate(found, run)


def _unrelated(artifact: Artifact, record: Mapping[str, Any], workspace: Workspace) -> str:
    """Why a certificate is not about what a version was made from; "" if it is, or if that is unknown.

    The inputs of what no step made are unknown: its certificate counts against any other model.
    """
    parent = artifact.inputs.get("parent")
    if parent is None:
        return "its parent is an endpoint"
    identity, content = Identity.of_input(parent), content_of_input(parent)
    if identity.is_same(Identity.of_record(record, workspace.root)):
        return f"it compares the artifact with itself ({parent.ref})"
    run = None if record["files"] is None else run_of_output(path_of(record, workspace.root))
    made = run.artifact() if run is not None else None
    sources = [] if made is None else list(walk(made.inputs))
    if any(identity.is_same(Identity.of_input(value)) for value in sources):
        return ""
    if content and any(content == content_of_input(value) for value in sources):
        return ""  # a copy of one of them
    if content == content_of_record(record) or is_of_a_copy(artifact.certificate or {"checks": []}):
        return f"it compares the artifact with a copy of itself ({parent.ref})"
    return f"the artifact was not made from {parent.ref}, its parent" if sources else ""


def _certificate(found: Mapping[str, Any], run: Run) -> Evidence:
    failed = [check["name"] for check in found["checks"] if check["verdict"] == "does not hold"]
    text = f"{found['change']} of {found['parent']['ref']}"
    text += f": {', '.join(failed)} does not hold" if failed else f": {len(found['checks'])} checks"
    return Evidence("certificate", run.name, _ended(run), "passed" if found["holds"] else "failed", text)


def _of_evaluation(artifact: Artifact, run: Run, is_it: _Test) -> Iterator[Evidence]:
    """Scores, and the verdict of one that compares."""
    if not _is_judged(artifact.inputs, is_it):
        return
    measures = artifact.measures
    verdicts = {name.removesuffix("_verdict"): str(value) for name, value in measures.items() if _is_verdict(name)}
    if verdicts:
        yield Evidence("verdict", run.name, _ended(run), _state(verdicts.values()), _listed(verdicts))
    scores = {name: float(value) for name, value in measures.items() if _is_score(name, value)}
    if scores:
        text = ", ".join(f"{name} {value:.4g}" for name, value in list(scores.items())[:4])
        yield Evidence("score", run.name, _ended(run), "passed", text, scores)


def _of_comparison(artifact: Artifact, run: Run, is_it: _Test) -> Iterator[Evidence]:
    try:
        found = cast(dict[str, Any], read_json(artifact.path / "comparison.json"))
        judged = {one["candidate"] for one in found["comparisons"]}
        names = [name for name in found["candidates"] if name in judged and _is_candidate(name, artifact, is_it)]
        if not names:
            return
        gate: dict[str, Any] = found.get("gate") or {"rules": []}
        rules: list[Any] = [rule for rule in gate["rules"] if set(rule["candidates"]) & set(names)]
        if rules:
            failed = [str(rule["rule"]) for rule in rules if not rule["passed"]]
            text = f"gate failed: {', '.join(failed)}" if failed else f"gate passed: {len(rules)} rules"
            yield Evidence("verdict", run.name, _ended(run), "failed" if failed else "passed", text)
            return
        verdicts = {_question(one): str(one["verdict"]) for one in found["comparisons"] if one["candidate"] in names}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        yield Evidence("verdict", run.name, _ended(run), "undecided", "its comparison.json cannot be read")
        return
    if verdicts:
        yield Evidence("verdict", run.name, _ended(run), _state(verdicts.values()), _listed(verdicts))


def _question(one: Mapping[str, Any]) -> str:
    """What a comparison asks: a score has one with each margin beside the one without."""
    margin = one.get("margin")
    asked = f"{one['candidate']}: {one['score']} against {one['baseline']}"
    return asked if margin is None else f"{asked} with a margin of {margin:g}"


_READERS = {"certificate": _of_certificate, "evaluation": _of_evaluation, "comparison": _of_comparison}


def _is_judged(inputs: Mapping[str, Input], is_it: _Test) -> bool:
    """Whether the artifact is among the inputs of an evaluation that it judges, or gave the answers that it does."""
    return any(
        is_it(Identity.of_input(value)) or (value.kind in _ANSWERS and _is_judged(value.inputs, is_it))
        for name, value in inputs.items()
        if name.partition(".")[0] not in _BASELINES
    )


def _is_candidate(name: str, artifact: Artifact, is_it: _Test) -> bool:
    """Whether a candidate of a comparison is the artifact, or an evaluation of it."""
    value = artifact.inputs.get(f"candidates.{name}.ref")
    return value is not None and _is_judged({"candidate": value}, is_it)


def _is_verdict(name: str) -> bool:
    return name.endswith("_verdict")


_NO_SCORE = ("_base", "_rows", "_delta", "_low", "_high")


def _is_score(name: str, value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return is_number and name not in MEASURES and not name.endswith(_NO_SCORE)


def _state(verdicts: Any) -> State:
    found = set(verdicts)
    if "worse" in found:
        return "failed"
    return "passed" if found & set(_GOOD) else "undecided"


def _listed(verdicts: Mapping[str, str]) -> str:
    shown = [f"{name}: {verdict}" for name, verdict in verdicts.items()]
    return ", ".join(shown[:4]) + (f" and {len(shown) - 4} more" if len(shown) > 4 else "")


def _ended(run: Run) -> float:
    with suppress(BurnishError, TypeError, ValueError):
        return float(run.record.get("ended") or run.record["created"])
    return 0.0


def _name(run: Run, *, is_run: bool) -> str:
    return run.name if is_run else str(run.folder)
