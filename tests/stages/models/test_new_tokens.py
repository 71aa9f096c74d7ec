"""An adapter with new tokens, from the training to every stage that uses it."""

import json

import pytest
import torch

from burnish.core.context import Input
from burnish.models.load import load_model
from burnish.specs.evals import EvaluateSpec
from burnish.specs.models import GenerateSpec, MergeSpec
from burnish.specs.train import SftSpec
from burnish.stages.evals import evaluate
from burnish.stages.models import chat, generate, merge
from burnish.stages.train import sft
from burnish.testing import input_at, temporary_context, tiny_model
from burnish.tokens.load import load_tokenizer

METHOD = {"rank": 4, "new_tokens": ["<yes>", "<no>", "z"], "new_special_tokens": ["<done>"]}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """(folder, base, adapter, rows, notes)"""
    folder = tmp_path_factory.mktemp("run")
    base = tiny_model(folder / "base", vocab_size=259, tie_word_embeddings=True, initializer_range=0.1)
    rows = folder / "rows.jsonl"
    turns = [(f"Is {i} even?", "<yes>" if i % 2 == 0 else "<no>") for i in range(10)]
    chats = [[{"role": "user", "content": q}, {"role": "assistant", "content": a}] for q, a in turns]
    rows.write_text("".join(json.dumps({"messages": messages}) + "\n" for messages in chats))
    spec = SftSpec(
        data="file:d", base="file:b", method=METHOD, max_steps=60, batch_size=10, learning_rate=2e-2, prove="off"
    )
    context, events = temporary_context(folder / "sft", {"data": rows, "base": base})
    assert sft.run(spec, context).kind == "adapter"
    notes = [event.text for event in events if event.kind == "note"]
    return folder, base, Input("step:tune", "adapter", context.out, inputs={"base": input_at(base)}), rows, notes


def test_what_is_new_and_what_is_known_is_reported(ran):
    notes = ran[-1]
    assert "new tokens: <yes>, <no>, <done>; their embeddings start at the mean of all others" in notes
    assert "the tokenizer has z already: trained from the embeddings of the base" in notes


def test_the_tokenizer_beside_the_adapter_has_the_tokens(ran):
    _, base, adapter, *_ = ran
    tokenizer, before = load_tokenizer(adapter.path), load_tokenizer(base)
    assert len(tokenizer) == len(before) + 3
    ids = tokenizer.encode("a<yes><done>b", add_special_tokens=False)
    assert [number >= len(before) for number in ids] == [False, True, True, False]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "a<yes>b"


def test_the_tokens_are_learned_and_answered(ran, tmp_path):
    _, _, adapter, rows, _ = ran
    spec = GenerateSpec(model="step:tune", data="file:d", generation={"max_new_tokens": 3})
    context, _ = temporary_context(tmp_path, {"model": adapter, "data": rows})
    generate.run(spec, context)
    lines = [json.loads(line) for line in (context.out / generate.ANSWERS).read_text().splitlines()]
    assert {line["answer"] for line in lines} <= {"<yes>", "<no>"}


def test_it_is_evaluated_against_its_base_which_does_not_know_the_tokens(ran, tmp_path):
    _, base, adapter, rows, _ = ran
    spec = EvaluateSpec(
        model="step:tune", data="file:d", compare_with="base", perplexity=True, generation={"max_new_tokens": 3}
    )
    inputs = {"model": adapter, "data": rows}
    context, _ = temporary_context(tmp_path / "both", inputs)
    found = evaluate.run(spec, context).measures
    context, _ = temporary_context(tmp_path / "alone", {"model": base, "data": rows})
    alone = evaluate.run(spec.model_copy(update={"compare_with": None, "model": "file:b"}), context).measures
    for name in ("perplexity", "bits_per_byte"):
        assert found[f"{name}_base"] == pytest.approx(alone[name], rel=1e-6)
        assert found[name] < alone[name] / 2


def test_it_is_merged_into_a_model_with_the_rows(ran, tmp_path):
    _, _base, adapter, *_ = ran
    context, _ = temporary_context(tmp_path, {"model": adapter})
    merge.run(MergeSpec(model="step:tune"), context)
    ids = torch.tensor([load_tokenizer(context.out).encode("a<yes><no><done>z")])
    model = load_model(context.out)
    assert len(model.get_input_embeddings().weight) == len(load_tokenizer(context.out)) == 262
    torch.testing.assert_close(model(ids).logits, load_model(adapter)(ids).logits, rtol=1e-4, atol=1e-5)


def test_it_is_talked_to(ran, capsys):
    _, _base, adapter, *_ = ran
    given = json.dumps(adapter.to_json())
    assert chat.main([given, "--ask", "Is 4 even?", "--json", "--max-new-tokens", "3"]) == 0
    assert json.loads(capsys.readouterr().out)["answer"] in ("<yes>", "<no>")


def test_a_second_training_starts_from_it(ran, tmp_path):
    _, _base, adapter, rows, _ = ran
    spec = SftSpec(data="file:d", base="step:tune", method={"rank": 2}, max_steps=1, prove="off")
    context, _ = temporary_context(tmp_path, {"data": rows, "base": adapter})
    sft.run(spec, context)
    second = Input("step:more", "adapter", context.out, inputs={"base": adapter})
    assert len(load_tokenizer(context.out)) == len(load_tokenizer(adapter.path))
    assert load_model(second).config.vocab_size == load_model(adapter).config.vocab_size
    full = SftSpec(data="file:d", base="step:tune", method={"kind": "full"}, max_steps=1, dtype="bfloat16", prove="off")
    context, _ = temporary_context(tmp_path / "full", {"data": rows, "base": adapter})
    sft.run(full, context)
    load_model(context.out)
