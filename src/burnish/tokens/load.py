"""Loads a tokenizer from a folder on this disk, and runs no code that came with it."""

import json
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from burnish.core.errors import ModelError
from burnish.core.faults import reason


def load_tokenizer(path: Path) -> PreTrainedTokenizerBase:
    """The tokenizer saved in `path`.

    Raises ModelError `model.not-found` when the folder is missing, `model.remote-code` when it wants to run code of
    its own, and `model.broken` when its files cannot be read.
    """
    if not path.is_dir():
        raise ModelError("model.not-found", f"{path}: no such folder", "check the path of the model or tokenizer")
    if _wants_code(path):
        raise ModelError(
            "model.remote-code",
            f"{path}: its tokenizer is Python code (auto_map in tokenizer_config.json), which is refused",
            "use a tokenizer.json: load the model once where you trust it, and save the fast tokenizer",
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # whatever transformers meets in files that others wrote
        raise ModelError(
            "model.broken",
            f"{path}: its tokenizer cannot be read: {reason(error)}",
            "a folder needs tokenizer.json and tokenizer_config.json: copy the model again",
        ) from error
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        raise ModelError("model.broken", f"{path}: holds no tokenizer of text", "name the folder of a language model")
    return tokenizer


def _wants_code(path: Path) -> bool:
    """Whether a tokenizer class of its own is named, and no tokenizer.json is there to be read without it."""
    config = path / "tokenizer_config.json"
    if not config.is_file():
        return False
    try:
        settings = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError("model.broken", f"{config}: is no readable JSON: {error}", "copy the model again") from error
    return "AutoTokenizer" in (settings.get("auto_map") or {}) and not (path / "tokenizer.json").is_file()
