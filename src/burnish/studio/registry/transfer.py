"""Export versions of the registry to other workspaces, and import them."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from burnish.core.context import Input
from burnish.core.errors import AskError, BurnishError, DataError
from burnish.core.files import publish_folder, write_json
from burnish.core.inputs.checks import check_base
from burnish.core.inputs.references import check_kind, refuse_secret, resolve
from burnish.core.paths import expanded
from burnish.core.registry.archive import IMPORT, extract, opened_archive, write_archive
from burnish.core.registry.author import author, reason
from burnish.core.registry.description import path_of, refuse_damage
from burnish.core.registry.evidence import gather
from burnish.core.registry.names import check_name
from burnish.core.registry.registry import Registry
from burnish.core.runs.artifact import record_files
from burnish.core.runs.run import Run
from burnish.core.runs.workspace import Workspace
from burnish.core.secrets import masked_value
from burnish.core.version import VERSION
from burnish.studio.registry.versions import Notes, as_dict, refuse_kind, report_alike, report_unwritten, version_of

RECIPE = "imported"
"""The recipe in whose runs imported artifacts are."""
_ELSEWHERE = "not-imported"
"""The path of an input that stayed in the other workspace."""


def export(
    ref: str, to: Path | str | None = None, *, kind: str | None = None, workspace: Path | str | None = None
) -> Path:
    """Write a version to a `.tar`, a `.tar.gz`, or a folder; default: NAME-VERSION.tar in the current folder.

    Errors: RunError `run.damaged-artifact`; AskError `ask.wrong-value` if the target exists, or for a model on a hub.
    """
    place = Workspace.find(workspace)
    registry = Registry(place)
    version = version_of(ref, kind, registry)
    record = version.record
    if record["files"] is None:
        what = f"{version.ref} is on a hub ({record['artifact']['ref']}), and has no files here"
        raise AskError("ask.wrong-value", what, "register the name of the hub in the other workspace")
    refuse_damage(version.ref, record, place.root, {})
    target = expanded(to or f"{version.name}-{version.number}.tar").absolute()
    path = path_of(record, place.root)
    own = Run(path.parent).record_of("artifact.json") if record["artifact"]["run"] is not None else None
    history = [change for change in registry.entry(version.name).changes if change.version == version.number]
    content = {
        "name": version.name,
        "version": version.number,
        "stage": version.stage,
        "tags": list(version.tags),
        "record": {**record, "artifact": {**record["artifact"], "path": ""}},
        "history": [
            {**change.model_dump(include={"change", "at", "who", "why"}), "to": change.details.get("to")}
            for change in history
        ],
        "evidence": [one.as_dict() for one in gather(record, place).evidence],
        "artifact": None if own is None else {**own, "inputs": _without_paths(own["inputs"])},
        "burnish": VERSION,
    }
    write_archive(target, masked_value(content), path)
    return target


def import_(
    path: Path | str,
    *,
    name: str | None = None,
    base: str | None = None,
    because: str = "",
    kind: str | None = None,
    who: str | None = None,
    workspace: Path | str | None = None,
    say: Notes = lambda _: None,
) -> dict[str, Any]:
    """Import what `export` wrote, as a candidate; `name` is another name, `base` the base of an adapter here.

    Every file is compared with its hash. Stage, tags and evidence of the other workspace are shown, and count for
    nothing here; a certificate and a proof in the artifact do. Errors: DataError `data.unreadable`, AskError
    `ask.wrong-value`, RunError `run.damaged-artifact` for an archive that is no export, could write elsewhere, or
    was changed; ModelError `model.wrong-adapter` for another base.
    """
    place = Workspace.find(workspace)
    refuse_secret(because, "the reason", is_reference=False)
    because, who = reason(because), author(place.root, who)
    source, registry = expanded(path).absolute(), Registry(place)
    with opened_archive(source) as (content, opened):
        record: Mapping[str, Any] = content["record"]
        refuse_kind(record["kind"], kind, str(source))
        name = check_name(name or content["name"])
        registry.refuse(name, record["kind"])
        same = [v for v in _live(registry, name) if v.record["digest"] == record["digest"]]
        same = [v for v in same if v.fingerprint == record["fingerprint"]]
        if same:
            return as_dict(same[0], new=False)
        number = place.claim_number(RECIPE)
        run = place.run(RECIPE, number, name)
        with place.lock_of(RECIPE, number):
            try:
                _create(run, number, name, record, place)
                run.partial.mkdir()
                extract(content, opened, run.partial, source)
                _finish(run, content, _inputs(content, run, place, base, say), place)
                described = _described(content, run)
                version, new, faults = registry.register(name, described, who, because)
            except BaseException:
                shutil.rmtree(run.folder.parent, ignore_errors=True)
                raise
            if not new:  # another process registered it meanwhile
                shutil.rmtree(run.folder.parent, ignore_errors=True)
    report_unwritten(faults, say)
    if new:
        report_alike(version, registry, say)
    return as_dict(version, new=new)


def _described(content: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """The record of an archive for the artifact in a run of this workspace."""
    artifact = run.artifact()
    assert artifact is not None
    shown = ("name", "version", "stage", "tags", "history", "evidence")
    return {
        **content["record"],
        "artifact": {"ref": run.reference, "run": run.name, "path": f"runs/{run.name}/out", "revision": run.name},
        "files": dict(artifact.files or {}),
        "imported": {key: content.get(key) for key in shown},
    }


def _live(registry: Registry, name: str) -> list[Any]:
    return list(registry.entry(name).live.values()) if name in registry.names() else []


def _without_paths(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs without the folders of this machine."""
    return {
        name: {**value, "path": _ELSEWHERE, "inputs": _without_paths(value["inputs"])} for name, value in inputs.items()
    }


