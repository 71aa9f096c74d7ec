"""The labelled text that quality filters are judged on, and the numbers that come of it."""

import json
import random
import runpy
import sys
from collections import Counter
from pathlib import Path

import pytest
from labelled.document import Document
from labelled.found import found_junk
from labelled.good import good
from labelled.junk import KINDS, Material, junk
from labelled.verdicts import judged, wrong

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "quality.py"
PROSE = "The parser reads a line, checks it, and says where a mistake is. Another line follows it in the file. "
MATERIAL = Material(
    english=[f"Text {number}. {PROSE * 5}" for number in range(50)],
    chinese=["这个函数读取文件的每一行,然后检查它。" * 20],
    foreign=["Diese Funktion prüft, ob die Datei größer als gewöhnlich ist. " * 10],
    code=["".join(f"int f{n}(void) {{ /* start */ int value = {n}; return value; }}\n" for n in range(400))],
    packed=[],
    files=[random.Random(0).randbytes(9000)],
)


def records(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def test_junk_of_every_kind_is_the_same_for_the_same_seed_and_another_for_another():
    first, again, other = (list(junk(MATERIAL, 5, seed)) for seed in (1, 1, 2))
    assert first == again
    assert {document.kind for document in first} == set(KINDS)
    assert {document.kind for document in other if document not in first} == set(KINDS)
    assert all(len(document.text) > 50 and not document.is_good for document in first)


def test_good_text_is_taken_from_data_and_documents_by_kind_and_language(tmp_path):
    data, texts = tmp_path / "data", tmp_path / "share" / "man" / "de" / "man1"
    data.mkdir()
    texts.mkdir(parents=True)
    (data / "chats.json").write_text(json.dumps([{"from": "human", "value": PROSE}]), encoding="utf-8")
    roff = '.TH X 1\n.SH NAME\nx \\- \\fBWerkzeug\\fR für Dateien\n.PP\n.\\" secret\n' + "Ein Absatz mit Wörtern. " * 40
    (texts / "x.1").write_text(roff, encoding="utf-8")
    found = {document.kind: document for document in good(data, [tmp_path / "share"], 5, 0)}
    assert found["chats"].text == PROSE
    page = found["other languages"]
    assert page.language == "de"
    assert page.text.startswith("NAME\nx - Werkzeug für Dateien\n\nEin Absatz")
    assert "secret" not in page.text


def test_both_halves_have_about_half_and_a_text_stays_in_its_half():
    halves = [Document("a", True, "en", str(number)).half for number in range(1000)]
    assert 400 < halves.count("tune") < 600
    assert halves == [Document("a", True, "en", str(number)).half for number in range(1000)]


def test_numbers_of_a_filter_that_finds_half_of_the_junk_and_a_tenth_of_the_good():
    documents = [Document("prose", True, "en", f"g{number}") for number in range(20)]
    documents += [Document("logs", False, "en", f"j{number}") for number in range(10)]
    reasons = [["digits"] if number < 2 else [] for number in range(20)]
    reasons += [["digits", "lines"] if number < 5 else [] for number in range(10)]
    verdicts = judged(documents, reasons)
    assert (verdicts.kept(), verdicts.recall(), verdicts.precision()) == (0.9, 0.5, 5 / 7)
    table = verdicts.tables({"lines": ["logs"]})
    assert "| digits | 5 | 2 | 71.4% | – |" in table
    assert "| lines | 5 | 0 | 100.0% | 50.0% (logs) |" in table
    assert len(wrong(documents, reasons)) == 7


def test_the_script_judges_a_function_and_writes_wrong_decisions(tmp_path, monkeypatch, capsys):
    (tmp_path / "judge_by_digits.py").write_text(
        "def refused(texts):\n"
        "    return [['digits'] * (sum(map(str.isdigit, text)) > len(text) / 4) for text in texts]\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("\n\n".join(MATERIAL.english), encoding="utf-8")
    arguments = [
        "--out",
        "out",
        "--texts",
        "texts",
        "--each",
        "8",
        "--half",
        "judge",
        "--filters",
        "judge_by_digits:refused",
    ]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    assert "| tables of numbers |" in capsys.readouterr().out
    numbers = json.loads((tmp_path / "out" / "quality.json").read_text())
    table = next(kind for kind in numbers["kinds"] if kind["kind"] == "tables of numbers")
    assert table["removed"] == table["documents"] > 0
    rows = records(tmp_path / "out" / "documents.jsonl")
    assert {row["half"] for row in rows} == {"judge"}
    decided = records(tmp_path / "out" / "wrong.jsonl")
    assert decided == [line for line in decided if line["good"] == bool(line["reasons"])]


@pytest.mark.parametrize("kind", ["base64", "hex dumps", "logs"])
def test_a_kind_without_material_is_left_out(kind):
    empty = Material([], [], [], [], [], [])
    assert (kind in {document.kind for document in junk(empty, 2, 0)}) == (kind == "logs")


def test_without_options_the_filters_of_clean_are_judged(tmp_path, monkeypatch, capsys):
    (tmp_path / "a.txt").write_text("\n\n".join(MATERIAL.english + MATERIAL.foreign), encoding="utf-8")
    settings = '{"length": {"max_characters": 1000, "min_words": 0, "max_words": null}}'
    arguments = ["--out", str(tmp_path / "out"), "--texts", str(tmp_path), "--each", "4", "--settings", settings]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
    monkeypatch.setattr(sys, "path", list(sys.path))
    runpy.run_path(str(SCRIPT), run_name="__main__")
    documents = records(tmp_path / "out" / "documents.jsonl")
    long = Counter(row["kind"] for row in documents if len(row["text"]) > 1000)
    kinds = json.loads((tmp_path / "out" / "quality.json").read_text())["kinds"]
    assert {kind["kind"]: kind["reasons"]["Length"] for kind in kinds if "Length" in kind["reasons"]} == long
    assert sum(long.values()) > 10
    assert "| Length |" in capsys.readouterr().out


def test_found_junk_is_what_stands_in_files(tmp_path):
    menu = "".join(f'<a href="{number}">Chapter {number} of the manual</a>\n' for number in range(20))
    (tmp_path / "page.html").write_text(f"<nav>{menu}</nav><p>{PROSE * 9}</p>", encoding="utf-8")
    (tmp_path / "a.log").write_text("".join(f"12:00:{number:02} started part {number}\n" for number in range(50)))
    (tmp_path / "a.pem").write_text("Issuer\n-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\nend\n")
    found = {document.kind: document for document in found_junk([tmp_path], [tmp_path], 5, 0)}
    assert found["found navigation"].text.startswith("Chapter 0 of the manual\nChapter 1")
    assert "parser" not in found["found navigation"].text
    assert found["found logs"].text.count("\n") == 39
    assert found["found certificates"].text.splitlines()[1:-1] == ["MIIB"]
    assert not any(document.is_good for document in found.values())
    assert list(found_junk([], [tmp_path / "none"], 5, 0)) == []
