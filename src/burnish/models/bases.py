"""Resolves the base of an adapter: its location, the chain down to the full model, and whether it is the right one.

base_of(adapter)       the artifact's own input, a folder, or a name in the hub's cache
chain_of(adapter)      adapter → its base → … → full model; a cycle is an error

The base is compared with the hashes in `burnish_base.json` (`core.inputs.checks.check_base`).
"""

from collections.abc import Iterator
from pathlib import Path

from burnish.core.context import Input
from burnish.core.errors import BurnishError, ModelError
from burnish.core.fingerprint import BASE_RECORD
from burnish.core.inputs import hub
from burnish.core.inputs.checks import check_base
from burnish.core.paths import expanded
from burnish.models.weights import ADAPTER_CONFIG, read_json

Source = Input | Path


def folder_of(source: Source) -> Path:
    """The folder of a source."""
    return source.path if isinstance(source, Input) else source


def is_adapter(folder: Path) -> bool:
    """True when the folder holds an adapter as PEFT saves it."""
    return (folder / ADAPTER_CONFIG).is_file()


def base_of(source: Source) -> Source:
    """The base of an adapter: the artifact's own input `base`, or else `base_model_name_or_path` of PEFT's config.

    A name that is not a folder is a name on the hub, read from its cache at the recorded revision or fetched.
    Errors: ModelError `model.not-found` when neither resolves to a folder, `model.wrong-adapter` for a base that
    differs from `burnish_base.json`. An artifact's own input is checked when the artifact is resolved.
    """
    folder = folder_of(source)
    if isinstance(source, Input) and source.base is not None:
        return source.base
    config = read_json(folder / ADAPTER_CONFIG)
    named, revision = config.get("base_model_name_or_path"), config.get("revision")
    if not isinstance(named, str) or not named:
        raise _not_found(folder, f"{ADAPTER_CONFIG} names none")
    try:
        candidates = (expanded(named), folder / named)
    except BurnishError as error:  # such as a path of another machine
        raise _not_found(folder, f"{ADAPTER_CONFIG} names {error.what}") from error
    for candidate in candidates:
        if is_adapter(candidate) or (candidate / "config.json").is_file():
            check_base(folder, candidate)
            return candidate
    name = f"{named}@{revision}" if isinstance(revision, str) and revision else named
    try:
        commit = hub.pin(name, "model")
        path = hub.fetch(name, commit, "model")
    except BurnishError as error:
        raise _not_found(
            folder, f"{ADAPTER_CONFIG} names '{named}', which is not a folder, and: {error.what}"
        ) from error
    check_base(folder, path)
    kind = "adapter" if is_adapter(path) else "model"
    return Input(f"hub:{named}@{commit}", kind, path, revision=commit)


def chain_of(source: Source) -> list[Source]:
    """The source, then its base, and so on down to the full model, which is last.

    Errors: those of `base_of`; ModelError `model.broken` for an adapter that is its own base.
    """
    return list(_links(source))


def _links(source: Source) -> Iterator[Source]:
    seen: set[Path] = set()
    while True:
        place = folder_of(source).resolve()
        if place in seen:
            raise ModelError(
                "model.broken",
                f"the adapter {place} is its own base: following base_model_name_or_path leads back to it",
                "set base_model_name_or_path to the folder of the model that it was trained on",
            )
        seen.add(place)
        yield source
        if not is_adapter(place):
            return
        source = base_of(source)


def whole_model(source: Source) -> Source:
    """The full model below a source; the source itself when it is not an adapter."""
    return chain_of(source)[-1]


def tokenizer_folder(source: Source) -> Path:
    """The folder of a model's tokenizer: its own, or the base's for an adapter saved without one."""
    folder = folder_of(source)
    for link in _links(source):
        folder = folder_of(link)
        if (folder / "tokenizer_config.json").is_file():
            break
    return folder


def other_name(adapter: Path, base: Source) -> str | None:
    """A warning when `base` has another name than the adapter's config records, and no hashes are recorded."""
    named = read_json(adapter / ADAPTER_CONFIG).get("base_model_name_or_path")
    if (adapter / BASE_RECORD).is_file() or not isinstance(named, str):
        return None
    given = _name(base).removeprefix("hub:").removeprefix("file:").partition("@")[0]
    alike = Path(given).name == Path(named).name or folder_of(base).resolve() == expanded(named).resolve()
    return None if alike else f"the adapter {adapter} names '{named}' as its base, but is used with {_name(base)}"


def _name(base: Source) -> str:
    return base.ref if isinstance(base, Input) else str(base)


def _not_found(folder: Path, why: str) -> ModelError:
    return ModelError(
        "model.not-found",
        f"the base of the adapter {folder} was not found: {why}",
        "pass the base with --base (burnish merge), or set base_model_name_or_path to its folder",
    )
