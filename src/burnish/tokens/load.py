"""Load a tokenizer from a local folder without running its code."""

import json
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from burnish.core.errors import ModelError
from burnish.core.faults import reason


def load_tokenizer(path: Path) -> PreTrainedTokenizerBase:
    """Load the tokenizer saved in `path`.

    Raises ModelError `model.not-found` if the folder is missing, `model.remote-code` if it requires custom code, and
    `model.broken` if its files cannot be read.
    """
    if not path.is_dir():
        raise ModelError("model.not-found", f"{path}: no such folder", "check the path of the model or tokenizer")
    _refuse_broken_config(path / "config.json")
    if _wants_code(path):
        raise ModelError(
            "model.remote-code",
            f"{path}: the tokenizer requires custom code (auto_map in tokenizer_config.json), which is refused",
            "convert it to tokenizer.json: load the model where you trust its code, and save the fast tokenizer",
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # transformers raises many types for invalid files
        raise ModelError(
            "model.broken",
            f"{path}: the tokenizer cannot be loaded: {reason(error)}",
            "check that the folder has tokenizer.json and tokenizer_config.json, or copy the model again",
        ) from error
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        raise ModelError("model.broken", f"{path}: not a text tokenizer", "use the folder of a language model")
    return tokenizer


def _refuse_broken_config(config: Path) -> None:
    """Refuse an invalid config.json of the model: transformers reads it to find the tokenizer's class."""
    if not config.is_file():
        return
    try:
        settings = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError("model.broken", f"{config}: not valid JSON: {error}", "copy the model again") from error
    if not isinstance(settings, dict):
        raise ModelError("model.broken", f"{config}: not a JSON object", "copy the model again")


def _wants_code(path: Path) -> bool:
    """Whether it names a custom tokenizer class and has no tokenizer.json that could be loaded without it."""
    config = path / "tokenizer_config.json"
    if not config.is_file():
        return False
    try:
        settings = json.loads(config.read_text(encoding="utf-8"))
        if not isinstance(settings, dict):
            raise ValueError(f"an object is expected, not {type(settings).__name__}")
    except (OSError, ValueError) as error:
        raise ModelError("model.broken", f"{config}: not valid JSON: {error}", "copy the model again") from error
    return "AutoTokenizer" in (settings.get("auto_map") or {}) and not (path / "tokenizer.json").is_file()
