"""The names that files and keys of a dataset have for its splits, as the Hugging Face Hub reads them."""

import re
from pathlib import PurePosixPath

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "eval": "validation",
    "test": "test",
    "testing": "test",
}
_WORD = re.compile(r"[a-z]+")


def split_by_name(name: str) -> str:
    """The split that a file's path names: `train` of `data/train-00000-of-00002.parquet`."""
    path = PurePosixPath(name)
    for part in (path.name.partition(".")[0], *reversed(path.parent.parts)):
        for word in _WORD.findall(part.lower()):
            if word in SPLIT_NAMES:
                return SPLIT_NAMES[word]
    return ""
