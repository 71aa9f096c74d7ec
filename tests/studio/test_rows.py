"""The rows of a training with their losses: ranked, named, of a run in progress, and with texts that are gone."""

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import burnish
from burnish.core.errors import BurnishError

QUESTIONS = [f"Count from {number} to {number + 2}." for number in range(11)]
ODD = "zq%d vx kj!! 77 wb"
TUNE = {
    "stage": "sft",
    "base": "builtin:pocket",
    "epochs": 3,
    "batch_size": 4,
    "learning_rate": 2e-3,
    "prove": "off",
    "threads": 1,
}


def write_rows(path: Path, answers: dict[str, str]) -> None:
    path.write_text("".join(json.dumps({"prompt": q, "completion": a}) + "\n" for q, a in answers.items()))


def usual() -> dict[str, str]:
    answers = dict.fromkeys(QUESTIONS, "one two three")
    return answers | {"Say nothing useful.": ODD * 3}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A workspace with a run that trained for three epochs on a file, and for one on a prepared dataset of it."""
    root = tmp_path_factory.mktemp("work")
    write_rows(root / "rows.jsonl", usual())
    steps = {
        "raw": {**TUNE, "data": "file:rows.jsonl"},
        "data": {"stage": "prepare", "source": "file:rows.jsonl"},
        "made": {**TUNE, "data": "step:data", "epochs": 1},
    }
    burnish.run({"name": "r", "steps": steps}, workspace=root)
    return root


@pytest.fixture
def copied(trained, tmp_path) -> Path:
    """The same workspace, to be changed."""
    return shutil.copytree(trained, tmp_path / "copied", symlinks=True)


def losses(root: Path, name: str) -> dict[str, list[float]]:
    table = pq.read_table(root / "runs" / name / "out" / "rows.parquet").to_pydict()
    found: dict[str, list[float]] = {}
    for row, loss in zip(table["id"], table["loss"], strict=True):
        found.setdefault(row, []).append(loss)
    return found


MEASURES = {
    "last": lambda values: values[-1],
    "mean": lambda values: sum(values) / len(values),
    "rise": lambda values: values[-1] - values[0],
}


@pytest.mark.parametrize("sort", MEASURES)
def test_rows_are_ranked_by_what_the_ledger_says(trained, sort):
    expected = {row: MEASURES[sort](values) for row, values in losses(trained, "r/1/raw").items()}
    found = burnish.rows("r/1/raw", workspace=trained, worst=4, best=3, sort=sort)
    order = sorted(expected, key=lambda row: -expected[row])
    assert [entry["id"] for entry in found["worst"]] == order[:4]
    assert [entry["id"] for entry in found["best"]] == order[::-1][:3]
    assert [entry[sort] for entry in found["worst"]] == pytest.approx([expected[row] for row in order[:4]])
    assert (found["rows"], found["visits"], found["step"]) == (12, 36, 9)


@pytest.mark.parametrize(("name", "epochs"), [("r/1/raw", [0, 1, 2]), ("r/1/made", [0])])
def test_the_worst_row_is_the_odd_one_with_its_text_and_its_loss_at_each_visit(trained, name, epochs):
    found = burnish.rows(name, workspace=trained)
    assert len(found["worst"]) == 12  # of the 20 requested
    worst = found["worst"][0]
    assert worst["row"]["messages"][-1]["content"] == ODD * 3
    assert [visit["loss"] for visit in worst["visits"]] == losses(trained, name)[worst["id"]]
    assert [visit["epoch"] for visit in worst["visits"]] == epochs
    assert (found["state"], found["notes"], worst["copies"], worst["missing"]) == ("succeeded", [], 1, "")


def test_the_rows_of_a_step_are_those_that_it_visited_by_their_loss_there(trained):
    table = pq.read_table(trained / "runs/r/1/raw/out/rows.parquet").to_pydict()
    visited = [
        (loss, row) for row, step, loss in zip(table["id"], table["step"], table["loss"], strict=True) if step == 5
    ]
    found = burnish.rows("r/1/raw", workspace=trained, at=5, best=2)
    assert [entry["id"] for entry in found["best"]] == [row for _, row in sorted(visited)[:2]]
    found = burnish.rows("r/1/raw", workspace=trained, at=5)
    assert [entry["id"] for entry in found["worst"]] == [row for _, row in sorted(visited, reverse=True)]
    assert len(visited) == 4
    assert all(5 in [visit["step"] for visit in entry["visits"]] for entry in found["worst"])


def test_a_step_that_visited_no_row_has_none_and_the_note_says_where_the_ledger_ends(trained):
    found = burnish.rows("r/1/raw", workspace=trained, at=1000)
    assert (found["worst"], found["notes"]) == ([], ["step 1,000 visited no row: the ledger has the steps up to 9"])
    with pytest.raises(BurnishError, match="sorted by their loss there, not by rise"):
        burnish.rows("r/1/raw", workspace=trained, at=5, sort="rise")


def test_requested_rows_are_shown_alone(trained):
    one, other = list(losses(trained, "r/1/raw"))[:2]
    found = burnish.rows("r/1/raw", workspace=trained, row=[other, one])
    assert [entry["id"] for entry in found["named"]] == [other, one]
    assert found["worst"] == found["best"] == []


def test_a_row_that_no_step_visited_is_refused(trained):
    with pytest.raises(BurnishError, match="the row abc is unknown: no step up to 9 has visited it"):
        burnish.rows("r/1/raw", workspace=trained, row="abc")


def test_a_run_with_several_trainings_names_them(trained):
    with pytest.raises(BurnishError, match="run 'r' has several training steps: raw, made") as caught:
        burnish.rows("r", workspace=trained)
    assert caught.value.fix == "add --step raw, or name one: r/1/raw, r/1/made"
    assert burnish.rows("r", step="made", workspace=trained)["run"] == "r/1/made"
    with pytest.raises(BurnishError, match="has no step 'maed'") as caught:
        burnish.rows("r", step="maed", workspace=trained)
    assert "made" in caught.value.fix


def test_a_step_without_a_ledger_is_refused(trained):
    with pytest.raises(BurnishError, match=r"step 'data' \(prepare\) has no row ledger"):
        burnish.rows("r/1/data", workspace=trained)


@pytest.mark.parametrize("damage", ["flipped", "flipped at the same time", "gone"])
def test_a_damaged_ledger_is_refused_with_the_repair(copied, damage):
    file = copied / "runs/r/1/raw/out/rows.parquet"
    status, content = file.stat(), bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.unlink() if damage == "gone" else file.write_bytes(content)
    if "same time" in damage:
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(
        BurnishError, match=rf"rows\.parquet {'is missing' if damage == 'gone' else 'has changed'}"
    ) as caught:
        burnish.rows("r", step="raw", workspace=copied)
    assert caught.value.code == "run.damaged-artifact"
    assert "burnish runs resume r/1 repeats the damaged steps" in caught.value.fix


def test_a_single_visit_has_no_rise(trained):
    with pytest.raises(BurnishError, match="no row was visited twice up to step 3") as caught:
        burnish.rows("r/1/made", sort="rise", workspace=trained)
    assert caught.value.code == "ask.nothing-to-do"


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"sort": "lost"}, "sort: 'lost' is unknown"), ({"worst": -1}, "worst is -1"), ({"best": -2}, "best is -2")],
)
def test_wrong_values_are_refused(trained, settings, words):
    with pytest.raises(BurnishError, match=words):
        burnish.rows("r/1/raw", workspace=trained, **settings)


def test_of_a_changed_file_the_rows_that_are_still_there_are_shown(copied):
    write_rows(copied / "rows.jsonl", usual() | {QUESTIONS[3]: "three four five"})
    found = burnish.rows("r/1/raw", workspace=copied)
    missing = [entry for entry in found["worst"] if entry["row"] is None]
    assert len(found["worst"]) == 12
    assert [entry["missing"] for entry in missing] == [
        "file:rows.jsonl changed after the step read it, and this row is no longer in it"
    ]


def test_a_row_whose_text_was_changed_under_its_id_is_not_shown(copied):
    out = copied / "runs/r/1/data/out/train.parquet"
    table = pq.read_table(out)
    changed = [text.replace("one two", "six six") for text in table["row"].to_pylist()]
    index = table.schema.get_field_index("row")
    pq.write_table(table.set_column(index, table.schema.field(index), [changed]), out)
    found = burnish.rows("r/1/made", workspace=copied)
    shown = [entry for entry in found["worst"] if entry["row"] is not None]
    assert [entry["row"]["messages"][-1]["content"] for entry in shown] == [ODD * 3]
    assert all("train.parquet" in entry["missing"] for entry in found["worst"] if entry["row"] is None)


@pytest.mark.parametrize(("name", "gone"), [("r/1/raw", "rows.jsonl"), ("r/1/made", "runs/r/1/data")])
def test_rows_whose_data_is_gone_are_listed_with_the_reason(copied, name, gone):
    path = copied / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    found = burnish.rows(name, workspace=copied, worst=3)
    assert [entry["row"] for entry in found["worst"]] == [None] * 3
    assert all(f"is gone: there is no {copied}" in entry["missing"] for entry in found["worst"])


def test_a_ledger_that_was_changed_is_refused(copied):
    path = copied / "runs/r/1/raw/out/rows.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BurnishError, match=r"rows.parquet has [\d,]+ bytes instead of"):
        burnish.rows("r/1/raw", workspace=copied)


def test_a_training_in_progress_shows_the_visits_up_to_its_last_save(trained, tmp_path, until):
    write_rows(tmp_path / "rows.jsonl", usual())
    tune = {**TUNE, "data": "file:rows.jsonl", "epochs": 1000, "checkpoint": {"every": 3}}
    errors = []

    def train():
        try:
            burnish.run({"name": "long", "steps": {"tune": tune}}, workspace=tmp_path)
        except BurnishError as error:
            errors.append(error.code)

    thread = threading.Thread(target=train)
    thread.start()
    visits = tmp_path / "runs/long/1/tune/scratch/ledger/visits.bin"
    until(lambda: errors or (visits.exists() and visits.stat().st_size > 0))
    found = burnish.rows("long", workspace=tmp_path, worst=1)
    burnish.stop("long", workspace=tmp_path)
    thread.join(60)
    assert errors == ["run.interrupted"]
    assert found["state"] == "running"
    assert found["notes"] == ["the step is running: its ledger ends with its last save"]
    assert found["step"] % 3 == 0 < found["rows"]
    assert found["worst"][0]["row"]["messages"]
    found = burnish.rows("long", workspace=tmp_path, worst=12)
    assert found["state"] == "interrupted"
    assert sum(len(entry["visits"]) for entry in found["worst"]) == found["visits"]
    visits.with_name("rows.json").unlink()
    with pytest.raises(BurnishError, match="started by an older burnish"):
        burnish.rows("long", workspace=tmp_path)


def test_rows_are_looked_up_without_torch():
    code = "import sys, burnish.stages.train.rows; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
