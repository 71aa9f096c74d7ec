"""Whether adapters can be combined: one base, one tokenizer, one chat template, and no adapter twice."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from burnish.core.errors import ModelError
from burnish.core.fingerprint import BASE_RECORD, of_model
from burnish.core.inputs.checks import check_base
from burnish.core.runs.records import read_record
from burnish.models.adapters.attach import adapter_weights
from burnish.models.bases import Source, base_of, folder_of, other_name, tokenizer_folder
from burnish.models.weights import read_header, read_json

_ENDS = ("bos_token", "eos_token")
_OF_ENCODING = ("model", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder")
"""Parts of tokenizer.json that decide ids; padding and truncation are settings of its last use."""
_FILES = ("vocab.json", "vocab.txt", "merges.txt", "*.model", "*.tiktoken")


def common_base(adapters: Mapping[str, Source], given: Source | None) -> tuple[Source, list[str]]:
    """The base of all adapters, by their names, and warnings; `given` is the one that the user names.

    Two bases are the same if their files have the same hashes. Errors: ModelError `model.wrong-adapter`,
    `model.not-found`.
    """
    if given is not None:
        for adapter in adapters.values():
            check_base(folder_of(adapter), folder_of(given))
        return given, [text for adapter in adapters.values() if (text := other_name(folder_of(adapter), given))]
    found = {name: base_of(adapter) for name, adapter in adapters.items()}
    (first, base), *others = found.items()
    hashes: dict[str, Any] = {}
    for name, other in others:
        if folder_of(other).resolve() == folder_of(base).resolve():
            continue
        contents = [_content(adapters[each], found[each], hashes) for each in (first, name)]
        if contents[0] != contents[1]:
            files = sorted(key for key in contents[0] | contents[1] if contents[0].get(key) != contents[1].get(key))
            raise _different(
                first, name, f"on different bases, {_name(base)} and {_name(other)}: {', '.join(files[:3])}"
            )
    return base, []


def refuse_other_tokenizers(adapters: Mapping[str, Source]) -> None:
    """Refuse adapters whose tokenizers or chat templates differ: an adapter without one has its base's.

    Errors: ModelError `model.wrong-adapter` that names the tokens that only one has.
    """
    found = {name: _text_of(tokenizer_folder(adapter)) for name, adapter in adapters.items()}
    (first, expected), *others = found.items()
    for name, other in others:
        for part, value in expected.items():
            if other[part] != value:
                raise _different(first, name, f"with different {_differing(part, value, other[part])}")


def _differing(part: str, one: Any, other: Any) -> str:
    """The plural of a part, and for added tokens those that only one tokenizer has."""
    if part != "added tokens":
        return f"{part}s"
    texts = sorted({text for text, _ in one} ^ {text for text, _ in other})
    return f"added tokens: {', '.join(texts[:3])}" if texts else "ids of added tokens"


def refuse_twice(adapters: Mapping[str, Source]) -> None:
    """Refuse an adapter that is named twice: its weights would be added silently.

    Errors: ModelError `model.wrong-adapter`, or those of `adapter_weights`.
    """
    seen: dict[str, str] = {}
    for name, adapter in adapters.items():
        digest = _digest(adapter_weights(folder_of(adapter)))
        if digest in seen:
            raise ModelError(
                "model.wrong-adapter",
                f"the adapters {seen[digest]} and {name} have the same weights",
                "name it once, with the sum of its weights",
            )
        seen[digest] = name


def _digest(file: Path) -> str:
    read_header(file)  # its errors name a missing or truncated file
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _content(adapter: Source, base: Source, hashes: dict[str, Any]) -> dict[str, str]:
    """sha256 by file name of a base: as the adapter's training recorded it, or of the files."""
    record = folder_of(adapter) / BASE_RECORD
    return read_record(record)["files"] if record.is_file() else of_model(folder_of(base), hashes)


def _name(source: Source) -> str:
    return source.ref if not isinstance(source, Path) else str(source)


def _different(one: str, other: str, what: str) -> ModelError:
    return ModelError(
        "model.wrong-adapter",
        f"the adapters {one} and {other} were trained {what}",
        "combine adapters that were trained on one base, with one tokenizer and chat template",
    )


def _text_of(folder: Path) -> dict[str, Any]:
    """What of a tokenizer decides ids and prompts, by its name in messages."""
    settings = read_json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").is_file() else {}
    tokenizer = read_json(folder / "tokenizer.json") if (folder / "tokenizer.json").is_file() else {}
    parts = {part: tokenizer.get(part) for part in _OF_ENCODING}
    added = parts.pop("added_tokens") or []
    files = (
        {file.name: _digest_of(file) for pattern in _FILES for file in folder.glob(pattern)} if not tokenizer else {}
    )
    template = folder / "chat_template.jinja"
    return {
        "added tokens": sorted((token["content"], token["id"]) for token in added),
        "tokenizer": [json.dumps(parts, sort_keys=True), files],
        "chat template": template.read_text("utf-8") if template.is_file() else settings.get("chat_template"),
        **{end: _token(settings.get(end)) for end in _ENDS},
    }


def _token(value: Any) -> Any:
    return value.get("content") if isinstance(value, dict) else value


def _digest_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
