"""What an artifact was made from: a tree of models, adapters and data down to the files, with hashes and licences."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from burnish.core.context import Input
from burnish.core.errors import BurnishError
from burnish.core.registry.evidence import gather
from burnish.core.registry.identity import Identity
from burnish.core.registry.licences import UNKNOWN, licence_of
from burnish.core.registry.registry import Registry
from burnish.core.runs.artifact import summary
from burnish.core.runs.run import run_of_output
from burnish.core.runs.workspace import Workspace


@dataclass(frozen=True)
class Node:
    """An artifact, model or file. `role` is the input of the node above that it is; `versions` are in the registry.

    `evidence` is its certificate or proof and the state of that, such as `proof passed`; "" if it has none. `damage`
    names the files that differ from the record; then there is no evidence.
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
    damage: str = ""
    children: "tuple[Node, ...]" = ()

    def as_dict(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("role", "ref", "kind", "fingerprint", "run", "stage", "licence")}
        children = [child.as_dict() for child in self.children]
        state = {"evidence": self.evidence, "damage": self.damage}
        return {**own, "versions": list(self.versions), **state, "made_from": children}

    def walk(self) -> "Iterator[Node]":
        yield self
        for child in self.children:
            yield from child.walk()


def lineage(value: Input, workspace: Workspace) -> Node:
    """The tree below an input."""
    registered = [
        (Identity.of_record(version.record, workspace.root), f"{version.ref} ({version.stage})")
        for entry in Registry(workspace).entries()[0]
        for version in entry.live.values()
    ]
    return _node("", value, workspace, registered, workspace.hashes())


def _node(
    role: str, value: Input, workspace: Workspace, registered: Sequence[tuple[Identity, str]], known: dict[str, Any]
) -> Node:
    run = run_of_output(value.path)
    inputs, stage, evidence, damage, files = value.inputs, "", "", "", {}
    if run is not None:
        try:
            artifact = run.artifact()
            stage = run.record["stage"]
            if artifact is not None:
                inputs, files = artifact.inputs, artifact.files or {}
                damage = summary(artifact.damage(known))
        except BurnishError:
            stage = "unknown: its records are damaged"
        evidence = "" if damage else _evidence(value, files, workspace)
    return Node(
        role=role,
        ref=value.ref,
        kind=value.kind,
        fingerprint=value.fingerprint,
        run=run.name if run is not None else "",
        stage=stage,
        versions=_versions(value, registered),
        licence=licence_of(value.path)[0] if value.path.is_dir() else UNKNOWN,
        evidence=evidence,
        damage=damage,
        children=tuple(_node(name, child, workspace, registered, known) for name, child in inputs.items()),
    )


def _versions(value: Input, registered: Sequence[tuple[Identity, str]]) -> tuple[str, ...]:
    """The versions of the registry that a model or adapter is."""
    if value.kind not in ("adapter", "model", "hub-model"):
        return ()
    own = Identity.of_input(value)
    return tuple(ref for identity, ref in registered if identity.is_same(own))


def _evidence(value: Input, files: Mapping[str, Any], workspace: Workspace) -> str:
    """The newest certificate of an artifact, or its proof, and the state of it."""
    if value.kind not in ("adapter", "model"):
        return ""
    place = {"run": "", "path": str(value.path)}
    case = gather({"fingerprint": value.fingerprint, "artifact": place, "files": files}, workspace)
    found = case.of("certificate") or case.of("proof")
    return f"{found[0].kind} {found[0].state}" if found else ""
