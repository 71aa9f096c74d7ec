"""A reward model is loaded by transformers and PEFT, and gives the scores of its training there, padded or not."""

import json

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from burnish.core.context import Input
from burnish.core.errors import ModelError
from burnish.models.load import load_model
from burnish.specs.models import MergeSpec
from burnish.specs.rewards import RewardModelReward
from burnish.stages.models import merge
from burnish.testing import temporary_context
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
    for kind, said in (("lora", "of a reward model"), ("full", "score.weight")):
        out = trained[kind][1]
        source = Input("file:a", "adapter", out, inputs={"base": Input("file:b", "model", base)})
        with pytest.raises(ModelError, match=said):
            load_model(source if kind == "lora" else out)
