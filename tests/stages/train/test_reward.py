"""A reward model is loaded by transformers and PEFT, and gives the scores of its training there, padded or not."""

import json

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from burnish.cli.progress import _is_reward_model
from burnish.core.context import Input
from burnish.core.errors import DataError, ModelError
from burnish.models.load import load_model
from burnish.specs.evals import EvaluateSpec
from burnish.specs.models import MergeSpec
from burnish.specs.rewards import RewardModelReward
from burnish.stages.evals import evaluate
from burnish.stages.models import merge
from burnish.testing import temporary_context, tiny_model
from burnish.train.rewards.build import build_rewards
from burnish.train.rewards.reward import total
from completions import completion

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # PEFT uses deprecated names of transformers
SETTINGS = {"max_steps": 12, "batch_size": 6, "learning_rate": 1e-2, "threads": 1}
CONVERSATIONS = [("Say a 1", "aaa"), ("Say b 2", "z"), ("Say c 3", "cccccc and more of it"), ("Say a", "")]


def loaded(folder, base=None):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if base is None:
        return AutoModelForSequenceClassification.from_pretrained(folder).eval(), tokenizer
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1)
    return PeftModel.from_pretrained(model, folder).eval(), tokenizer


@torch.no_grad()
def scores(model, tokenizer, side=None):
    """Of each conversation alone, or of all of them padded on one side."""
    texts = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}], tokenize=False
        )
        for asked, answer in CONVERSATIONS
    ]
    if side is None:
        return torch.cat([model(**tokenizer(text, return_tensors="pt")).logits[:, 0] for text in texts])
    tokenizer.padding_side = side
    return model(**tokenizer(texts, return_tensors="pt", padding=True)).logits[:, 0]


@pytest.fixture
def trained(rows, base, run_stage):
    """Adapter and whole model."""
    data = rows("preference")
    return {
        kind: run_stage("reward", kind, {"data": data, "base": base}, method={"kind": kind}, **SETTINGS)
        for kind in ("lora", "full")
    }


def test_a_reward_model_is_saved_as_transformers_and_peft_load_it(trained, base, tmp_path):
    for kind, (outcome, out, _) in trained.items():
        assert outcome.kind == {"lora": "adapter", "full": "model"}[kind]
        assert outcome.measures["last_loss"] < 0.5 * outcome.measures["first_loss"]
        model, tokenizer = loaded(out, base if kind == "lora" else None)
        alone = scores(model, tokenizer)
        assert alone.std() > 0.01
        for side in ("left", "right"):
            torch.testing.assert_close(scores(model, tokenizer, side), alone, rtol=1e-4, atol=1e-5)
    saved = json.loads((trained["lora"][1] / "adapter_config.json").read_text())
    assert (saved["task_type"], saved["modules_to_save"]) == ("SEQ_CLS", ["score"])
    config = json.loads((trained["full"][1] / "config.json").read_text())
    assert config["architectures"] == ["Qwen3ForSequenceClassification"]
    assert config["pad_token_id"] == 0


