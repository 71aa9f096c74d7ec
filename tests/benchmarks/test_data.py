"""The benchmark of clean, run whole on a small corpus with a program that stands for burnish."""

import json
import runpy
import sys
from pathlib import Path

import pytest
from corpora.build import build

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "data.py"
EXACT = """
import json, pathlib, sys
rows, out = map(pathlib.Path, sys.argv[1:3])
folder = out / "runs" / "clean" / "1" / "clean" / "out" / "rows"
folder.mkdir(parents=True)
seen = set()
with (folder / "train-00000.jsonl").open("w") as written:
    for path in sorted(rows.iterdir()):
        for line in path.open():
            text = json.loads(line)["text"]
            if text not in seen:
                seen.add(text)
                written.write(line)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    texts = tmp_path_factory.mktemp("texts")
    for number in range(60):
        words = [f"word{number}x{place * place % 97}" for place in range(600)]
        (texts / f"{number}.txt").write_text(" ".join(words) + ".", encoding="utf-8")
    build([texts], texts / "corpus", megabytes=1, seed=1, processes=1)
    (texts / "exact.py").write_text(EXACT)
    (texts / "nothing.py").write_text("raise SystemExit('out of luck')")
    return texts


def bench(folder, monkeypatch, *options, program="exact.py"):
    command = f"{sys.executable} {folder / program} {{rows}} {{out}}"
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(folder / "corpus"), "--burnish", command, *options])
    monkeypatch.setattr(sys, "path", list(sys.path))
    runpy.run_path(str(SCRIPT), run_name="__main__")
    return json.loads((folder / "corpus" / "results" / "data.json").read_text())


def test_a_program_that_finds_exact_copies_only_gets_their_recall_and_full_precision(folder, monkeypatch, capsys):
    numbers = bench(folder, monkeypatch, "--twice")
    parts = {(result["table"], result["part"]): result for result in numbers["results"]}
    whole, twice = parts["near duplicates", "whole"], parts["near duplicates", "twice"]
    assert whole["documents"] == numbers["corpus"]["documents"]
    assert whole["score"]["recall"]["exact"] == 1
    assert whole["score"]["recall"]["0.8–0.9"] < 0.2
    assert whole["score"]["precision"] == 1
    assert (twice["documents"], twice["kept"]) == (2 * whole["documents"], 2 * whole["kept"])
    assert whole["usage"]["cpu"] > 0
    assert whole["usage"]["status"] == 0
    said = capsys.readouterr().out
    assert "| the command of --burnish |" in said
    assert "| burnish" not in said
    assert "Twice the corpus takes" in said
    assert said == (folder / "corpus" / "results" / "data.md").read_text(encoding="utf-8") + "\n"


def test_a_program_that_fails_ends_the_benchmark_and_its_output_is_named(folder, monkeypatch):
    with pytest.raises(SystemExit, match=r"ended with 1; its output is in .*whole\.log") as ended:
        bench(folder, monkeypatch, program="nothing.py")
    log = Path(str(ended.value).partition(" is in ")[2])
    assert "out of luck" in log.read_text()


def test_only_named_programs_run(folder, monkeypatch):
    numbers = bench(folder, monkeypatch, "--only", "the command of --burnish")
    assert [result["table"] for result in numbers["results"]] == ["near duplicates", "pipeline"]
