"""Multiple choice by likelihood, against a plain forward pass of each choice."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from burnish.core.errors import DataError
from burnish.core.events import Note
from burnish.core.inputs.references import built_ins
from burnish.models.load import load_model
from burnish.specs.evals import CompareSpec, EvaluateSpec
from burnish.stages.evals.evaluate import run
from burnish.testing import temporary_context
from burnish.tokens.load import load_tokenizer
from burnish.tokens.rendering.renderer import Renderer

from .conftest import ROWS


def rows_of(answers: Any = None) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{number:016x}",
            "source": f"d:{number}",
            "kind": "prompt",
            "messages": [{"role": "user", "content": f"{question} …?"}],
            "extra": {"choices": choices, "key": answer if answers is None else answers[number]},
        }
        for number, (question, choices, answer) in enumerate(ROWS)
    ]


def evaluated(folder: Path, data: Path, **settings: Any) -> tuple[dict[str, Any], list[dict[str, Any]], list[Any]]:
    ctx, events = temporary_context(folder, {"model": built_ins()["pocket"], "data": data})
    scorer = {"kind": "multiple_choice", "answer": "key", **settings}
    run(EvaluateSpec(model="builtin:pocket", data=f"file:{data}", scorers=[scorer], perplexity=False), ctx)
    metrics = json.loads((ctx.out / "metrics.json").read_text())
    return metrics, [json.loads(line) for line in (ctx.out / "items.jsonl").read_text().splitlines()], events


@torch.no_grad()
def log_prob(model: Any, tokenizer: Any, ids: list[int], text: str) -> float:
    after = tokenizer.encode(text, add_special_tokens=False)
    logits = model(torch.tensor([[*ids, *after]])).logits[0].log_softmax(-1)
    return sum(float(logits[len(ids) + place - 1, token]) for place, token in enumerate(after))


@pytest.mark.parametrize("letters", [False, True])
def test_the_choice_is_the_most_likely_one(letters: bool, tmp_path: Path, make_dataset: Any) -> None:
    rows = rows_of()
    rows[0]["extra"]["choices"] = ["blue", "größer, süßer", "seven"]  # a byte is not a character
    metrics, lines, _ = evaluated(tmp_path / "run", make_dataset(test=rows), letters=letters)
    model, tokenizer = load_model(built_ins()["pocket"], dtype=torch.float32), load_tokenizer(built_ins()["pocket"])
    renderer, right, normed = Renderer(tokenizer), 0, 0
    for row, line in zip(rows, lines, strict=True):
        choices, key = row["extra"]["choices"], row["extra"]["key"]
        asked = row["messages"][0]["content"]
        if letters:
            asked += (
                "".join(f"\n{letter}. {choice}" for letter, choice in zip("ABC", choices, strict=True)) + "\nAnswer:"
            )
        _, ids = renderer.prompt([{"role": "user", "content": asked}])
        shown = list("ABC") if letters else choices
        values = [log_prob(model, tokenizer, ids, text) for text in shown]
        best = values.index(max(values))
        assert line["answer"] == shown[best]
        assert line["scores"]["multiple_choice"]["value"] == float(best == key)
        found = [float(part.split()[1]) for part in line["scores"]["multiple_choice"]["why"][6:].split(", ")]
        assert found == pytest.approx(values, abs=1e-3)
        per_byte = [value / len(text.encode()) for value, text in zip(values, choices, strict=True)]
        if not letters:
            found = [float(part.split()[1]) for part in line["scores"]["multiple_choice_norm"]["why"][15:].split(", ")]
            assert found == pytest.approx(per_byte, abs=1e-3)
        right, normed = right + (best == key), normed + (per_byte.index(max(per_byte)) == key)
    scores = {name: entry["model"]["value"] for name, entry in metrics["scores"].items()}
    expected = {"multiple_choice": right / len(rows)} | (
        {} if letters else {"multiple_choice_norm": normed / len(rows)}
    )
    assert scores == pytest.approx(expected)


def test_rows_without_a_usable_answer_are_counted(tmp_path: Path, make_dataset: Any) -> None:
    rows = rows_of([0, "Z", None, 2, 0, 1])
    rows[3]["extra"]["choices"] = "one text"
    rows[4]["extra"].pop("choices")
    metrics, _, events = evaluated(tmp_path / "run", make_dataset(test=rows))
    entry = metrics["scores"]["multiple_choice"]["model"]
    assert (entry["n"], entry["unscored"]) == (2, 4)
    texts = [event.text for event in events if isinstance(event, Note)]
    assert "multiple_choice: 1 of 6 rows not scored: the answer 'Z' is none of the choices" in texts
    with pytest.raises(DataError, match="no column 'options'"):
        evaluated(tmp_path / "other", make_dataset(test=rows), choices="options")


def test_the_reference_of_a_row_with_labels_is_the_labelled_choice(tmp_path: Path, make_dataset: Any) -> None:
    rows = rows_of(["1", "2", "1", "3", "1", "2"])
    for row in rows:
        row["extra"]["choices"] = {"text": row["extra"]["choices"], "label": ["1", "2", "3"]}
    _, lines, _ = evaluated(tmp_path / "run", make_dataset(test=rows))
    assert [line["reference"] for line in lines] == [choices[right] for _, choices, right in ROWS]


def test_compare_refuses_it_by_name() -> None:
    with pytest.raises(ValidationError, match="multiple_choice belongs to evaluate"):
        CompareSpec(candidates=["builtin:pocket", "file:a"], scorers=[{"kind": "multiple_choice"}])


def test_each_score_names_what_it_was_computed_from(tmp_path: Path, make_dataset: Any) -> None:
    rows = rows_of()
    for row in rows:
        choices, key = row["extra"]["choices"], row["extra"]["key"]
        row |= {"kind": "chat", "messages": [*row["messages"], {"role": "assistant", "content": choices[key]}]}
    data = make_dataset(test=rows)
    kinds = [{"kind": "multiple_choice", "answer": "key", "letters": letters} for letters in (False, True)]
    found = {}
    for name, scorers in {"both": [{"kind": "exact_match"}, *kinds], "choices": kinds}.items():
        ctx, _ = temporary_context(tmp_path / name, {"model": built_ins()["pocket"], "data": data})
        given = {"generation": {"max_new_tokens": 4}} if name == "both" else {}
        spec = EvaluateSpec(model="builtin:pocket", data=f"file:{data}", scorers=scorers, perplexity=False, **given)
        run(spec, ctx)
        found[name] = [json.loads(line) for line in (ctx.out / "items.jsonl").read_text().splitlines()]
        assert "\nA. " not in found[name][0]["prompt"]
        if name == "both":
            assert "reference A" in (ctx.out / "report.md").read_text()
    for row, both, alone in zip(rows, found["both"], found["choices"], strict=True):
        right = row["extra"]["choices"][row["extra"]["key"]]
        assert both["reference"] == right
        assert both["scores"]["exact_match"]["value"] == float(both["answer"].strip() == right)
        for line in (both, alone):
            for score in ("multiple_choice", "multiple_choice_norm", "multiple_choice_2"):
                entry = {"prompt": line["prompt"], "reference": line["reference"], "answer": line["answer"]}
                entry |= line["scores"][score]
                assert entry["value"] == float(entry["answer"] == entry["reference"])
                assert ("\nA. " in entry["prompt"]) is (score == "multiple_choice_2")
        assert "prompt" not in alone["scores"]["multiple_choice"]
