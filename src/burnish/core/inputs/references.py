"""Resolve references in specs: files, hub names, Git sources, built-in models, artifacts.

`step:x` is resolved by the plan.
"""

import contextlib
import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from burnish.core.context import Input
from burnish.core.errors import AskError, BurnishError
from burnish.core.fingerprint import of_path, of_value
from burnish.core.inputs import checkpoints, git, hub, packages, urls
from burnish.core.naming import nearest
from burnish.core.paths import is_windows_path, of_reference, refuse_undecodable, resolved
from burnish.core.recipes.yaml import at
from burnish.core.registry.description import path_of, refuse_damage
from burnish.core.registry.registry import Registry
from burnish.core.runs.checkpoints import KeptCheckpoint
from burnish.core.runs.run import Run, run_of_output
from burnish.core.runs.workspace import Workspace
from burnish.core.secrets import secret_in
from burnish.specs.base import SCHEMES

_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".h5")
_MODEL_CONFIG_KEYS = {"model_type", "architectures", "auto_map", "hidden_size", "quantization_config"}
_MAX_CONFIG_BYTES = 4 * 1024 * 1024
_ROWS, _MAX_HEAD = re.compile(rb'\s*\{\s*"format":\s*"burnish rows '), 100
_KERNEL_FOLDERS = (Path("/proc"), Path("/sys"))
_COMMON_KINDS = {"hub-model": "model", "hub-dataset": "folder"}


def resolve(
    ref: str,
    kinds: tuple[str, ...],
    workspace: Workspace,
    known: dict[str, Any],
    report: Callable[[str], None] = lambda _: None,
    allowed_hosts: Collection[str] = (),
) -> Input:
    """Resolve a reference. Hub names, Git sources and URLs are pinned to a `revision`, not downloaded: their kind is
    hub-model, hub-dataset or git, or remote, of which the stage itself reads what it needs.

    `report` receives a sentence on how an ambiguous reference was resolved. URLs, and those of Git sources, may lead to
    private addresses of `allowed_hosts` only.
    """
    refuse_secret(ref, "the reference", is_reference=True)
    ref = f"file:{ref}" if is_windows_path(ref) else ref
    scheme, colon, rest = ref.partition(":")
    if not colon:
        name, slash, step = ref.partition("/")
        if slash:
            return checkpoints.named(ref, step, _run_of(name, workspace), known, report)
        return _artifact(ref, kinds, workspace, report)
    match scheme:
        case "file":
            return _file(ref, workspace.root / of_reference(rest), known)
        case "builtin":
            return _built_in(ref, rest, known)
        case "git":
            pin = git.pin(rest, workspace.root, allowed_hosts)
            if pin.note:
                report(f"{ref} {pin.note}")
            return Input(ref, "git", pin.path or Path(), of_value(["git", pin.commit]), revision=pin.commit)
        case "package":
            package = packages.find(rest)
            report(f"{ref} is {package.name} {package.version}")
            return Input(ref, "package", package.root, package.fingerprint(known), revision=package.version)
        case "hub":
            repo_type = "model" if "model" in kinds or "tokenizer" in kinds else "dataset"
            commit = hub.pin(rest, repo_type)
            repo, _ = hub.split_name(rest)
            fingerprint = of_value(["hub", repo_type, repo, commit])
            kind = "remote" if "remote" in kinds else f"hub-{repo_type}"
            return Input(ref, kind, Path(), fingerprint, revision=commit)
        case "https" | "http":
            return _url(ref, kinds, report, allowed_hosts)
        case _:
            what = f"{ref}: there are no references of the form {scheme}:…"
            raise AskError("ask.bad-reference", what, nearest(scheme, SCHEMES))


def _url(ref: str, kinds: tuple[str, ...], report: Callable[[str], None], allowed: Collection[str]) -> Input:
    """A file at a URL: pinned to its content by a sha256, or else to what its server says of it now."""
    if "remote" not in kinds:
        fix = "fetch it first (`burnish fetch URL`, or a step with `stage: fetch`), and use those rows"
        raise AskError("ask.wrong-kind", f"{ref} is a URL, which this stage does not read", fix)
    pinned = urls.pin(ref, allowed)
    if pinned.note:
        report(f"{ref} {pinned.note}")
    url, _ = urls.split_checksum(ref)
    content = ["sha256", pinned.sha256, Path(urlsplit(url).path).name] if pinned.sha256 else ["url", url]
    return Input(ref, "remote", Path(), of_value([*content, pinned.validator]), revision=pinned.validator)