def test_evaluate_gives_the_scores_of_both(trained, base, tmp_path):
    file = tmp_path / "answers.jsonl"
    turns = [[{"role": "user", "content": a}, {"role": "assistant", "content": b}] for a, b in CONVERSATIONS[:3]]
    file.write_text("".join(json.dumps({"messages": each}) + "\n" for each in turns))
    for kind, (_, out, _) in trained.items():
        inputs = {"base": Input("file:b", "model", base)} if kind == "lora" else {}
        model = Input("file:a", "adapter" if inputs else "model", out, inputs=inputs)
        context, _ = temporary_context(tmp_path / f"evaluate-{kind}", {"model": model, "data": file})
        evaluate.run(EvaluateSpec(model="file:a", data=f"file:{file}"), context)
        lines = [json.loads(line) for line in (context.out / "items.jsonl").read_text().splitlines()]
        expected = scores(*loaded(out, base if kind == "lora" else None))[:3].tolist()
        assert [line["values"]["reward"] for line in lines] == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_a_merged_reward_model_has_the_scores_of_its_adapter(trained, base, tmp_path):
    out = trained["lora"][1]
    adapter = Input("file:a", "adapter", out, inputs={"base": Input("file:b", "model", base)})
    context, _ = temporary_context(tmp_path / "merge", {"model": adapter})
    assert merge.run(MergeSpec(model="file:a"), context).kind == "model"
    expected = scores(*loaded(out, base))
    torch.testing.assert_close(scores(*loaded(context.out)), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(scores(*loaded(context.out), "right"), expected, rtol=1e-4, atol=1e-5)


def test_the_reward_of_grpo_is_the_score_of_an_adapter_of_its_merge_and_of_a_whole_model(trained, base, tmp_path):
    out = trained["lora"][1]
    adapter = Input("file:a", "adapter", out, inputs={"base": Input("file:b", "model", base)})
    context, _ = temporary_context(tmp_path / "merge", {"model": adapter})
    merge.run(MergeSpec(model="file:a"), context)
    for source, expected in (
        (adapter, loaded(out, base)),
        (Input("file:m", "model", context.out), loaded(out, base)),
        (Input("file:w", "model", trained["full"][1]), loaded(trained["full"][1])),
    ):
        state = torch.random.get_rng_state()
        context, _ = temporary_context(tmp_path / "grpo", {"rewards.0.model": source})
        (reward,) = build_rewards([RewardModelReward(model="file:a")], context)
        assert torch.equal(torch.random.get_rng_state(), state)
        found = total([reward], [completion(answer, question=asked) for asked, answer in CONVERSATIONS]).totals
        torch.testing.assert_close(torch.tensor(found), scores(*expected), rtol=1e-4, atol=1e-5)


def test_the_adapter_of_a_language_model_is_no_reward_model(base, rows, run_stage, tmp_path):
    outcome, out, _ = run_stage("sft", "sft", {"data": rows("chat"), "base": base}, max_steps=1, threads=1)
    source = Input("file:a", outcome.kind, out, inputs={"base": Input("file:b", "model", base)})
    context, _ = temporary_context(tmp_path / "grpo", {"rewards.0.model": source})
    with pytest.raises(ModelError, match="is the adapter of a language model"):
        build_rewards([RewardModelReward(model="file:a")], context)


def test_the_adapter_of_a_reward_model_is_no_language_model(trained, base):
    assert all(_is_reward_model(out) for _, out, _ in trained.values())
    assert not _is_reward_model(base)
    for kind, said in (("lora", "of a reward model"), ("full", "score.weight")):
        out = trained[kind][1]
        source = Input("file:a", "adapter", out, inputs={"base": Input("file:b", "model", base)})
        with pytest.raises(ModelError, match=said):
            load_model(source if kind == "lora" else out)


@pytest.mark.parametrize("kept", ["bfloat16", "float32"])
def test_a_whole_reward_model_of_a_base_in_any_dtype_is_saved_and_loads(rows, run_stage, tmp_path, kept):
    base = tiny_model(tmp_path / "base", initializer_range=0.2, dtype=kept)
    inputs = {"data": rows("preference"), "base": base}
    settings = {**SETTINGS, "method": {"kind": "full", "save_dtype": "base"}, "dtype": "bfloat16"}
    outcome, out, _ = run_stage("reward", "run", inputs, **settings)
    assert outcome.measures["saved_dtype"] == kept
    model, tokenizer = loaded(out)
    assert str(model.dtype) == f"torch.{kept}"
    alone = scores(model, tokenizer).float()
    torch.testing.assert_close(scores(model, tokenizer, "right").float(), alone, rtol=0.05, atol=0.05)


def test_a_reward_model_and_dpo_train_on_a_base_in_four_bits(rows, base, run_stage, tmp_path):
    for stage, settings in (("reward", {}), ("dpo", {"reference_log_probs": "each_step"}), ("dpo", {})):
        inputs = {"data": rows("preference"), "base": base}
        method = {"kind": "qlora", "rank": 4}
        name = f"{stage}-{len(settings)}"
        outcome, out, _ = run_stage(stage, name, inputs, **SETTINGS, **settings, method=method)
        assert outcome.measures["last_loss"] < outcome.measures["first_loss"]
        if stage == "reward":
            adapter = Input("file:a", "adapter", out, inputs={"base": Input("file:b", "model", base)})
            context, _ = temporary_context(tmp_path / "merge", {"model": adapter})
            assert merge.run(MergeSpec(model="file:a"), context).kind == "model"
            model, tokenizer = loaded(context.out)
            assert scores(model, tokenizer).isfinite().all()


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_reward_model_is_proved_as_it_is_made_scored_and_saved(rows, base, run_stage, method):
    settings = {"prove": "only", "max_steps": 2, "threads": 1, "method": {"kind": method}}
    inputs = {"data": rows("preference"), "base": base}
    _, out, _ = run_stage("reward", "proved", inputs, **settings)
    proof = json.loads((out / "proof.json").read_text())
    found = {check["name"]: check for check in proof["checks"]}
    applied = ("saved", "seed", "prompt as served", "preferred answer", "unlearned tokens")
    assert {name: found[name]["verdict"] for name in applied if name in found} == dict.fromkeys(applied, "holds"), found
    assert found["saved"]["found"].startswith("scores of the model")
    assert (proof["failed"], proof["errors"]) == (0, 0)


def test_margins_are_a_column_of_the_rows(rows, base, run_stage):
    listed = [json.loads(line) for line in rows("preference").read_text().splitlines()]
    for number, row in enumerate(listed[:5]):
        row["margin"] = 0.5 * (number + 1)
    data = rows(listed)
    _, _, events = run_stage("reward", "with", {"data": data, "base": base}, **SETTINGS)
    assert any("5 of 12 rows have a margin" in event.text for event in events if event.kind == "note")
    first = next(event.values["loss"] for event in events if event.kind == "metric")
    _, _, events = run_stage("reward", "without", {"data": data, "base": base}, **SETTINGS, margin=False)
    assert next(event.values["loss"] for event in events if event.kind == "metric") < first
    listed[7]["margin"] = "much"
    with pytest.raises(DataError, match=r"the column 'margin' is 'much'.*") as caught:
        run_stage("reward", "wrong", {"data": rows(listed, name="wrong"), "base": base}, **SETTINGS)
    assert "wrong.jsonl:8" in caught.value.what


@pytest.mark.parametrize("tied", [True, False])
def test_only_what_the_method_trains_changes_and_never_the_head_of_the_language_model(rows, run_stage, tmp_path, tied):
    base = tiny_model(tmp_path / "base", initializer_range=0.2, tie_word_embeddings=tied)
    before = dict(load_model(base).named_parameters())
    for method in ({"kind": "freeze", "layers": 1}, {"kind": "full"}):
        inputs = {"data": rows("preference"), "base": base}
        _, out, _ = run_stage("reward", method["kind"], inputs, **SETTINGS, method=method)
        after = dict(AutoModelForSequenceClassification.from_pretrained(out).named_parameters())
        assert after.keys() - before.keys() == {"score.weight"}
        changed = {name for name in after.keys() & before.keys() if not torch.equal(after[name], before[name])}
        if method["kind"] == "full":
            assert changed == after.keys() & before.keys()
        else:
            assert changed
            assert all(name.startswith("model.layers.1.") for name in changed)
