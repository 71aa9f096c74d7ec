"""Kept answers are those of the files of a model, whatever the recipe that gave them."""

import json
import math
from dataclasses import replace

import pytest
import torch

import artifacts
from burnish.core.context import Input
from burnish.evals.likelihood import Likelihood
from burnish.evals.measure import Asked, Item
from burnish.evals.scoring.scorers import Score
from burnish.specs.evals import GenerationSpec
from burnish.stages.evals import kept
from burnish.stages.evals.candidates import LocalModel
from burnish.stages.evals.kept import KeptItems, content_of, key_of
from burnish.stages.evals.measuring import Measuring
from burnish.testing import tiny_tokenizer
from burnish.tokens.load import load_tokenizer


def weights(number):
    return {**artifacts.ADAPTER, "adapter_model.safetensors": f"weights {number}"}


def test_the_key_of_a_model_that_was_trained_again_differs(workspace):
    runs = [artifacts.write_artifact(workspace, number=n, files=weights(name)) for n, name in enumerate("aba", 1)]
    first, other, same = [content_of(run.artifact().as_input(run.reference)) for run in runs]
    assert first != other
    assert first == same


def test_so_does_the_key_of_an_adapter_on_a_base_that_was_trained_again(workspace):
    contents = []
    for number in (1, 2):
        base = artifacts.write_artifact(workspace, "base", number=number, kind="model", files=weights(number))
        inputs = {"base": base.artifact().as_input("step:base")}
        run = artifacts.write_artifact(workspace, number=number, fingerprint="a", inputs=inputs)
        summed = {"adapters.0.adapter": run.artifact().as_input("step:tune")}
        contents += [run, artifacts.write_artifact(workspace, "sum", number=number, fingerprint="s", inputs=summed)]
    contents = [content_of(run.artifact().as_input("x")) for run in contents]
    assert contents[0] != contents[2]
    assert contents[1] != contents[3]


def test_the_files_of_an_artifact_without_a_digest_are_read(workspace):
    runs = [artifacts.write_artifact(workspace, number=number, files=weights(number)) for number in (1, 2)]
    for run in runs:
        record = run.folder / "artifact.json"
        record.write_text(json.dumps({**json.loads(record.read_text()), "files": None}))
    first, other = [run.artifact().as_input("x") for run in runs]
    assert first.digest == ""
    assert content_of(first) != content_of(other)


def test_a_folder_is_its_content(tmp_path):
    assert content_of(Input("file:m", "model", tmp_path, "content")) == ["content"]


ROW = {"id": "0", "kind": "chat", "messages": [{"role": "user", "content": "a"}]}
GENERATION = GenerationSpec()
MEASURING = Measuring(torch.device("cpu"), torch.float32, (), GENERATION, ("assistant", 64), "2026-01-01")
CHANGES = {"device": torch.device("cuda"), "dtype": None, "date": "2026-01-02"}
OWN_CHANGES = {
    "likelihoods": [{"learned": ("all", 64)}, {"learned": ("assistant", 65)}],
    "answers": [{"generation": GENERATION.model_copy(update={name: 7})} for name in GenerationSpec.model_fields],
}


@pytest.mark.parametrize("what", OWN_CHANGES)
def test_the_key_differs_by_all_that_the_model_computes_with(what, tmp_path, monkeypatch):
    def key(rows=(ROW,), template="t", path="m", **changes):
        tokenizer.chat_template = template
        model = Input(f"file:{path}", "model", tmp_path / path, path)
        return LocalModel("a", model, tokenizer, replace(MEASURING, **changes), KeptItems(tmp_path))._key(what, rows)

    tokenizer = load_tokenizer(tiny_tokenizer(tmp_path))
    changed = [key(**{name: value}) for name, value in CHANGES.items()] + [key(**one) for one in OWN_CHANGES[what]]
    changed += [key(template="u"), key(path="n"), key(rows=()), key(rows=(ROW, ROW))]
    changed += [key(rows=({**ROW, "messages": [{"role": "user", "content": "b"}]},))]
    assert len({key(), *changed}) == 1 + len(changed)
    before = key()
    assert key(scorers=("another",)) == before
    monkeypatch.setattr(kept, "version", lambda name: "another")  # of torch, transformers and peft
    assert key() != before


def test_what_was_kept_is_used_only_as_it_was_written(tmp_path):
    store, items = KeptItems(tmp_path), [Item("p", "r", "a", "stop"), Item(likelihood=Likelihood(math.inf, 2, 4))]
    key = key_of("answers", Input("file:m", "model", tmp_path, "m"), [ROW], {})
    assert key_of("likelihoods", Input("file:m", "model", tmp_path, "m"), [ROW], {}) != key
    store.put(key, items)
    assert store.get(key, 2) == items
    (file,) = tmp_path.rglob("*.json")
    text = file.read_text()
    other = tmp_path / "ff" / f"{'f' * 64}.json"
    other.parent.mkdir()
    other.write_text(text)
    assert (store.get(key, 3), store.get("f" * 64, 2), store.damaged) == (None, None, 2)
    for damaged in ("", "[]", text.replace('"a"', '"b"')):
        file.write_text(damaged)
        assert store.get(key, 2) is None
    assert (store.get("0" * 64, 2), store.damaged) == (None, 5)


def test_kept_scores_keep_what_they_were_computed_from(tmp_path):
    kept = KeptItems(tmp_path)
    item = Item("p", "r", "a", "stop", {"multiple_choice": Score(1.0, "so")}, answer_tokens=3, values={"margin": 0.5})
    item.asked["multiple_choice"] = Asked("lettered", "B", "B")
    kept.put("a" * 64, [item], with_scores=True)
    assert kept.get("a" * 64, 1) == [item]