def refuse_secret(text: str, subject: str, *, is_reference: bool) -> None:
    """Refuse a secret in text that is written to disk. AskError `ask.wrong-value`, which does not show it."""
    kind = secret_in(text, is_reference=is_reference)
    if kind:
        where = "Git uses its credential helper, GIT_ASKPASS or ~/.netrc" if text.startswith("git:") else ""
        where = where or "tokens are read from the environment, such as HF_TOKEN"
        raise AskError("ask.wrong-value", f"{subject} contains {kind}, and is written to disk", f"remove it: {where}")


def fetched(value: Input, *, weights: bool = True, downloads: bool = True) -> Input:
    """The same input with its files on disk: downloads hub names, and an adapter's base from the hub.

    Without `weights`, of models only what their tokenizers need. Errors: without `downloads`, AskError
    `ask.not-allowed` for what is not in the cache; else MachineError `machine.no-network`.
    """
    if value.kind == "adapter" and value.base is not None:
        base = fetched(value.base, weights=weights, downloads=downloads)
        return replace(value, inputs={**value.inputs, "base": base})
    kind = _COMMON_KINDS.get(value.kind)
    if kind is None:
        return value
    name, repo_type = value.ref.removeprefix("hub:"), value.kind.removeprefix("hub-")
    if downloads:
        path = hub.fetch(name, value.revision, repo_type, weights=weights)
    elif (path := hub.cached(name, value.revision, repo_type)) is None:
        what = f"{value.ref} at {value.revision} is not in the hub's cache of this machine, and may not be downloaded"
        raise AskError("ask.not-allowed", what, "ask with a token of scope run, which downloads it")
    kind = "adapter" if kind == "model" and (path / "adapter_config.json").is_file() else kind
    return replace(value, kind=kind, path=path)


