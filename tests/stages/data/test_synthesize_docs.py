"""`synthesize` from code and documentation: the rows of installed packages, and what the step says of them."""

import ast
import json
import re
import subprocess

import pytest

from burnish.core.context import Input
from burnish.core.errors import AskError, DataError
from burnish.core.inputs import packages
from burnish.core.inputs.references import resolve
from burnish.core.runs.workspace import Workspace
from burnish.data.dataset import read_rows, splits
from burnish.data.synthesize.docs.extractors.grammar import is_code
from burnish.data.synthesize.docs.reading import read
from burnish.specs.data import SynthesizeSpec
from burnish.stages.data.synthesize import run
from burnish.testing import temporary_context
from small_projects import GO

STANDARD = ("json", "heapq", "textwrap", "fractions", "difflib", "statistics")
INSTALLED = ("httpx", "jinja2", "click")


def package(name):
    found = packages.find(name)
    return Input(f"package:{name}", "package", found.root, found.fingerprint({}), revision=found.version)


@pytest.fixture
def synthesize(tmp_path):
    """Rows of inputs: gives (rows by split, stats, events, folder)."""

    def synthesize(inputs, name="run", save_as=(), **settings):
        sources = [{"ref": value.ref, **settings.pop("source", {})} for value in inputs]
        spec = SynthesizeSpec.model_validate(
            {"generator": {"kind": "docs", "sources": sources, **settings}, "save_as": list(save_as)}
        )
        named = {f"generator.sources.{number}.ref": value for number, value in enumerate(inputs)}
        context, events = temporary_context(tmp_path / name, named)
        run(spec, context)
        rows = {split: list(read_rows(context.out, split)) for split in splits(context.out)}
        return rows, json.loads((context.out / "stats.json").read_text()), events, context.out

    return synthesize


def every(rows):
    return [row for part in rows.values() for row in part]


def check_place(row, root):
    """The line of the source has the definition."""
    extra = row["extra"]
    line = (root / extra["file"]).read_text(encoding="utf-8").split("\n")[extra["line"] - 1]
    short = extra["name"].rpartition(".")[2]
    assert line.lstrip().startswith((f"def {short}(", f"async def {short}(", f"class {short}")), (row["source"], line)


def fences(text):
    """The code of every fence marked as Python."""
    inside, lines = "", []
    for line in text.split("\n"):
        if inside:
            if line == inside:
                yield "\n".join(lines)
                inside = ""
            else:
                lines.append(line)
        elif line.startswith("```") and line.strip("`") == "python":
            inside, lines = line.removesuffix("python"), []


def check_code(row):
    """What is given as an example or a definition parses."""
    if row["tag"] in ("fill_in_the_middle",):
        extra = row["extra"]
        ast.parse(extra["prefix"] + extra["middle"] + extra["suffix"])
        return
    if row["tag"] == "question_answer" and row["extra"]["question"] == "what":
        return  # the documentation as it is written
    for message in row.get("messages", ()):
        if row["tag"] != "tool_use":
            for code in fences(message["content"]):
                ast.parse(code)


@pytest.mark.parametrize("name", [*STANDARD, *INSTALLED])
def test_every_line_of_a_package_is_right_and_every_example_parses(name, synthesize):
    input = package(name)
    rows, stats, _, _ = synthesize([input], split={"validation": 0.1, "test": 0.1})
    assert stats["kept"] == len(every(rows)) > 10
    assert stats["read"] == stats["kept"] + sum(stats["dropped"].values())
    assert stats["files"]["found"] == stats["files"]["read"] + sum(stats["files"]["not_read"].values())
    for row in every(rows):
        check_place(row, input.path)
        check_code(row)
        assert row["extra"]["repository"] == f"package:{name}"
        assert row["extra"]["revision"] == input.revision
        assert row["extra"]["licence"]
    assert {row["tag"] for row in every(rows)} >= {"question_answer", "completion", "fill_in_the_middle", "tool_use"}


def test_a_module_that_may_be_replaced_by_one_in_c_gets_no_errors_that_python_would_not_raise(synthesize):
    rows, _, _, _ = synthesize([package("heapq")])  # it ends with `from _heapq import *`
    assert "error_and_fix" not in {row["tag"] for row in every(rows)}
    rows, _, _, _ = synthesize([package("textwrap")], name="other")
    assert "error_and_fix" in {row["tag"] for row in every(rows)}


def test_no_file_is_in_two_splits_and_shares_are_met(synthesize):
    rows, _, _, _ = synthesize([package("pydantic")], split={"validation": 0.1, "test": 0.2})
    files = {split: {row["extra"]["file"] for row in part} for split, part in rows.items()}
    assert not files["train"] & files["test"]
    assert not files["train"] & files["validation"]
    assert not files["test"] & files["validation"]
    total = len(every(rows))
    assert 0.15 < len(rows["test"]) / total < 0.25
    assert 0.05 < len(rows["validation"]) / total < 0.15


