"""The files that loading and merging open are part of a model's fingerprint, and documentation is not opened."""

import os
import shutil
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from burnish.core.fingerprint import content_files
from burnish.core.inputs import dates, hub
from burnish.models.companions import COPIED
from burnish.models.load import load_model
from burnish.models.merge import merge_adapter
from burnish.specs.train import LoraSpec
from burnish.tokens.load import load_tokenizer

DOCUMENTATION = ("README.md", "README_CN.md", "README", ".gitattributes", "figures/loss.png", "NOTES.md")
NOTICES = ("LICENSE", "LICENSE.md", "NOTICE.txt")
_opened: list[str] | None = None


def _note(event: str, args: tuple[object, ...]) -> None:
    if _opened is not None and event == "open" and isinstance(args[0], str | bytes | os.PathLike):
        _opened.append(os.fsdecode(args[0]))


@pytest.fixture
def opened():
    """The paths that Python opens during the test."""
    global _opened
    if not getattr(sys, "_burnish_opens_are_noted", False):  # a hook cannot be removed
        sys.addaudithook(_note)
        sys._burnish_opens_are_noted = True
    _opened = []
    yield _opened
    _opened = None


def documented(folder: Path) -> Path:
    for name in (*DOCUMENTATION, *NOTICES):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("text")
    return folder


def test_loading_and_merging_open_only_files_that_the_fingerprint_covers(tmp_path, make_adapter, opened):
    base = Path(shutil.copytree(str(files("burnish") / "builtin" / "pocket"), tmp_path / "base"))
    folders = [documented(base), documented(make_adapter(base, LoraSpec(rank=2)))]
    opened.clear()
    load_model(folders[1])
    load_tokenizer(base)
    merge_adapter(folders[1], base, tmp_path / "merged")
    found = {Path(path).resolve() for path in opened}
    for folder, kind in zip(folders, ("model", "adapter"), strict=True):
        covered = {path.resolve() for path in content_files(folder, kind)}
        read = {path for path in found if path.is_relative_to(folder) and path.is_file()}
        assert folder / "LICENSE" in read, "the hook sees what is opened"
        assert read <= covered
        assert not covered & {folder / name for name in DOCUMENTATION}


@pytest.mark.parametrize("pattern", sorted({*COPIED, *hub._MODEL_FILES, *dates._TEMPLATES}))
def test_files_that_are_read_by_a_pattern_are_part_of_the_fingerprint(tmp_path, pattern):
    names = [pattern.replace("*", text) for text in ("", "a", ".md")] if "*" in pattern else [pattern]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("text")
    assert {str(file.relative_to(tmp_path)) for file in content_files(tmp_path, "model")} == set(names)
