"""The files beside the weights of a model that was made from others: its config, tokenizer, template and licence."""

import json
import shutil
from pathlib import Path
from typing import Any

from burnish.core.fingerprint import NOTICES

COPIED = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "vocab.txt", "merges.txt", "*.model", "*.tiktoken"),
    *("chat_template.jinja", "chat_template.json", "additional_chat_templates/*.jinja"),
    *("generation_config.json", "preprocessor_config.json", "processor_config.json"),
    *NOTICES,
)


def write_config(config: dict[str, Any], out: Path, dtype: str, untied: bool, rows: int | None = None) -> None:
    """Write config.json; `rows` are those of the embedding, if tokens were trained."""
    for part in (config, config.get("text_config", {})):
        if rows is not None and "vocab_size" in part:
            part["vocab_size"] = rows
        if dtype != "keep":
            part.update({key: dtype for key in ("dtype", "torch_dtype") if key in part})
        if untied and (part is config or "tie_word_embeddings" in part):
            part["tie_word_embeddings"] = False
    if dtype != "keep" and "torch_dtype" not in config:
        config["dtype"] = dtype
    (out / "config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def copy_companions(folder: Path, out: Path) -> None:
    """Tokenizer, chat template, generation config and licence."""
    for pattern in COPIED:
        for file in folder.glob(pattern):
            target = out / file.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)


def copy_notices(folder: Path, out: Path, of: str) -> None:
    """Copy licence and notice files; one that differs from a file of its name there becomes `LICENSE-of`."""
    for file in sorted({file for pattern in NOTICES for file in folder.glob(pattern) if file.is_file()}):
        content, number, target = file.read_bytes(), 1, out / file.name
        while target.exists() and target.read_bytes() != content:
            target = out / f"{file.stem}-{of}{'' if number == 1 else f'-{number}'}{file.suffix}"
            number += 1
        shutil.copyfile(file, target)
