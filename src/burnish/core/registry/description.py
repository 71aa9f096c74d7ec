"""What the registry records of an artifact: its files, base, tokenizer, data, settings and measures, with hashes."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from burnish.core.context import DATA_KINDS, Input, walk
from burnish.core.errors import RunError
from burnish.core.files import read_json
from burnish.core.fingerprint import BASE_RECORD, content_files, of_file, of_value
from burnish.core.registry.licences import licences_of
from burnish.core.runs.artifact import Artifact, Damage, digest_of, record_files, summary
from burnish.core.runs.run import run_of_output
from burnish.core.version import VERSION

_TOKENIZER = ("tokenizer.json", "tokenizer.model", "vocab.json", "merges.txt", "spiece.model", "vocab.txt")
_ADDED = "was added since it was registered"
_MODEL_KINDS = ("model", "adapter", "hub-model")


def describe(value: Input, workspace: Path) -> dict[str, Any]:
    """The record of an artifact, a folder, or a model on a hub: what `Version.as_dict` shows beside its stage.

    Paths inside the workspace are relative to it. The files of an artifact are those of its own record: check it first.
    """
    run = run_of_output(value.path)
    artifact = run.artifact() if run is not None else None
    files = _files(value, artifact)
    base = value.base or value.inputs.get("model")
    return {
        "kind": "model" if value.kind == "hub-model" else value.kind,
        "fingerprint": value.fingerprint,
        "digest": digest_of(files) if files is not None else value.fingerprint,
        "artifact": {
            "ref": value.ref,
            "run": artifact.run if artifact is not None else None,
            "path": _relative(value.path, workspace) if files is not None else "",
            "revision": value.revision,
        },
        "base": _base(value, base),
        "tokenizer": _tokenizer_hash(value),
        "template": _template_hash(value),
        "data": list(_data(value.inputs)),
        "licences": licences_of(value),
        "made_by": _made_by(artifact),
        "settings": dict(artifact.spec) if artifact is not None else {},
        "measures": dict(artifact.measures) if artifact is not None else {},
        "files": files,
        "burnish": VERSION,
    }


def path_of(record: Mapping[str, Any], workspace: Path) -> Path:
    """Where the artifact of a record is; meaningless for a model on a hub, which has no files here."""
    return workspace / record["artifact"]["path"]


def damage_of(record: Mapping[str, Any], workspace: Path, known: dict[str, Any], *, deep: bool = False) -> list[Damage]:
    """How the files of a record's artifact differ from those that were registered."""
    files = record["files"]
    if files is None:
        return []
    path, kind = path_of(record, workspace), record["kind"]
    nothing: Any = {}
    artifact = Artifact(kind, "", "", record["fingerprint"], path, nothing, nothing, nothing, nothing, files)
    found = artifact.damage(known, deep=deep)
    if record["artifact"]["run"] is not None or not path.is_dir():
        return found
    read = {file.relative_to(path).as_posix() for file in content_files(path, kind)}
    return [
        one if one.file in files else Damage(one.file, _ADDED) for one in found if one.file in (files.keys() | read)
    ]


def refuse_damage(
    ref: str, record: Mapping[str, Any], workspace: Path, known: dict[str, Any], *, deep: bool = False
) -> None:
    """RunError `run.damaged-artifact` if files were removed, added or changed since the artifact was registered."""
    damage = damage_of(record, workspace, known, deep=deep)
    if damage:
        path = path_of(record, workspace)
        made = record["artifact"]["run"]
        again = f"run its recipe again (burnish runs resume {made.rpartition('/')[0]}) and register the result"
        fix = f"restore the files from a copy, or {again if made else 'register the folder as it is now'}"
        raise RunError("run.damaged-artifact", f"the artifact of {ref} ({path}) is damaged: {summary(damage)}", fix)


def _files(value: Input, artifact: Artifact | None) -> dict[str, Any] | None:
    """The manifest: None for a model on a hub, which its revision pins."""
    if not value.path.is_dir() or value.kind.startswith("hub-"):
        return None
    if artifact is not None and artifact.files is not None:
        return {name: dict(file) for name, file in artifact.files.items()}
    read = {file.relative_to(value.path).as_posix() for file in content_files(value.path, value.kind)}
    return {name: file for name, file in record_files(value.path).items() if name in read}


def _relative(path: Path, workspace: Path) -> str:
    return path.relative_to(workspace).as_posix() if path.is_relative_to(workspace) else str(path)


def _base(value: Input, base: Input | None) -> dict[str, Any] | None:
    """The model that this one was trained on or merged into, with its hash."""
    if base is not None:
        run = run_of_output(base.path)
        ref = base.ref if run is None else run.reference
        return {"ref": ref, "kind": base.kind, "fingerprint": base.fingerprint, "revision": base.revision}
    for name, key in ((BASE_RECORD, "base"), ("adapter_config.json", "base_model_name_or_path")):
        found = _content(value.path / name)
        if isinstance(found.get(key), str):
            files: Any = found.get("files") if name == BASE_RECORD else None
            return {"ref": found[key], "kind": "", "fingerprint": of_value(files) if files else "", "revision": ""}
    return None


def _folders(value: Input) -> Iterator[Path]:
    """The folder of a model, then those of the models below it."""
    if value.path.is_dir():
        yield value.path
    for name in ("base", "model"):
        if name in value.inputs:
            yield from _folders(value.inputs[name])


def _tokenizer_hash(value: Input) -> str | None:
    """sha256 over the vocabulary files of the nearest folder that has some."""
    for folder in _folders(value):
        files = {name: of_file(folder / name, {}) for name in _TOKENIZER if (folder / name).is_file()}
        if files:
            return of_value(files)
    return None


def _template_hash(value: Input) -> str | None:
    """sha256 of the chat template of the nearest folder that has one."""
    for folder in _folders(value):
        if (folder / "chat_template.jinja").is_file():
            return of_value((folder / "chat_template.jinja").read_text(encoding="utf-8", errors="replace"))
        config = _content(folder / "tokenizer_config.json")
        if config.get("chat_template"):
            return of_value(config["chat_template"])
    return None


def _data(inputs: Mapping[str, Input]) -> Iterator[dict[str, Any]]:
    """Every input of rows, of the artifact and of those that it was made from; each once."""
    seen: set[tuple[str, str]] = set()
    for value in walk(inputs):
        run = run_of_output(value.path)
        key = (value.ref if run is None else run.name, value.fingerprint)
        if value.kind in DATA_KINDS and key not in seen:
            seen.add(key)
            yield {
                "ref": value.ref if run is None else run.reference,
                "kind": value.kind,
                "fingerprint": value.fingerprint,
                "revision": value.revision,
                "run": run.name if run is not None else None,
            }


def _made_by(artifact: Artifact | None) -> dict[str, Any] | None:
    if artifact is None:
        return None
    run = run_of_output(artifact.path)
    stage = run.record["stage"] if run is not None else None
    recipe, number, step = artifact.run.split("/")
    return {"recipe": recipe, "number": int(number), "step": step, "stage": stage}


def _content(path: Path) -> dict[str, Any]:
    """The mapping in a JSON file; empty if there is none."""
    try:
        found: Any = read_json(path)
    except (OSError, ValueError, RecursionError):
        return {}
    return cast(dict[str, Any], found) if isinstance(found, dict) else {}
