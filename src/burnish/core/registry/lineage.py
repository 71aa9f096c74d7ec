"""What an artifact was made from: a tree of models, adapters and data down to the files, with hashes and licences."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from burnish.core.context import Input
from burnish.core.errors import BurnishError
from burnish.core.registry.evidence import gather
from burnish.core.registry.licences import UNKNOWN, licence_of
from burnish.core.registry.registry import Registry
from burnish.core.runs.run import run_of_output
from burnish.core.runs.workspace import Workspace


@dataclass(frozen=True)
class Node:
    """An artifact, model or file. `role` is the input of the node above that it is; `versions` are in the registry.

    `evidence` is its certificate or proof and the state of that, such as `proof passed`; "" if it has none.
    """

    role: str
    ref: str
    kind: str
    fingerprint: str
    run: str = ""
    stage: str = ""
    versions: tuple[str, ...] = ()
    licence: str = UNKNOWN
    evidence: str = ""
    children: "tuple[Node, ...]" = ()

    def as_dict(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("role", "ref", "kind", "fingerprint", "run", "stage", "licence")}
        children = [child.as_dict() for child in self.children]
        return {**own, "versions": list(self.versions), "evidence": self.evidence, "made_from": children}

    def walk(self) -> "Iterator[Node]":
        yield self
        for child in self.children:
            yield from child.walk()


def lineage(value: Input, workspace: Workspace) -> Node:
    """The tree below an input."""
    registered: dict[str, list[str]] = {}
    for entry in Registry(workspace).entries()[0]:
        for version in entry.live.values():
            registered.setdefault(version.fingerprint, []).append(f"{version.ref} ({version.stage})")
    return _node("", value, workspace, registered)


def _node(role: str, value: Input, workspace: Workspace, registered: Mapping[str, list[str]]) -> Node:
    run = run_of_output(value.path)
    inputs, stage, evidence = value.inputs, "", ""
    if run is not None:
        try:
            artifact = run.artifact()
            stage = run.record["stage"]
            inputs = artifact.inputs if artifact is not None else inputs
        except BurnishError:
            stage = "unknown: its records are damaged"
        evidence = _evidence(value, workspace)
    return Node(
        role=role,
        ref=value.ref,
        kind=value.kind,
        fingerprint=value.fingerprint,
        run=run.name if run is not None else "",
        stage=stage,
        versions=tuple(registered.get(value.fingerprint, ())) if value.kind in ("adapter", "model") else (),
        licence=licence_of(value.path)[0] if value.path.is_dir() else UNKNOWN,
        evidence=evidence,
        children=tuple(_node(name, child, workspace, registered) for name, child in inputs.items()),
    )


def _evidence(value: Input, workspace: Workspace) -> str:
    """The newest certificate of an artifact, or its proof, and the state of it."""
    if value.kind not in ("adapter", "model"):
        return ""
    place = {"run": "", "path": str(value.path)}
    case = gather({"fingerprint": value.fingerprint, "artifact": place, "files": {}}, workspace)
    found = case.of("certificate") or case.of("proof")
    return f"{found[0].kind} {found[0].state}" if found else ""
