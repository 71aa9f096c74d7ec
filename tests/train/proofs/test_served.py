"""The checks of a whole stage: prompts of every mode of thinking, rows of new tokens, rounded weights."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from peft.tuners.trainable_tokens.layer import TrainableTokensLayer

from burnish.specs.preferences import DpoSpec
from burnish.specs.train import SftSpec
from burnish.stages.train import dpo, sft
from burnish.stages.train import run as training_run
from burnish.testing import temporary_context, tiny_model, tiny_tokenizer
from burnish.train.proofs import examples, gradients

SWITCHED = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}"
    "{{ '<think> ' + m.reasoning_content if m.reasoning_content else '<think>\n\n' }}</think>\n\n{% endif %}"
    "{{ m.content }}<|im_end|>{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{{ '<think>\n\n</think>\n\n' if enable_thinking is defined and not enable_thinking else '<think> ' }}{% endif %}"
)


def conversation(answer, thought=None):
    said = {"role": "assistant", "content": answer}
    return {
        "messages": [
            {"role": "user", "content": f"Say {answer}"},
            said if thought is None else said | {"reasoning_content": thought},
        ]
    }


@pytest.fixture
def prove(tmp_path):
    """`prove(rows, base={}, stage=sft, spec=SftSpec, **settings)`: the checks by name of a training on a tiny model."""

    def run(rows, base=None, stage=sft, spec=SftSpec, **settings):
        base = tiny_model(tmp_path / "base", tokenizer=False, **(base or {}))
        tiny_tokenizer(base, chat_template=SWITCHED)
        data = tmp_path / "rows.jsonl"
        data.write_text("".join(json.dumps(row) + "\n" for row in rows))
        context, _ = temporary_context(tmp_path / "run", {"data": data, "base": base})
        stage.run(spec(data="file:d", base="file:b", prove="only", threads=1, **settings), context)
        saved = json.loads((context.out / "proof.json").read_text())
        return {check["name"]: check for check in saved["checks"]}

    return run


def test_rows_with_and_without_thoughts_are_both_as_served(prove):
    rows = [conversation("one"), conversation("two", "hm two"), conversation("three", "hm three")]
    check = prove(rows)["prompt as served"]
    assert check["verdict"] == "holds"
    assert check["found"].startswith("3 sequences")
    assert "1 of them in another mode of thinking" in check["found"]


def test_rows_of_one_mode_follow_the_default_of_the_template_that_is_saved(prove):
    check = prove([conversation("one"), conversation("two")])["prompt as served"]
    assert check["verdict"] == "holds"
    assert "another mode" not in check["found"]


@pytest.mark.parametrize(
    ("lengthen", "words"),
    [
        (lambda served: examples.Served(served.prompt[:5], served.answers, served.turns), "learn"),
        (lambda served: examples.Served((7, *served.prompt), served.answers, served.turns), "other tokens than the"),
        (lambda served: examples.Served(served.prompt, ("other",), ("other",)), "learns other tokens"),
    ],
    ids=["a shorter prompt", "a longer prompt", "another answer"],
)
def test_a_row_that_differs_from_what_is_served_in_every_mode_is_a_fault(lengthen, words, prove, monkeypatch):
    made = examples.examples_of

    def changed(rows, renderer):
        found = made(rows, renderer)
        return tuple(examples.Example(one.row_id, tuple(map(lengthen, one.served))) for one in found)

    monkeypatch.setattr("burnish.stages.train.run.examples_of", changed)
    check = prove([conversation("one"), conversation("two", "hm")])["prompt as served"]
    assert check["verdict"] == "does not hold"
    assert words in check["found"]


@pytest.mark.parametrize("is_cut", [False, True])
def test_a_new_token_that_gets_no_gradient_is_a_fault(is_cut, prove, monkeypatch):
    settings = {"method": {"kind": "lora", "new_tokens": ["qqq"]}}
    rows = [conversation("qqq is one"), conversation("two qqq here")]
    merged = TrainableTokensLayer.get_merged_weights
    if is_cut:
        monkeypatch.setattr(TrainableTokensLayer, "get_merged_weights", lambda self, on: merged(self, on).detach())
    check = prove(rows, **settings)["reached"]
    assert check["verdict"] == ("does not hold" if is_cut else "holds")
    assert ("trainable_tokens" in check["found"]) == is_cut


def test_a_new_token_that_no_row_has_is_no_fault(prove):
    checks = prove([conversation("one"), conversation("two")], method={"kind": "lora", "new_tokens": ["qqq"]})
    assert checks["reached"]["verdict"] == "holds"


@pytest.mark.parametrize(("kept", "verdict"), [("bfloat16", "holds"), ("float32", "does not apply")])
def test_weights_are_those_of_the_seed_where_no_base_was_rounded(kept, verdict, prove):
    rows = [conversation("one"), conversation("two")]
    assert prove(rows, {"dtype": kept}, method={"kind": "full"}, dtype="bfloat16")["seed"]["verdict"] == verdict


def test_a_turn_that_is_learned_in_a_sample_of_its_own_is_as_served(prove):
    last = "{{ '<think> x</think>' if loop.last and m.role == 'assistant' }}"
    template = "{% for m in messages %}<|im_start|>{{ m.role }}\n" + last + "{{ m.content }}<|im_end|>{% endfor %}"
    template += "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    turns = [turn for answer in ("one", "two") for turn in conversation(answer)["messages"]]
    check = prove([{"messages": turns}] * 2, render={"chat_template": template})["prompt as served"]
    assert check["verdict"] == "holds"


@pytest.mark.parametrize("over_length", ["split", "truncate_left"])
def test_a_row_that_does_not_fit_is_not_compared(over_length, prove):
    rows = [conversation("one")]
    rows[0]["messages"][0]["content"] *= 12
    check = prove(rows, render={"max_length": 100, "over_length": over_length})["prompt as served"]
    assert check["verdict"] == "does not apply"


def test_a_pair_that_is_cut_for_the_checks_has_the_reference_of_what_is_left(prove):
    prompt = [{"role": "user", "content": "Say it"}]
    answers = {side: [{"role": "assistant", "content": f"{side} " * 60}] for side in ("chosen", "rejected")}
    check = prove([{"prompt": prompt, **answers}] * 2, stage=dpo, spec=DpoSpec)["reference"]
    assert check["verdict"] == "holds"


@pytest.mark.parametrize(
    "method",
    [
        {"kind": "full"},
        {"kind": "freeze", "layers": 1},
        {"kind": "lora", "init": "olora"},
        {"kind": "lora", "init": "pissa"},
        {"kind": "lora", "init": "orthogonal"},
        {"kind": "lora"},
    ],
    ids=lambda method: method.get("init", method["kind"]),
)
def test_a_training_that_would_save_its_base_is_a_fault(method, prove, tmp_path, monkeypatch):
    def untrained(model, tokenizer, base, folder):
        if method["kind"] != "lora":
            shutil.copytree(base.path, folder, dirs_exist_ok=True)
            return
        with model.disable_adapter(), torch.no_grad():
            kept = {name: weight.clone() for name, weight in model.named_parameters() if ".lora_B." in name}
            for name in kept:
                model.get_parameter(name).zero_()
            write(model, tokenizer, base, folder)
            for name, weight in kept.items():
                model.get_parameter(name).copy_(weight)

    write = training_run.write
    rows = [conversation("one"), conversation("two")]
    assert prove(rows, method=method)["saved"]["verdict"] == "holds"
    shutil.rmtree(tmp_path / "run")
    monkeypatch.setattr(training_run, "write", untrained)
    assert prove(rows, method=method)["saved"]["verdict"] == "does not hold"


def test_experts_that_no_gradient_reaches_are_a_fault(prove, monkeypatch):
    driven = gradients._driven
    experts = {"family": "qwen3_moe", "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
    method = {"kind": "lora", "experts": True}
    rows = [conversation("one"), conversation("two")]

    def unreached(subject, rows):
        found = driven(subject, rows)
        return replace(found, reached={name: has and ".experts." not in name for name, has in found.reached.items()})

    monkeypatch.setattr(gradients, "_driven", unreached)
    checks = prove(rows, experts, method=method)
    assert [checks[name]["verdict"] for name in ("reached", "first step")] == ["does not hold"] * 2