def test_the_same_seed_gives_the_same_rows_and_a_limit_samples_all_files(synthesize):
    first, stats, _, _ = synthesize([package("jinja2")], name="a", limit=100, seed=3)
    again, _, _, _ = synthesize([package("jinja2")], name="b", limit=100, seed=3)
    other, _, _, _ = synthesize([package("jinja2")], name="c", limit=100, seed=4)
    assert first == again
    assert first != other
    assert stats["kept"] == 100
    assert sum(stats["dropped"].values()) == stats["read"] - 100
    assert stats["dropped"]["beyond the limit"] > 1_000
    counts = [
        sum(row["extra"]["file"] == file for row in first["train"])
        for file in {row["extra"]["file"] for row in first["train"]}
    ]
    assert len(counts) > 12
    assert max(counts) < 20


def test_rows_are_saved_for_other_tools(synthesize):
    import datasets

    rows, _, _, out = synthesize([package("heapq")], save_as=["jsonl", "dataset_dict"])
    lines = (out / "jsonl" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == rows["train"]
    loaded = datasets.load_from_disk(str(out / "dataset_dict"))["train"]
    assert loaded["id"] == [row["id"] for row in rows["train"]]
    called = next(row for row in loaded if row["tag"] == "tool_use")
    assert json.loads(called["messages"][1]["tool_calls"][0]["function"]["arguments"])["library"] == "heapq"
    assert json.loads(called["tools"])[0]["function"]["name"] == "lookup_docs"
    assert json.loads(called["extra"])["licence"] == "PSF-2.0"


def test_a_dataset_dict_without_datasets_is_refused_before_anything_is_read(synthesize, monkeypatch):
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        "burnish.data.synthesize.saving.find_spec", lambda name: None if name == "datasets" else real(name)
    )
    from burnish.core.errors import MachineError

    with pytest.raises(MachineError) as caught:
        synthesize([package("heapq")], save_as=["dataset_dict"])
    assert caught.value.code == "machine.no-package"
    assert "datasets" in caught.value.fix


def test_a_glob_that_matches_nothing_and_sources_without_documentation_are_refused(synthesize, tmp_path):
    with pytest.raises(AskError) as wrong:
        synthesize([package("json")], source={"include": ["jsn/*.py"]})
    assert "jsn/*.py" in wrong.value.what
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text("def f(): pass\n")
    with pytest.raises(DataError) as empty:
        synthesize([Input("file:code", "folder", tmp_path / "code")])
    assert empty.value.code == "data.empty"
    assert "no documentation" in empty.value.what


GO_FENCE = re.compile(r"```go\n(.*?)\n```", re.DOTALL)


def test_every_line_of_a_go_module_in_a_repository_is_right_and_every_example_parses(synthesize, tmp_path):
    folder = tmp_path / "shelf"
    for name, text in GO.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "LICENSE").write_text(
        "Permission is hereby granted, free of charge, to any person obtaining a copy of it."
    )
    (folder / "link.go").symlink_to("/etc/passwd")
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run(["git", *identity, *command], cwd=folder, check=True, capture_output=True)
    value = resolve("git:shelf", ("folder",), Workspace(tmp_path), {})
    rows, stats, events, _ = synthesize([value])
    assert {row["extra"]["revision"] for row in rows["train"]} == {value.revision}
    assert {(row["extra"]["repository"], row["extra"]["licence"]) for row in rows["train"]} == {("shelf", "MIT")}
    assert stats["files"]["not_read"]["a link or a submodule"] == 1
    assert stats["files"]["not_read"]["generated"] == 1
    assert any("a link or a submodule" in getattr(event, "text", "") for event in events)
    examples = 0
    for row in rows["train"]:
        line = GO[row["extra"]["file"]].split("\n")[row["extra"]["line"] - 1]
        assert row["extra"]["name"].rpartition(".")[2] in line, (row["source"], line)
        if "example" in row["extra"]:
            file, _, number = row["extra"]["example"].partition(":")
            (code,) = GO_FENCE.findall(row["messages"][1]["content"])
            assert is_code(code, "go")
            assert code.split("\n")[0] in GO[file].split("\n")[int(number) - 1]
            examples += 1
    assert examples == 2


@pytest.mark.torture
def test_every_line_of_the_whole_standard_library_is_right_and_every_example_parses(synthesize):
    value = package("python")
    rows, stats, _, _ = synthesize([value], split={"validation": 0.05, "test": 0.05})
    lines = {}
    for row in every(rows):
        extra = row["extra"]
        if extra["file"] not in lines:
            text, reason = read(value.path / extra["file"])
            assert not reason
            lines[extra["file"]] = text.split("\n")
        line = lines[extra["file"]][extra["line"] - 1].lstrip()
        if extra["file"].endswith(".rst"):
            assert extra["name"].rpartition(" > ")[2] in line.replace("`", "")
            continue
        short = extra["name"].rpartition(".")[2]
        assert line.startswith((f"def {short}", f"async def {short}", f"class {short}")), (row["source"], line)
        check_code(row)
    assert stats["kept"] > 15_000
    assert stats["files"]["read"] > 500
