"""Fingerprints of steps: sha256 over the stage, its version, its settings and its inputs' fingerprints.

Settings that only affect where or how fast a step runs (marked `Runtime`) are excluded. References are replaced by
the fingerprint of the content they point to.
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from burnish.core.paths import refuse_undecodable
from burnish.specs.base import Added, Runtime, Spec, Takes, fields_with

_BLOCK = 1 << 20
_SETTLED_NS = 2 * 10**9
"""The hash of a file that changed more recently than this is not cached: a second change within the same tick of the
file system's clock would not change its times (git calls such a file racily clean)."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMPRESSED = (".gz", ".zst")
BASE_RECORD = "burnish_base.json"
"""Written next to an adapter: the content of the base it was trained on."""
QUANTIZATION_RECORD = "burnish_quantization.json"
"""Written next to an adapter whose base was quantized in its training: how, and which layers."""
_MODEL_FILES = (
    *("config.json", "adapter_config.json", BASE_RECORD, QUANTIZATION_RECORD),
    *("*.safetensors", "*.safetensors.index.json"),
)
_MODEL_KINDS = ("model", "adapter", "tokenizer")
NOT_READ = (
    *("*.md", "README", "README.txt", "README.rst", ".gitattributes", ".gitignore"),
    *("*.png", "*.jpg", "*.jpeg", "*.gif", "*.webp", "*.svg", "*.pdf"),
)
"""Files of a model, adapter or tokenizer folder that no step reads, in any of its folders and in any case of letters.
See docs/decisions/0029-documentation-of-a-model-is-not-part-of-it.md."""
NOTICES = ("LICENSE*", "LICENCE*", "NOTICE*", "Notice*", "USE_POLICY*", "COPYING*")
"""Read although they are documentation: a model that is made from this one has copies of them."""
_DOWNLOAD_RECORDS = (".cache", "huggingface")
"""The folder of `hf download --local-dir`, which writes the time of each download."""


def of_step(stage: str, version: int, spec: Spec, inputs: Mapping[str, str]) -> str:
    """The fingerprint of a step; `inputs` maps dotted field paths to fingerprints."""
    settings = identifying_settings(spec, inputs)
    return of_value({"stage": stage, "version": version, "settings": settings, "inputs": dict(inputs)})


def identifying_settings(spec: Spec, inputs: Mapping[str, str]) -> dict[str, Any]:
    """The settings in a step's fingerprint: those that determine its output, and runtime settings that do so here."""
    settings = settings_of(spec, inputs)
    for path, mark, value in list(fields_with(spec, Runtime)):
        if not mark.excludes(value):
            settings[path] = value
    return settings


def settings_of(spec: Spec, inputs: Mapping[str, str]) -> dict[str, Any]:
    """The settings that determine a step's output, as plain JSON: without runtime settings and references.

    A setting that was added to a stage later counts from the first value other than None.
    """
    settings = spec.model_dump(mode="json")
    for path, _, value in list(fields_with(spec, Added)):
        if value is None:
            _remove(settings, path)
    for path, _, _ in list(fields_with(spec, Runtime)):
        _remove(settings, path)
    for path, _, value in list(fields_with(spec, Takes)):
        if isinstance(value, str) and path in inputs:
            _remove(settings, path)
    return settings


def flattened(values: Any, prefix: str = "") -> dict[str, Any]:
    """Flatten nested mappings: `{"a": {"b": 1}}` becomes `{"a.b": 1}`."""
    if not isinstance(values, dict):
        return {prefix.rstrip("."): values}
    flat: dict[str, Any] = {}
    for key, value in values.items():  # pyright: ignore[reportUnknownVariableType]
        flat |= flattened(value, f"{prefix}{key}.")
    return flat


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Every key whose values differ, with both; None where one lacks it."""
    return {key: [a.get(key), b.get(key)] for key in dict.fromkeys([*a, *b]) if a.get(key) != b.get(key)}


def of_value(value: Any) -> str:
    """sha256 of canonical JSON: sorted keys, no whitespace."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def of_path(path: Path, known: dict[str, Any], kind: str = "folder") -> str:
    """The fingerprint of a file (bytes and suffix, which decides how it is read) or folder (names and bytes).

    `kind` is that of the folder: `content_files` leaves out the documentation of a model. `known` caches hashes by
    size, times and inode, so that a large file is read once.
    """
    if path.is_file():
        return of_value([_suffix(path), of_file(path, known)])
    return of_value([[str(file.relative_to(path)), of_file(file, known)] for file in content_files(path, kind)])


def of_manifest(files: Mapping[str, Mapping[str, Any]], kind: str) -> str:
    """The fingerprint that a copy of an artifact's files has as a folder, from their recorded hashes."""
    names = sorted(path for path in map(PurePosixPath, files) if _is_content(path, kind))
    return of_value([[str(name), files[str(name)]["sha256"]] for name in names])


def content_files(folder: Path, kind: str = "folder") -> list[Path]:
    """The files that enter a folder's fingerprint: all but `.git`, and for a model, adapter or tokenizer `NOT_READ`.

    Errors: AskError `ask.wrong-value` for a name that is not UTF-8.
    """
    found = sorted(file for file in folder.rglob("*") if _is_content(file.relative_to(folder), kind) and file.is_file())
    for file in found:
        refuse_undecodable(file, str(folder))
    return found


def _is_content(file: PurePath, kind: str) -> bool:
    return ".git" not in file.parts and not (kind in _MODEL_KINDS and _is_never_read(file))


def _is_never_read(file: PurePath) -> bool:
    """Whether a file of a model folder, by its relative path, is a download record or documentation."""
    if file.parts[:2] == _DOWNLOAD_RECORDS:
        return True
    if any(fnmatchcase(file.name, pattern) for pattern in NOTICES):
        return False
    return any(fnmatchcase(file.name.lower(), pattern.lower()) for pattern in NOT_READ)


def of_model(folder: Path, known: dict[str, Any]) -> dict[str, str]:
    """sha256 by file name of the files that determine the weights of a model or adapter folder."""
    files = {path for pattern in _MODEL_FILES for path in folder.glob(pattern) if path.is_file()}
    return {path.name: of_file(path, known) for path in sorted(files)}


def of_file(path: Path, known: dict[str, Any]) -> str:
    """sha256 of a file's bytes, from `known` if its size, times and inode have not changed."""
    status = path.stat()
    stamp, key = stamp_of(status), os.path.realpath(path)
    before = known.get(key)
    match before:
        case [seen, str(digest)] if seen == stamp and _SHA256.fullmatch(digest):
            return digest
        case _:
            pass
    is_settled = time.time_ns() - status.st_ctime_ns > _SETTLED_NS
    content = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            content.update(block)
    if is_settled:
        known[key] = [stamp, content.hexdigest()]
    return content.hexdigest()


def stamp_of(status: os.stat_result) -> list[int]:
    """What changes when a file is changed or replaced: its size, times and inode."""
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _suffix(path: Path) -> str:
    """`.jsonl` for `rows.v2.jsonl`, `.jsonl.gz` for a compressed file; lower case."""
    endings = path.suffixes[-2:] if path.suffix.lower() in _COMPRESSED else path.suffixes[-1:]
    return "".join(endings).lower()


def _remove(settings: Any, path: str) -> None:
    """Remove the value at a dotted path from nested mappings and lists; a member of a list becomes None."""
    *parents, last = path.split(".")
    for part in parents:
        settings = settings[int(part) if part.isdigit() else part]
    if isinstance(settings, list):
        settings[int(last)] = None
    else:
        settings.pop(last, None)
