"""GGUF files of models and adapters, made once for llama.cpp and kept in the workspace's cache.

cache/gguf/KEY/NAME-TYPE.gguf   and beside it what `burnish gguf` writes, and made.json: sizes, hashes, certificate
"""

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from burnish.core.catalog import stage
from burnish.core.context import Context, Input
from burnish.core.errors import ModelError, RunError
from burnish.core.events import Note
from burnish.core.files import file_size, publish_folder, read_json, write_json
from burnish.core.fingerprint import of_path, of_value
from burnish.core.inputs.checks import Stamp, check_input, refuse_rewritten, stamps
from burnish.core.runs.workspace import Workspace
from burnish.models.bases import chain_of, folder_of, is_adapter
from burnish.models.engines.llama.library import VERSION
from burnish.specs.ship import GgufSpec
from burnish.specs.ship.gguf import GgufType
from burnish.stages.ship import gguf
from burnish.stages.ship.names import file_name

_RECORD = "made.json"


@dataclass(frozen=True)
class CachedFile:
    """A GGUF file, and the certificate of its making, if it has one."""

    path: Path
    certificate: Mapping[str, Any] | None


def cached_gguf(
    ctx: Context, source: Input, kind: GgufType, *, certify: bool, form: Literal["model", "lora"] = "model"
) -> CachedFile:
    """The file of a model, made if it is not in the cache, or is damaged there.

    Errors: those of the stage `gguf`; RunError `run.interrupted` if a stop is requested, `run.input-changed` if the
    model changes meanwhile.
    """
    named = {"form": form, "type": kind if form == "model" else "F32", "certified": certify}
    links = [_Link(link) for link in chain_of(source)]
    contents = [link.content for link in links]
    key = of_value({**named, "contents": contents, "stage": stage("gguf").version, "llama.cpp": VERSION})[:32]
    folder = ctx.cache / "gguf" / key
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.with_suffix(".lock"), ctx):
        found = _kept(folder, ctx)
        if found is not None:
            ctx.emit(Note(text=f"{source.ref}: {found.path.name} of the cache, {_certified(found)}"))
            return found
        return _made(ctx, source, links, folder, kind, form, certify)


class _Link:
    """A model or adapter that a file is made of: what its files are known by, and whether they are still those."""

    def __init__(self, source: Input | Path):
        self._source, self._folder = source, folder_of(source)
        self._kind = "adapter" if is_adapter(self._folder) else "model"
        self._stamps = self._stamped()
        self.content = source.content if isinstance(source, Input) and source.content else self._of_files({})

    def refuse_change(self, known: dict[str, Any]) -> None:
        """Refuse files that are not those of `content`, or were written since. `known` caches hashes.

        Errors: those of `check_input`.
        """
        if isinstance(self._source, Input) and self._source.content:
            check_input(self._source, known, other_base=True)
        elif self._of_files(known) != self.content:
            what = f"{self._folder} changed while a GGUF file was made of it"
            raise RunError("run.input-changed", what, "run it again, and do not change the model during the run")
        refuse_rewritten(str(self._folder), self._stamps, self._stamped())

    def _stamped(self) -> dict[str, Stamp]:
        return stamps(self._folder, self._kind)

    def _of_files(self, known: dict[str, Any]) -> str:
        return of_path(self._folder, known, self._kind)


def _made(
    ctx: Context,
    source: Input,
    links: Sequence[_Link],
    folder: Path,
    kind: GgufType,
    form: Literal["model", "lora"],
    certify: bool,
) -> CachedFile:
    partial = folder.with_suffix(".part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    ctx.emit(Note(text=f"{source.ref}: making a GGUF file for llama.cpp; it is kept in the cache"))
    name = file_name(source)
    settings: dict[str, Any] = {"type": kind} if form == "model" else {"form": form}
    spec = GgufSpec(model=source.ref, name=name if name[0].isalnum() else "model", certify=certify, **settings)
    try:
        inner = replace(ctx, out=partial, inputs={"model": source}, check_settings=lambda: None)
        certificate = gguf.run(spec, inner).certificate
        [file] = partial.glob("*.gguf")
        files = {path.name: [path.stat().st_size, _hash(path)] for path in partial.iterdir()}
        known = Workspace(ctx.cache.parents[1]).hashes()
        for link in links:
            link.refuse_change(known)
        write_json(partial / _RECORD, {"model": source.ref, "files": files, "certificate": certificate})
        publish_folder(partial, folder)
    except ModelError as error:
        shutil.rmtree(partial, ignore_errors=True)
        if form == "lora":
            fix = f"serve it alone, merged into its base: burnish serve {source.ref}"
            raise ModelError(error.code, f"{source.ref}: {error.what}", fix) from error
        raise
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    found = CachedFile(folder / file.name, certificate)
    size = file_size(found.path.stat().st_size)
    ctx.emit(Note(text=f"{source.ref}: {file.name}, {size}, {_certified(found)}: {found.path}"))
    return found


def _kept(folder: Path, ctx: Context) -> CachedFile | None:
    """The file of the cache; None if there is none, or, with a warning, if it is damaged."""
    if not folder.is_dir():
        return None
    try:
        record = read_json(folder / _RECORD)
        for name, (size, digest) in record["files"].items():
            path = folder / name
            if path.stat().st_size != size or _hash(path) != digest:
                raise ValueError(f"{name} is not as it was written")
        [file] = [folder / name for name in record["files"] if name.endswith(".gguf")]
        return CachedFile(file, record["certificate"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        text = f"the GGUF file in {folder} is damaged, and made again: {error}"
        ctx.emit(Note(level="warning", text=text))
        shutil.rmtree(folder)
        return None


class _locked:  # noqa: N801 (a context manager)
    """Hold a lock; another process may make the same file for minutes. A stop that is requested ends the wait."""

    def __init__(self, path: Path, ctx: Context):
        self._lock, self._ctx = FileLock(path), ctx

    def __enter__(self) -> None:
        is_reported = False
        while True:
            try:
                self._lock.acquire(timeout=0.5)
                return
            except Timeout:
                if self._ctx.stopping:
                    raise RunError("run.interrupted", "stopped while another process made the GGUF file", "") from None
            if not is_reported:
                is_reported = True
                self._ctx.emit(Note(text="waiting: another process makes the same GGUF file"))

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def _certified(found: CachedFile) -> str:
    if found.certificate is None:
        return "not certified"
    return f"certified as the {found.certificate['change']} of {found.certificate['parent']['ref']}"


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
