"""Which model the server gets: the one that is named, or the newest version in production."""

from pathlib import PurePosixPath

from burnish.core.context import Input
from burnish.core.errors import AskError
from burnish.core.inputs.references import check_kind, resolve
from burnish.core.registry.entries import Version
from burnish.core.registry.registry import Registry
from burnish.core.runs.workspace import Workspace
from burnish.studio.containers.project import IN_CONTAINER, Project, in_container

KINDS = ("model", "adapter", "gguf")
"""What `burnish serve` takes."""
_REMOTE = ("hub:", "git:")


def newest_promoted(workspace: Workspace) -> str:
    """The version that was promoted to production last, as `name@3`. AskError `ask.bad-reference` if there is none."""
    found: list[tuple[float, Version]] = []
    entries, errors = Registry(workspace).entries()
    for entry in entries:
        for change in entry.changes:
            version = entry.live.get(change.version)
            if change.change == "promote" and version is not None and version.stage == "production":
                found += [(change.at, version)] if version.kind in KINDS else []
    if found:
        return max(found, key=lambda one: one[0])[1].ref
    if errors:
        raise errors[0]
    what = f"no model is named, and the registry of {workspace.root} has none in production"
    fix = "name one: --model name@3; or promote one: see `burnish adapters promote --help` (--to production)"
    raise AskError("ask.bad-reference", what, fix)


def named_model(project: Project, model: str | None) -> str:
    """The reference of the model of a job, as its container sees it."""
    ref = model or project.value("BURNISH_MODEL") or newest_promoted(project.workspace)
    return in_container(ref, project.workspace) if project.holds_workspace else ref


def choose_model(project: Project, model: str | None) -> str:
    """Set the variables that name the served model; returns its reference.

    Errors: AskError `ask.bad-reference`, or `ask.wrong-kind` for what vLLM cannot serve.
    """
    place = project.workspace
    ref = model or project.value("BURNISH_MODEL") or newest_promoted(place)
    if model is None and not project.holds_workspace:
        project.choose("BURNISH_MODEL", ref)
        return ref
    if project.device == "cpu":
        project.chosen["BURNISH_MODEL"] = in_container(ref, place)
        if not ref.startswith(_REMOTE):  # what is here already is there too
            check_kind(resolve(ref, KINDS, place, place.hashes()), KINDS, "model")
        return ref
    value = resolve(ref, KINDS, place, place.hashes())
    check_kind(value, KINDS, "model")
    if value.kind not in ("model", "hub-model"):
        fix = f"merge it: burnish merge --model {ref}; or serve it on the CPU: --device cpu"
        fix = "serve it on the CPU: --device cpu" if value.kind == "gguf" else fix
        raise AskError("ask.wrong-kind", f"{ref} is of kind {value.kind}, and vLLM gets whole models here", fix)
    project.chosen |= {"BURNISH_MODEL": ref, "BURNISH_MODEL_NAME": _name(ref), **_for_vllm(value, place)}
    return ref


def _for_vllm(value: Input, place: Workspace) -> dict[str, str]:
    if value.kind == "hub-model":
        name = value.ref.removeprefix("hub:").partition("@")[0]
        return {"BURNISH_MODEL_PATH": name, "BURNISH_MODEL_REVISION": value.revision or "main"}
    if not value.path.is_relative_to(place.root):
        what = f"{value.ref} is in {value.path}, outside of the workspace, which is all that containers see"
        raise AskError("ask.bad-reference", what, "copy it into the workspace, or use another --workspace")
    return {"BURNISH_MODEL_PATH": str(PurePosixPath(IN_CONTAINER, value.path.relative_to(place.root).as_posix()))}


def _name(ref: str) -> str:
    """The name of the model in requests: the last part of its reference, without the version."""
    return ref.rpartition(":")[2].replace("\\", "/").rstrip("/").rpartition("/")[2].partition("@")[0] or "model"
