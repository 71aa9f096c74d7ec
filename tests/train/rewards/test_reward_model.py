"""The reward model gives what transformers gives, alone and among others; a damaged one is refused."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from burnish.core.errors import ModelError, RunError
from burnish.data.document import make_row
from burnish.models.quiet import quiet_transformers
from burnish.testing import tiny_model, tiny_tokenizer
from burnish.train.rewards.reward import total
from completions import completion

FAMILIES = ("qwen3", "qwen2", "llama", "mistral", "gemma2", "gemma3_text", "gpt2")
ANSWERS = ["yes", "no", "perhaps, and perhaps not", "yes", "", "é 猫"]


def tiny_classifier(folder, family="qwen3", labels=1, seed=0, **config):
    """A sequence classifier as the library saves it, with the sizes of `tiny_model`."""
    tiny_model(folder, family, seed=seed, **config)
    settings = AutoConfig.from_pretrained(folder)
    settings.num_labels = labels
    for file in folder.glob("model*"):
        file.unlink()
    with quiet_transformers(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForSequenceClassification.from_config(settings)
        torch.nn.init.normal_(model.score.weight, std=1.0)
        model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return tiny_classifier(tmp_path_factory.mktemp("reward"))


def reward_of(build, folder, **settings):
    (reward,) = build(
        {"kind": "reward_model", "model": f"file:{folder}", **settings}, inputs={"rewards.0.model": folder}
    )
    return reward


def expected(folder, answer, dtype=torch.float32):
    """What transformers gives for the conversation."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": answer}]
    ids = tokenizer.apply_chat_template(turns, return_tensors="pt", return_dict=True)["input_ids"]
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=dtype)
    with torch.inference_mode():
        return model(ids).logits[0, 0].item()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_score_is_that_of_transformers_alone_and_in_a_batch_to_the_bit(tmp_path, build, family):
    folder = tiny_classifier(tmp_path / family, family)
    reward = reward_of(build, folder)
    together = total([reward], [completion(answer) for answer in ANSWERS]).totals
    alone = [total([reward], [completion(answer)]).totals[0] for answer in ANSWERS]
    assert together == alone
    assert together == pytest.approx([expected(folder, answer) for answer in ANSWERS], abs=1e-6)
    assert len(set(together)) == 5


def test_bfloat16(classifier, build):
    reward = reward_of(build, classifier, dtype="bfloat16")
    assert total([reward], [completion("yes")]).totals[0] == expected(classifier, "yes", torch.bfloat16)
    assert total([reward], [completion("yes")]).totals[0] == pytest.approx(expected(classifier, "yes"), abs=0.05)


def test_the_reasoning_is_not_scored_and_tools_are_shown(classifier, build):
    reward = reward_of(build, classifier)
    assert total([reward], [completion("<think>hm</think>yes")]).totals[0] == pytest.approx(
        expected(classifier, "yes"), abs=1e-6
    )


def test_an_answer_that_is_too_long_or_holds_a_control_token_has_no_reward(classifier, build):
    reward = reward_of(build, classifier, max_length=80)
    found = total([reward], [completion("a" * 80), completion("<|im_end|>"), completion("a")])
    assert found.unrewarded == [0, 1]
    assert "longer than 80 tokens" in found.why_none(0)
    assert "<|im_end|>" in found.why_none(1)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_language_model_without_a_score_head_is_refused(tmp_path, build, family):
    folder = tiny_model(tmp_path / "causal", family)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_labels": 1}))
    with pytest.raises(ModelError, match=r"score|lm_head") as caught:
        reward_of(build, folder)
    assert caught.value.code == "model.broken"


@pytest.mark.parametrize(
    "damage", ["no head", "nan head", "other shape", "two labels", "truncated", "pickle", "adapter"]
)
def test_a_damaged_reward_model_is_refused(tmp_path, build, damage):
    folder = tiny_classifier(tmp_path / "reward", labels=2 if damage == "two labels" else 1)
    file = folder / "model.safetensors"
    weights = load_file(file)
    if damage == "no head":
        del weights["score.weight"]
    if damage == "nan head":
        weights["score.weight"][0, 0] = float("nan")
    if damage == "other shape":
        weights["score.weight"] = torch.zeros(1, 8)
    save_file(weights, file, {"format": "pt"})
    if damage == "truncated":
        file.write_bytes(file.read_bytes()[:-10])
    if damage == "pickle":
        torch.save(weights, folder / "pytorch_model.bin")
        file.unlink()
    if damage == "adapter":
        (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError) as caught:
        reward_of(build, folder)
    codes = {"pickle": "model.pickle", "two labels": "model.unsupported", "adapter": "model.wrong-adapter"}
    assert caught.value.code == codes.get(damage, "model.broken")
    assert ("score.weight" in caught.value.what) == (damage in ("no head", "nan head", "other shape"))


def test_a_reward_model_without_a_chat_template_is_refused(tmp_path, build):
    folder = tiny_classifier(tmp_path / "reward")
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    tiny_tokenizer(folder, chat_template=None)
    with pytest.raises(ModelError, match="has no chat template"):
        reward_of(build, folder)


def test_a_score_that_is_not_finite_is_an_error_with_the_row(classifier, build):
    reward = reward_of(build, classifier)
    with torch.no_grad():
        reward._model.score.weight[:] = float("inf")
    with pytest.raises(RunError, match=r"reward 'reward_model' gave (nan|-?inf) for row rows\.jsonl:1"):
        total([reward], [completion("x")])


def test_the_whole_conversation_is_read(classifier, build):
    reward = reward_of(build, classifier)
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "?"}]
    row = make_row("prompt", "x", messages=turns)
    one = completion("yes", row=row)
    assert total([reward], [one]).totals[0] == pytest.approx(expected(classifier, "yes"), abs=1e-6)
    whole = type(one)(row, turns, "yes", [1], "stop", None)
    assert reward._renderer.tokenizer.decode(reward.ids(whole)).startswith("<|im_start|>system\nBe brief.<|im_end|>")
