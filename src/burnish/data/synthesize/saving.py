"""Copies of a prepared dataset for other tools: JSON Lines, and a folder that `datasets.load_from_disk` reads."""

import json
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from burnish.core.errors import MachineError
from burnish.core.files import write_lines
from burnish.data.dataset import read_rows, splits
from burnish.data.document import Row

_TURNS = ("messages", "chosen", "rejected", "completion")


def refuse_missing(formats: Sequence[str]) -> None:
    """MachineError `machine.no-package` if `dataset_dict` is requested and `datasets` is not installed."""
    if "dataset_dict" in formats and find_spec("datasets") is None:
        what = "save_as: dataset_dict needs the package `datasets`, which is not installed"
        raise MachineError("machine.no-package", what, "pip install datasets, or write save_as: jsonl")


def save_jsonl(folder: Path) -> None:
    """Write `jsonl/SPLIT.jsonl` beside the splits of a prepared dataset: rows of the shape in contracts.md."""
    (folder / "jsonl").mkdir()
    for split in splits(folder):
        write_lines(folder / "jsonl" / f"{split}.jsonl", read_rows(folder, split))


def save_dataset_dict(folder: Path, scratch: Path) -> None:
    """Write `dataset_dict/`: a `datasets.DatasetDict` with the columns of a row. `tools` and `extra` are JSON strings.

    `datasets` would fill keys that a tool or an `extra` lacks with null.
    """
    import datasets

    shows = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        parts: dict[Any, Any] = {split: _dataset(folder, split, scratch) for split in splits(folder)}
        datasets.DatasetDict(parts).save_to_disk(str(folder / "dataset_dict"))
    finally:
        if shows:
            datasets.enable_progress_bars()


def _dataset(folder: Path, split: str, scratch: Path) -> Any:
    from datasets import Dataset, Features, Value

    text = Value("string")
    call = {"id": text, "type": text, "function": {"name": text, "arguments": text}}
    turn = {
        **dict.fromkeys(("role", "content", "reasoning_content", "name", "tool_call_id"), text),
        "tool_calls": [call],
        "weight": Value("float64"),
    }
    columns: dict[str, Any] = dict.fromkeys(("id", "source", "kind", "tag", "text", "tools", "extra"), text)
    columns |= {"label": Value("bool"), **{name: [turn] for name in _TURNS}}
    there = {name for row in read_rows(folder, split) for name in row}
    features = Features({name: kind for name, kind in columns.items() if name in there})

    def rows() -> Iterator[dict[str, Any]]:
        for row in read_rows(folder, split):
            yield _flat(row, list(features), turn)

    return Dataset.from_generator(
        rows, features=features, cache_dir=str(scratch / "datasets"), fingerprint=f"burnish-{split}"
    )


def _flat(row: Row, names: list[str], turn: dict[str, Any]) -> dict[str, Any]:
    """A row with every column and every key of a turn, as `datasets` wants them."""
    flat: dict[str, Any] = {name: row.get(name) for name in names}
    for name in ("tools", "extra"):
        if flat.get(name) is not None:
            flat[name] = json.dumps(flat[name], ensure_ascii=False)
    for name in _TURNS:
        if flat.get(name) is not None:
            flat[name] = [{key: _calls(message, key) for key in turn} for message in flat[name]]
    return flat


def _calls(message: dict[str, Any], key: str) -> Any:
    if key != "tool_calls" or message.get(key) is None:
        return message.get(key)
    return [{"id": None, **call} for call in message[key]]
