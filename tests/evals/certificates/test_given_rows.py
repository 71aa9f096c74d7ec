"""Rows of a certificate that a stage takes: held-out ones, else training rows by that name, and what is left out."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from burnish.core.events import Note
from burnish.evals.certificates.subject import LocalSubject
from burnish.stages.models.certifying import _rows
from burnish.testing import input_at, temporary_context, tiny_model


def turns(number: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"is {number} so"}, {"role": "assistant", "content": "yes"}]


@pytest.fixture(scope="module")
def parent(tmp_path_factory) -> LocalSubject:
    folder = tiny_model(tmp_path_factory.mktemp("model"))
    return LocalSubject(folder, "", "", torch.device("cpu"), torch.float32)


@pytest.mark.parametrize(("held_out", "kind", "count"), [(0, "training", 8), (3, "held out", 3)])
def test_held_out_rows_come_first_and_training_rows_are_called_so(
    parent, tmp_path: Path, make_dataset, held_out: int, kind: str, count: int
) -> None:
    rows = [
        {"id": f"{number:016x}", "source": "d:1", "kind": "chat", "messages": turns(number)} for number in range(10)
    ]
    ctx, _ = temporary_context(tmp_path / "run", {})
    splits = {"train": rows} | ({"validation": rows[:held_out]} if held_out else {})
    found, own = _rows(parent, input_at(make_dataset(**splits)), ctx)
    assert (own, len(found)) == (kind, count)


def test_rows_that_cannot_be_read_are_reported(parent, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"messages": turns(number)}) + "\n" for number in range(3)))
    data = input_at(path)
    ctx, events = temporary_context(tmp_path / "run", {})
    assert [len(_rows(parent, data, ctx)[0]), events] == [3, []]
    shutil.move(path, tmp_path / "gone")
    assert _rows(parent, data, ctx) == ([], "held out")
    [note] = [event for event in events if isinstance(event, Note)]
    assert "the certificate has no rows of" in note.text


def test_a_row_that_is_left_out_is_named(parent, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "several letters"}\n{"text": "a"}\n{"text": "b"}\n')
    ctx, events = temporary_context(tmp_path / "run", {})
    rows, _ = _rows(parent, input_at(path), ctx)
    [note] = [event for event in events if isinstance(event, Note)]
    assert len(rows) == 1
    assert f"2 rows of file:{path} left out of the certificate, the first is " in note.text
    assert "rows.jsonl:2: fewer than two tokens" in note.text
