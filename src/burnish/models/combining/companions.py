"""The files beside the weights of combined adapters: equal ones are kept, and of others those of the first.

What decides ids and prompts is compared by `fit`; stop tokens must be equal too, and every licence is kept.
"""

import re
import shutil
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from burnish.core.errors import ModelError
from burnish.core.fingerprint import NOTICES
from burnish.models.bases import Source, folder_of
from burnish.models.companions import COPIED, copy_companions
from burnish.models.weights import read_json

_COMPARED = (
    *("tokenizer.json", "vocab.json", "vocab.txt", "merges.txt", "*.model", "*.tiktoken", "chat_template.jinja"),
    *NOTICES,
)
"""Files that `fit` compares, and those that are all kept."""
_GENERATION, _STOP = "generation_config.json", "eos_token_id"


def other_companions(adapters: Mapping[str, Source], base: Source) -> list[str]:
    """A warning for each file that is not equal in all adapters, by their names; one without it has its base's.

    Errors: ModelError `model.wrong-adapter` where they stop at other tokens, or a file is not JSON.
    """
    folders = {name: folder_of(adapter) for name, adapter in adapters.items()}
    names = sorted({file for folder in folders.values() for file in _files(folder)})
    warnings: list[str] = []
    for file in (name for name in names if not any(fnmatchcase(Path(name).name, each) for each in _COMPARED)):
        found = {name: _content(folder / file, folder_of(base) / file) for name, folder in folders.items()}
        kept = next(name for name, folder in folders.items() if (folder / file).is_file())
        for name, content in found.items():
            keys = sorted(key for key in content | found[kept] if content.get(key) != found[kept].get(key))
            if file == _GENERATION and _STOP in keys:
                raise ModelError(
                    "model.wrong-adapter",
                    f"the adapters {kept} and {name} stop at other tokens: {_STOP} in {file} is "
                    f"{found[kept].get(_STOP)} and {content.get(_STOP)}",
                    f"write the same {_STOP} into {file} of both",
                )
            if keys:
                named = f" ({', '.join(keys[:4])})" if file.endswith(".json") else ""
                warnings.append(f"{file} of {name} differs from that of {kept}{named}: that of {kept} is kept")
    return warnings


def write_companions(adapters: Mapping[str, Source], out: Path) -> None:
    """Copy the files of the first adapter that has them, and each other licence under the name of its adapter."""
    for adapter in reversed(list(adapters.values())):
        copy_companions(folder_of(adapter), out)
    for name, adapter in adapters.items():
        suffix = re.sub(r"[^\w.@-]+", "-", name)
        for file in (file for pattern in NOTICES for file in folder_of(adapter).glob(pattern)):
            if file.read_bytes() != (out / file.name).read_bytes():
                shutil.copyfile(file, out / f"{file.stem}-{suffix}{file.suffix}")


def _files(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for pattern in COPIED for file in folder.glob(pattern)}


def _content(own: Path, of_base: Path) -> dict[str, Any]:
    """The keys of a JSON file, or a text under one key; empty if neither the adapter nor its base has it."""
    file = own if own.is_file() else of_base
    if not file.is_file():
        return {}
    return dict(read_json(file)) if file.suffix == ".json" else {"text": file.read_bytes()}
