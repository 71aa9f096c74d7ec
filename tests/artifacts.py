"""Run folders with artifacts that no worker made: what the registry finds as evidence."""

import json
import os
import time

from burnish.core.context import Input
from burnish.core.files import write_json
from burnish.core.runs.artifact import record_files
from burnish.core.runs.workspace import Workspace

ADAPTER = {"adapter_config.json": "{}", "adapter_model.safetensors": "weights"}
PROOF = {"held": 3, "failed": 0, "errors": 0, "not_applicable": 1, "checks": []}


def write_artifact(
    workspace: Workspace,
    step="tune",
    *,
    number=1,
    recipe="r",
    kind="adapter",
    fingerprint="f",
    inputs=None,
    files=None,
    measures=None,
    certificate=None,
    stage="quick-model",
):
    """A finished step and the plan of its run; returns the run."""
    run = workspace.run(recipe, number, step)
    inputs = {name: value.to_json(workspace.root) for name, value in (inputs or {}).items()}
    named = {"recipe": recipe, "number": number, "step": step, "stage": stage, "fingerprint": fingerprint}
    run.create({**named, "spec": {}, "inputs": inputs})
    run.transition("running", pid=os.getpid())
    run.out.mkdir()
    for name, content in (ADAPTER if files is None else files).items():
        (run.out / name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    record = {"kind": kind, "name": f"{recipe}.{step}", "version": str(number), "fingerprint": fingerprint}
    record |= {"stage": stage, "inputs": inputs, "spec": {"epochs": 2}, "measures": measures or {"loss": 0.5}}
    record |= {"provenance": {}, "certificate": certificate, "files": record_files(run.out)}
    write_json(run.folder / "artifact.json", record)
    run.transition("succeeded")
    steps = [{"step": step, "folder": run.name}]
    if (run.folder.parent / "plan.json").is_file():
        steps += workspace.plan_of(recipe, number)["steps"]
    workspace.record_plan(recipe, number, {"recipe": recipe, "steps": steps, "created": time.time()})
    return run


def as_input(workspace, of="f"):
    """The newest artifact of a fingerprint as an input; another one if there is none."""
    for run in workspace.all_runs():
        artifact = run.artifact()
        if artifact is not None and artifact.fingerprint == of:
            return artifact.as_input(run.reference)
    return Input("r.tune@1", "adapter", workspace.root / "x", of)


def certificate(child="f", *, holds=True):
    """The certificate of a merge, as in artifact.json."""
    check = {"name": "token ids", "verdict": "holds" if holds else "does not hold", "found": "1", "limit": "0"}
    subjects = {"parent": {"ref": "p", "fingerprint": "p"}, "child": {"ref": "c", "fingerprint": child}}
    return {
        "change": "merge fp32",
        **subjects,
        "holds": holds,
        "checks": [check],
        "rows": 3,
        "tokens": 9,
        "burnish": "",
    }


def evaluation(workspace, verdict="better", *, number=1, step="evaluate", of="f", recipe="e"):
    """An evaluation of a model against another, with a verdict."""
    judged = {"model": as_input(workspace, of)}
    judged["compare_with"] = Input("r.other@1", "adapter", workspace.root / "y", "baseline")
    measures = {"rows": 9, "accuracy": 0.75, "accuracy_base": 0.5, "accuracy_delta": 0.25, "accuracy_verdict": verdict}
    files = {"metrics.json": "{}"}
    options = {"kind": "evaluation", "inputs": judged, "measures": measures, "files": files, "recipe": recipe}
    return write_artifact(workspace, step, number=number, fingerprint=f"e{number}{step}", stage="evaluate", **options)


def comparison(workspace, *, gate=None, verdict="not worse", number=1, of="f", inputs=None, about="tuned", within=None):
    """A comparison of several candidates, perhaps with a gate whose rule is about one."""
    one = {"score": "accuracy", "baseline": "base", "candidate": "tuned", "verdict": verdict}
    candidates = {"base": {"ref": "b", "fingerprint": "base model", "kind": "model"}}
    candidates["tuned"] = {"ref": "r.tune@1", "fingerprint": of, "kind": "adapter"}
    claims = [one] if within is None else [one, {**one, "verdict": "not worse", "margin": within}]
    found = {"baseline": "base", "candidates": candidates, "comparisons": claims}
    if inputs is None:
        base = Input("b", "model", workspace.root / "y", "base model")
        inputs = {"candidates.base.ref": base, "candidates.tuned.ref": as_input(workspace, of)}
    rule = {"rule": "accuracy >= 0.5", "passed": gate, "candidates": [about]}
    found["gate"] = None if gate is None else {"passed": gate, "rules": [rule]}
    options = {
        "kind": "comparison",
        "files": {"comparison.json": found},
        "recipe": "c",
        "stage": "compare",
        "inputs": inputs,
    }
    return write_artifact(workspace, "compare", number=number, fingerprint=f"c{number}", **options)


def certified(workspace, *, of="f", child=None, parent=None, number=1, holds=True):
    """The artifact of `certify`: a certificate of the newest artifact of a fingerprint, or of `child`."""
    child = child or as_input(workspace, of)
    inputs = {"child": child, "parent": parent or Input("file:p", "model", workspace.root / "p", "p")}
    options = {"kind": "certificate", "inputs": inputs, "certificate": certificate(of, holds=holds), "recipe": "k"}
    return write_artifact(workspace, "certify", number=number, fingerprint=f"k{number}", stage="certify", **options)