def folder_kind(path: Path) -> str:
    """The kind of a folder, by its files."""
    if (path / "adapter_config.json").is_file():
        return "adapter"
    if _is_model(path):
        return "model"
    if any((path / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json", "tokenizer.model")):
        return "tokenizer"
    if (path / "stats.json").is_file() and any(path.glob("*.parquet")):
        return "dataset"
    if _is_rows(path):
        return "rows"
    if (path / "reference.json").is_file() and (path / "log_probs.parquet").is_file():
        return "log-probabilities"
    if len(list(path.glob("*.gguf"))) == 1:
        return "gguf"
    if (path / "items.jsonl").is_file():
        for name, kind in (("metrics.json", "evaluation"), ("comparison.json", "comparison")):
            if (path / name).is_file():
                return kind
    return "folder"


def _is_rows(path: Path) -> bool:
    """True for a folder whose manifest says that it holds rows that `fetch` or `clean` wrote."""
    manifest = path / "manifest.json"
    if not manifest.is_file():
        return False
    with manifest.open("rb") as file:
        return _ROWS.match(file.read(_MAX_HEAD)) is not None


def _is_model(path: Path) -> bool:
    """True for a folder with `config.json`, unless that has no model keys and the other files are not weights."""
    config = path / "config.json"
    if not config.is_file():
        return False
    others = [file for file in path.iterdir() if file.name != config.name]
    if not others or any(file.suffix in _WEIGHTS for file in others) or config.stat().st_size > _MAX_CONFIG_BYTES:
        return True
    try:
        content: Any = json.loads(config.read_bytes())
    except (ValueError, RecursionError, OSError):
        return True  # broken: loading the model reports the file
    return isinstance(content, dict) and not _MODEL_CONFIG_KEYS.isdisjoint(cast(dict[str, Any], content))


def check_kind(value: Input, kinds: tuple[str, ...], field: str, place: str = "") -> None:
    """Refuse an input of a kind that the field does not accept, before anything runs; `place` is for the message."""
    kind = _COMMON_KINDS.get(value.kind, value.kind)
    if kind == "git":
        kind = "folder"
    if kind not in kinds:
        is_of_a_model = kind == "gguf" and "model" in kinds
        raise AskError(
            "ask.wrong-kind",
            at(place, f"'{field}' expects {' or '.join(kinds)}, but {value.ref} is a {value.kind}"),
            f"set {field} to {'the model that it was made from' if is_of_a_model else f'a {kinds[0]}'}",
        )


def refuse_runs_within(ref: str, workspace: Workspace) -> None:
    """Refuse a folder that contains `runs/`: it changes with every step, and outputs would be read as data."""
    if not ref.startswith("file:"):
        return
    path = resolved(workspace.root / of_reference(ref[5:]))
    if any(runs.is_relative_to(path) for runs in (workspace.runs, workspace.runs.resolve())):
        raise AskError(
            "ask.bad-reference",
            f"{ref} contains the workspace's runs, which change while a step reads",
            "move the data to its own folder and use that, or name the files",
        )


def _file(ref: str, path: Path, known: dict[str, Any]) -> Input:
    try:
        return _file_or_folder(ref, path, known)
    except OSError as error:
        what = f"{ref}: {error.filename or path} cannot be read ({error.strerror})"
        raise AskError("ask.bad-reference", what, "check its permissions, or use other files") from error


def _refuse_special(ref: str, path: Path) -> None:
    """Refuse devices, pipes and kernel files, which have no end or no fixed content."""
    real = path.resolve()
    kind = ""
    if not (path.is_file() or path.is_dir()):
        kind = "neither a regular file nor a folder"
    elif any(real.is_relative_to(folder) for folder in _KERNEL_FOLDERS):
        kind = "a kernel file, not data"
    if kind:
        fix = "copy its content to a regular file and use that"
        raise AskError("ask.bad-reference", f"{ref}: {path} is {kind}", fix)


def _file_or_folder(ref: str, path: Path, known: dict[str, Any]) -> Input:
    refuse_undecodable(path, ref)
    if not path.exists():
        if path.is_symlink():
            fix = "correct the link, or use the file itself"
            raise AskError("ask.bad-reference", f"{ref}: {path} is a link that leads to no file", fix)
        forward = Path(str(path).replace("\\", "/"))
        if forward != path and forward.exists():
            fix = f"write it with forward slashes, which every system reads: {ref.replace(chr(92), '/')}"
            raise AskError("ask.bad-reference", f"{ref}: there is no file or folder {path}", fix)
        parent = path.parent
        names = [p.name for p in parent.iterdir()] if parent.is_dir() else []
        raise AskError(
            "ask.bad-reference",
            f"{ref}: there is no file or folder {path}",
            nearest(path.name, names) if names else f"there is no folder {parent} either; check the path",
        )
    _refuse_special(ref, path)
    if path.is_dir():
        run = run_of_output(path.resolve())
        artifact = run.artifact() if run is not None else None
        if artifact is not None:
            return artifact.as_input(ref)
        checkpoint = KeptCheckpoint.at(path.resolve())
        if checkpoint is not None:
            return checkpoints.as_input(ref, checkpoint, known)
        kind = folder_kind(path)
        return Input(ref, kind, path.resolve(), of_path(path, known, kind))
    return Input(ref, "gguf" if path.suffix == ".gguf" else "file", path.resolve(), of_path(path, known))


def built_ins() -> dict[str, Path]:
    """The models shipped with burnish, by name."""
    root = Path(str(files("burnish") / "builtin"))
    return {folder.name: folder for folder in root.iterdir() if folder.is_dir()}


def _built_in(ref: str, name: str, known: dict[str, Any]) -> Input:
    known_models = built_ins()
    if name not in known_models:
        raise AskError("ask.bad-reference", f"there is no built-in model '{name}'", nearest(name, known_models))
    path = known_models[name]
    kind = folder_kind(path)
    return Input(ref, kind, path, of_path(path, known, kind))


def _artifact(ref: str, kinds: tuple[str, ...], workspace: Workspace, report: Callable[[str], None]) -> Input:
    """`recipe.step@3` is the artifact that run 3 of the recipe wrote or reused for that step.

    `@latest` is the artifact of the newest run that has one; newer runs without one are reported. A name without a dot
    is one of the registry.
    """
    name, _, version = ref.rpartition("@")
    if "." not in name and name in Registry(workspace).names():
        return _registered(ref, workspace, report)
    recipe, _, step = name.rpartition(".")
    skipped: list[str] = []
    for number in workspace.numbers(recipe):
        if version not in ("latest", str(number)):
            continue
        run = workspace.steps_of(recipe, number).get(step)
        artifact = run.artifact() if run is not None and run.out.is_dir() else None
        if run is not None and artifact is not None:
            if skipped:
                report(f"{ref} is from run {recipe}/{number}: {_listed(skipped)}")
            return replace(artifact.as_input(ref), revision=run.name)
        skipped.append(f"{recipe}/{number} has none ({_why_none(run)})")
    known = artifact_names(workspace)
    fitting = [key for key, kind in known.items() if kind in kinds] or list(known)
    why = f": {_listed(skipped)}" if skipped else ""
    none = f"{workspace.root} has none yet: run a recipe, or name another folder with --workspace"
    fix = _unfinished(ref, workspace) or (nearest(ref, fitting) if fitting else none)
    raise AskError("ask.bad-reference", f"there is no artifact '{ref}'{why}", fix)


def _unfinished(ref: str, workspace: Workspace) -> str:
    """A fix that names the newest checkpoint of a run without an artifact; empty if it has none."""
    with contextlib.suppress(BurnishError):
        if kept := checkpoints.kept_checkpoints(_run_of(ref, workspace)):
            return f"resume the run, or name one of its checkpoints: {ref}/step-{kept[-1].step}"
    return ""


def _run_of(ref: str, workspace: Workspace) -> Run:
    """The run that `recipe.step@3` names, finished or not; `@latest` is the newest that has started."""
    name, _, version = ref.rpartition("@")
    recipe, _, step = name.rpartition(".")
    for number in workspace.numbers(recipe):
        run = workspace.steps_of(recipe, number).get(step) if version in ("latest", str(number)) else None
        if run is not None and (run.folder / "run.json").is_file():
            return run
    what = f"there is no run of '{ref}'"
    raise AskError("ask.bad-reference", what, "name a run that has started; see `burnish runs list`")


def _registered(ref: str, workspace: Workspace, report: Callable[[str], None]) -> Input:
    """`name@3`, `name@latest`, `name@production` or `name@TAG` of the registry, pinned to the version."""
    version = Registry(workspace).version(ref)
    if version.stage == "retired":
        report(f"{version.ref} is retired")
    record = version.record
    if record["files"] is None:  # on a hub
        pinned = f"{record['artifact']['ref'].partition('@')[0]}@{record['artifact']['revision']}"
        return Input(
            pinned, f"hub-{version.kind}", Path(), version.fingerprint, revision=record["artifact"]["revision"]
        )
    refuse_damage(version.ref, record, workspace.root, workspace.hashes())
    path = path_of(record, workspace.root)
    run = run_of_output(path)
    artifact = run.artifact() if run is not None else None
    if artifact is not None and artifact.fingerprint == version.fingerprint:
        return replace(artifact.as_input(ref), revision=version.ref)
    digest = record["digest"] if run is not None else ""
    return Input(ref, version.kind, path, version.fingerprint, revision=version.ref, digest=digest)


def _listed(skipped: list[str]) -> str:
    older = len(skipped) - 3
    more = [f"and {older} older run{'s' if older > 1 else ''}"] if older > 0 else []
    return ", ".join([*skipped[:3], *more])


def _why_none(run: Run | None) -> str:
    if run is None:
        return "not a step of that run"
    if not (run.folder / "run.json").is_file():
        return "the step did not start"
    return "its output is missing" if run.state == "succeeded" else f"the step is {run.state}"


def artifact_names(workspace: Workspace) -> dict[str, str]:
    """Every `recipe.step@number` and every `name@version` of the registry, and their kinds."""
    found: dict[str, str] = Registry(workspace).references()
    for recipe in workspace.recipes():
        for number in workspace.numbers(recipe):
            with contextlib.suppress(BurnishError):  # a broken record: suggestions need not be complete
                for step, run in workspace.steps_of(recipe, number).items():
                    artifact = run.artifact()
                    if artifact is not None:
                        found[f"{recipe}.{step}@{number}"] = artifact.kind
    return found


def inputs_as_fingerprints(inputs: Mapping[str, Input]) -> dict[str, str]:
    return {path: value.fingerprint for path, value in inputs.items()}
