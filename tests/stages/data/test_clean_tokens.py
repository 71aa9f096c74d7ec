"""Bounds in tokens: those of the tokenizer, the same in this process and in others."""

import json
import pickle
import sys

import pytest

from burnish.core.errors import MachineError, ModelError
from burnish.core.processes import map_in_order
from burnish.data.cleaning import chunks, pools
from burnish.data.reader import read
from burnish.data.record import ReadReport
from burnish.specs.data import CleanSpec
from burnish.stages.data.clean import run
from burnish.stages.tokens.counting import counter_of
from burnish.testing import input_at, temporary_context, tiny_tokenizer
from burnish.tokens.counting import TokenCounter

TEXTS = ["ten bytes.", "eleven by\u00fc", "twelve bytes", "four", "\u56db\u4e2a\u6c49\u5b57"]
"""Of 10, 11, 12, 4 and 12 bytes: the tiny tokenizer has a token for each byte."""


@pytest.fixture
def clean(tmp_path):
    """Texts that are kept with bounds, and the counts."""
    tokenizer = tiny_tokenizer(tmp_path / "tokenizer")
    path = tmp_path / "rows.jsonl"

    def clean(texts, folder="run", workers=1, **length):
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        context, _ = temporary_context(tmp_path / folder, {"source": path, "tokenizer": tokenizer})
        filters = {"length": {"min_words": 0, **length}, "gopher": None}
        spec = {"source": "file:rows.jsonl", "tokenizer": "file:tokenizer", "filters": filters}
        run(CleanSpec.model_validate({**spec, "workers": workers}), context)
        stats = json.loads((context.out / "stats.json").read_text())
        return [item.raw["text"] for item in read(context.out, ReadReport())], stats["dropped"]

    return clean


def test_texts_outside_the_bounds_are_dropped_and_counted(clean):
    kept, dropped = clean(TEXTS, min_tokens=10, max_tokens=11)
    assert kept == TEXTS[:2]
    assert dropped == {"fewer than 10 tokens": 1, "more than 11 tokens": 2}


def test_workers_count_as_this_process_does(clean, monkeypatch):
    texts = [f"{'x' * (i % 50)} number {i}" for i in range(2000)]
    alone = clean(texts, "alone", min_tokens=30, max_tokens=50)
    assert 0 < len(alone[0]) < len(texts)
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 10_000)
    monkeypatch.setattr(pools, "map_in_order", lambda make, of, n, alone_for: map_in_order(make, of, n, 0.0))
    assert clean(texts, "workers", workers=2, min_tokens=30, max_tokens=50) == alone


def test_a_tokenizer_that_cuts_texts_counts_whole_ones(tmp_path):
    folder = tiny_tokenizer(tmp_path / "tokenizer")
    saved = json.loads((folder / "tokenizer.json").read_text())
    saved["truncation"] = {"direction": "Right", "max_length": 5, "strategy": "LongestFirst", "stride": 0}
    padding = {"direction": "Right", "pad_id": 0, "pad_type_id": 0, "pad_token": "<|endoftext|>"}
    saved["padding"] = {"strategy": {"Fixed": 9}, "pad_to_multiple_of": None, **padding}
    (folder / "tokenizer.json").write_text(json.dumps(saved))
    counter = counter_of(input_at(folder))
    assert counter(["a text of some length", "ab", ""]) == [21, 2, 0]
    assert pickle.loads(pickle.dumps(counter))(["a text of some length"]) == [21]


def test_a_machine_without_the_package_is_an_error_that_names_the_extra(tmp_path, monkeypatch):
    sent = pickle.dumps(counter_of(input_at(tiny_tokenizer(tmp_path / "tokenizer"))))
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MachineError, match=r"burnish\[tokens\]") as caught:
        pickle.loads(sent)(["a"])
    assert caught.value.code == "machine.no-package"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"filters": {"length": {"max_tokens": 9}}}, "need a tokenizer"),
        ({"tokenizer": "file:tokenizer"}, "none is set"),
        ({"tokenizer": "file:tokenizer", "filters": None}, "none is set"),
        ({"tokenizer": "file:t", "filters": {"length": {"min_tokens": 9, "max_tokens": 8}}}, "min_tokens 9 is above"),
    ],
)
def test_bounds_and_tokenizer_belong_together(settings, message):
    with pytest.raises(ValueError, match=message):
        CleanSpec.model_validate({"source": "file:rows.jsonl", **settings})


def test_a_tokenizer_that_fails_on_a_text_is_an_error_that_names_the_setting():
    described = {
        "version": "1.0",
        "added_tokens": [],
        "model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "?"},
    }
    with pytest.raises(ModelError, match="loads, and fails on a text: WordLevel error") as raised:
        TokenCounter(json.dumps(described))(["a", "b"])
    assert "`tokenizer`" in raised.value.fix