def _create(run: Run, number: int, name: str, record: Mapping[str, Any], place: Workspace) -> None:
    """The run folder of an import. Its own fingerprint differs from the artifact's: no recipe reuses the folder."""
    named = {"recipe": RECIPE, "number": number, "step": name, "stage": IMPORT}
    run.create({**named, "fingerprint": f"imported {record['fingerprint']}", "spec": {}, "inputs": {}})
    run.transition("running", pid=os.getpid())
    steps = [{"step": name, "folder": run.name}]
    place.update_plan(RECIPE, number, {"recipe": RECIPE, "created": run.record["created"], "steps": steps})


def _finish(run: Run, content: Mapping[str, Any], inputs: Mapping[str, Input], place: Workspace) -> None:
    record, own = content["record"], _own(content)
    publish_folder(run.partial, run.out)
    made: dict[str, Any] = {
        **own,
        "kind": record["kind"],
        "name": f"{RECIPE}.{run.folder.name}",
        "version": run.folder.parent.name,
        "fingerprint": record["fingerprint"],
        "inputs": {name: value.to_json(place.root) for name, value in inputs.items()},
        "spec": own.get("spec", {}),
        "measures": own.get("measures", {}),
        "provenance": own.get("provenance", {}),
        "files": record_files(run.out),
    }
    write_json(run.folder / "artifact.json", made)
    run.artifact()  # refuses a record that could not be read later
    run.transition("succeeded")


def _inputs(content: Mapping[str, Any], run: Run, place: Workspace, base: str | None, say: Notes) -> dict[str, Input]:
    """The inputs of the artifact, each where it is here: the requested base, built-in models, names of a hub."""
    try:
        given: Mapping[str, Any] = _own(content).get("inputs", {})
        found = {name: _here(Input.from_json(value, place.root), place) for name, value in given.items()}
    except (KeyError, TypeError, AttributeError) as error:
        what = f"the inputs of the artifact cannot be read ({type(error).__name__}: {error})"
        raise DataError("data.unreadable", what, "export it again") from None
    if base is not None:
        if content["record"]["kind"] != "adapter":
            raise AskError("ask.wrong-value", "--base is for adapters, and this is a model", "leave --base out")
        value = resolve(base, ("model",), place, place.hashes(), say)
        check_kind(value, ("model",), "--base")
        if value.kind == "model":
            check_base(run.partial, value.path, place.hashes())
        found["base"] = value
    needed = found.get("base")
    if needed is not None and not needed.path.exists() and not needed.ref.startswith("hub:"):
        say(f"its base {needed.ref} is not in this workspace: import it with --base to use it")
    return found


def _own(content: Mapping[str, Any]) -> dict[str, Any]:
    """The artifact.json of an export; empty for a folder that no step of burnish made."""
    found: Any = content.get("artifact")
    return cast(dict[str, Any], found) if isinstance(found, dict) else {}


def _here(value: Input, place: Workspace) -> Input:
    """An input of the other workspace: where it is here, or a path that does not exist."""
    inputs = {name: _here(child, place) for name, child in value.inputs.items()}
    elsewhere = replace(value, path=place.root / _ELSEWHERE, inputs=inputs)
    if value.ref.startswith("hub:"):
        kind = "hub-model" if value.kind == "model" else value.kind
        return replace(value, kind=kind, path=Path(), inputs=inputs)
    if value.ref.startswith("builtin:"):
        try:
            found = resolve(value.ref, (value.kind,), place, {})
        except BurnishError:  # of another version of burnish
            return elsewhere
        if found.fingerprint == value.fingerprint:
            return found
    return elsewhere
