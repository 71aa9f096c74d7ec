"""The same rows and weights in TRL's trainers and here: the same loss, the same gradient of every trained weight.

Here rows are packed, their prompt is computed once, and a step has several micro-batches.
"""

from typing import Any

import pytest
import torch

from burnish.models.load import load_model
from burnish.models.probing import causal_model
from burnish.models.reward import add_score_head, as_classifier
from burnish.specs.preferences import DpoSpec, KtoSpec, OrpoSpec, RewardSpec, SimpoSpec
from burnish.tokens.tokenised import TokenisedRows
from burnish.train.objectives.dpo import Dpo
from burnish.train.objectives.kto import Kto
from burnish.train.objectives.orpo import Orpo
from burnish.train.objectives.reward import Reward
from burnish.train.objectives.simpo import Simpo

# TRL and the packages below it warn of their own future; this is not about them
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{kind}") for kind in ("FutureWarning", "DeprecationWarning", "UserWarning")
]
CLOSE = {"rtol": 1e-5, "atol": 1e-5}
COMMON = {"use_cpu": True, "bf16": False, "report_to": [], "gradient_checkpointing": False, "disable_tqdm": True}


def split(rows: TokenisedRows) -> list[dict[str, Any]]:
    """The prompt and the answers of each row."""
    found = []
    for row in range(len(rows)):
        sequences = [rows.ids[span].tolist() for span in rows.spans(row)]
        prompt = int(rows.weights[rows.spans(row)[0]].argmax())
        found.append({"prompt": sequences[0][:prompt], "answers": [ids[prompt:] for ids in sequences]})
    return found


def spec_of(kind: Any, **settings: Any) -> Any:
    return kind(data="file:d", base="file:b", **settings)


def trainer_of(trainer: Any, config: Any, model: Any, base: Any, folder: Any, row: dict, **settings: Any) -> Any:
    from datasets import Dataset
    from transformers import AutoTokenizer

    given = {name: settings.pop(name) for name in ("ref_model",) if name in settings}
    return trainer(
        model=model,
        args=config(output_dir=str(folder), **COMMON, **settings),
        train_dataset=Dataset.from_list([row] * 4),
        processing_class=AutoTokenizer.from_pretrained(base),
        **given,
    )


def theirs(trainer: Any, inputs: dict[str, Any]) -> tuple[float, dict[str, torch.Tensor]]:
    trainer.model.train()
    loss = trainer.compute_loss(trainer.model, inputs)
    loss.backward()
    gradient = {name: weight.grad for name, weight in trainer.model.named_parameters() if weight.grad is not None}
    return float(loss.detach()), gradient


def assert_same(ours: Any, loss: float, gradient: dict[str, torch.Tensor]) -> None:
    assert ours.loss == pytest.approx(loss, abs=1e-5, rel=1e-5)
    assert ours.gradient.keys() == gradient.keys()
    assert max(float(value.abs().max()) for value in gradient.values()) > 1e-3
    for name, expected in gradient.items():
        torch.testing.assert_close(ours.gradient[name], expected, msg=lambda text, n=name: f"{n}: {text}", **CLOSE)


TEXTS = {"prompt": "a", "chosen": "b", "rejected": "c"}
DPO = [
    ({}, {"loss_type": ["sigmoid"]}),
    ({"loss": "ipo"}, {"loss_type": ["ipo"]}),
    ({"loss": "hinge"}, {"loss_type": ["hinge"]}),
    ({"loss": "robust", "label_smoothing": 0.2}, {"loss_type": ["robust"], "label_smoothing": 0.2}),
    ({"sft_weight": 0.7}, {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 0.7]}),
    ({"length_normalised": True}, {"loss_type": ["sigmoid_norm"]}),
    ({"length_normalised": True, "beta": 2.5}, {"loss_type": ["sigmoid_norm"], "beta": 2.5}),
]


@pytest.mark.some
@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize(("ours", "trl"), DPO, ids=lambda value: "-".join(map(str, value.values())) or "default")
def test_dpo(base, policy, judged, with_base, step, tmp_path, method, ours, trl):
    from trl import DPOConfig, DPOTrainer
    from trl.trainer.dpo_trainer import DataCollatorForPreference

    rows = judged(2)
    found = step(Dpo(spec_of(DpoSpec, **ours)), policy(method), with_base(rows))
    assert len(found.passes._mine(rows, torch.arange(len(rows)).numpy())) > 1
    assert found.passes.scorer.shares_prompts
    trainer = trainer_of(
        DPOTrainer, DPOConfig, policy(method), base, tmp_path, TEXTS, ref_model=load_model(base), **trl
    )
    examples = [
        {"prompt_ids": row["prompt"], "chosen_ids": row["answers"][0], "rejected_ids": row["answers"][1]}
        for row in split(rows)
    ]
    assert_same(found, *theirs(trainer, DataCollatorForPreference(pad_token_id=0)(examples)))
    logged = {name: values[-1] for name, values in trainer._metrics["train"].items()}
    names = {"accuracy": "rewards/accuracies", "margin": "rewards/margins", "chosen_reward": "rewards/chosen"}
    names |= {"rejected_reward": "rewards/rejected", "chosen_log_prob": "logps/chosen"}
    names |= {"rejected_log_prob": "logps/rejected"}
    assert {name: found.metrics[name] for name in names} == pytest.approx(
        {name: logged[other] for name, other in names.items()}, rel=1e-4, abs=1e-5
    )


def test_conservative_dpo_is_a_mean_of_both_labels(policy, judged, with_base, step):
    """TRL 1.16 ignores `label_smoothing` for sigmoid; the formula of the paper is tested instead."""
    rows = with_base(judged(2))
    pairs = [[(rows.ids[s], rows.weights[s]) for s in reversed(rows.spans(row))] for row in range(len(rows))]
    values = {"reference": rows.values["reference"][:, ::-1].copy()}
    flipped = TokenisedRows.of_groups(zip(rows.row_ids, pairs, strict=True), 2, values)
    plain, smooth = spec_of(DpoSpec), spec_of(DpoSpec, label_smoothing=0.3)
    found, right, wrong = (
        step(Dpo(spec), policy(), data) for spec, data in ((smooth, rows), (plain, rows), (plain, flipped))
    )
    assert found.loss == pytest.approx(0.7 * right.loss + 0.3 * wrong.loss, rel=1e-5)
    for name, value in found.gradient.items():
        torch.testing.assert_close(value, 0.7 * right.gradient[name] + 0.3 * wrong.gradient[name], **CLOSE)


KTO = [
    ({}, {}),
    ({"desirable_weight": 1.3, "undesirable_weight": 0.4}, {"desirable_weight": 1.3, "undesirable_weight": 0.4}),
    ({"loss": "apo_zero_unpaired", "beta": 0.3}, {"loss_type": "apo_zero_unpaired", "beta": 0.3}),
]


@pytest.mark.some
@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("labels", [[1, 0, 0, 1, 1, 0], [1, 0, 0, 0, 0, 0], [1] * 6, [0] * 6], ids=str)
@pytest.mark.parametrize(("ours", "trl"), KTO, ids=lambda value: "-".join(map(str, value.values())) or "default")
def test_kto(base, policy, judged, with_base, step, tmp_path, method, labels, ours, trl):
    from trl import KTOConfig, KTOTrainer
    from trl.trainer.kto_trainer import DataCollatorForUnpairedPreference

    rows = judged(1, labels=labels)
    found = step(Kto(spec_of(KtoSpec, **ours)), policy(method), with_base(rows), tokens=40)
    trainer = trainer_of(
        KTOTrainer,
        KTOConfig,
        policy(method),
        base,
        tmp_path,
        {"prompt": "a", "completion": "b", "label": True},
        ref_model=load_model(base),
        per_device_train_batch_size=2,
        train_sampling_strategy="sequential",
        **trl,
    )
    parts = split(rows)
    answers = [row["answers"][0] for row in parts]
    examples = [
        {"prompt_ids": row["prompt"], "completion_ids": answer, "KL_completion_ids": other, "label": bool(label)}
        for row, answer, other, label in zip(parts, answers, answers[-1:] + answers[:-1], labels, strict=True)
    ]
    if trainer.calculate_KL is False:
        for example in examples:
            del example["KL_completion_ids"]
    assert_same(found, *theirs(trainer, DataCollatorForUnpairedPreference(pad_token_id=0)(examples)))
    logged = {name: values[-1] for name, values in trainer._metrics["train"].items()}
    names = {"kl": "kl", "margin": "rewards/margins"}
    for ours_, theirs_ in (("desirable", "chosen"), ("undesirable", "rejected")):
        names |= {f"{ours_}_reward": f"rewards/{theirs_}", f"{ours_}_log_prob": f"logps/{theirs_}"}
    for name, other in names.items():
        if other in logged:
            assert found.metrics[name] == pytest.approx(logged[other], rel=1e-4, abs=1e-5), name
        else:
            assert found.metrics[name] != found.metrics[name], name  # NaN: no such rows


def concatenated(rows: TokenisedRows) -> dict[str, torch.Tensor]:
    """A batch as ORPOTrainer and CPOTrainer collate it."""
    from trl.experimental.utils import DPODataCollatorWithPadding

    examples = []
    for row in split(rows):
        example: dict[str, Any] = {}
        for name, answer in zip(("chosen", "rejected"), row["answers"], strict=True):
            example[f"{name}_input_ids"] = row["prompt"] + answer
            example[f"{name}_attention_mask"] = [1] * len(row["prompt"] + answer)
            example[f"{name}_labels"] = [-100] * len(row["prompt"]) + answer
        examples.append(example)
    return DPODataCollatorWithPadding(pad_token_id=0)(examples)


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("beta", [0.1, 1.5])
def test_orpo(base, policy, judged, step, tmp_path, method, beta):
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer

    rows = judged(2, prompt=1)  # TRL learns the prompt too, but for its first token
    found = step(Orpo(spec_of(OrpoSpec, beta=beta)), policy(method), rows)
    trainer = trainer_of(ORPOTrainer, ORPOConfig, policy(method), base, tmp_path, TEXTS, beta=beta)
    assert_same(found, *theirs(trainer, concatenated(rows)))


SIMPO = [
    ({"beta": 2.0, "gamma": 1.0}, {"loss_type": "simpo", "beta": 2.0, "simpo_gamma": 1.0, "cpo_alpha": 0.0}),
    (
        {"gamma": 0.3, "sft_weight": 0.5, "label_smoothing": 0.1},
        {"loss_type": "simpo", "beta": 2.0, "simpo_gamma": 0.3, "cpo_alpha": 0.5, "label_smoothing": 0.1},
    ),
    ({"loss": "sigmoid", "beta": 0.1, "sft_weight": 1.0}, {"loss_type": "sigmoid", "beta": 0.1}),
    (
        {"loss": "sigmoid", "beta": 0.1, "label_smoothing": 0.2},
        {"loss_type": "sigmoid", "beta": 0.1, "label_smoothing": 0.2, "cpo_alpha": 0.0},
    ),
    ({"loss": "hinge", "beta": 0.1, "sft_weight": 1.0}, {"loss_type": "hinge", "beta": 0.1}),
    ({"loss": "ipo", "beta": 0.1}, {"loss_type": "ipo", "beta": 0.1, "cpo_alpha": 0.0}),
]


@pytest.mark.some
@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize(("ours", "trl"), SIMPO, ids=lambda value: "-".join(map(str, value.values())))
def test_simpo(base, policy, judged, step, tmp_path, method, ours, trl):
    from trl.experimental.cpo import CPOConfig, CPOTrainer

    rows = judged(2)
    found = step(Simpo(spec_of(SimpoSpec, **ours)), policy(method), rows)
    trainer = trainer_of(CPOTrainer, CPOConfig, policy(method), base, tmp_path, TEXTS, **trl)
    assert_same(found, *theirs(trainer, concatenated(rows)))


REWARD = [
    ({}, {}, False),
    ({}, {}, True),
    ({"center_coefficient": 0.3}, {"center_rewards_coefficient": 0.3}, True),
]


@pytest.mark.some
@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize(("ours", "trl", "has_margin"), REWARD, ids=["plain", "margin", "centred"])
def test_reward(base, policy, judged, step, tmp_path, method, ours, trl, has_margin):
    from trl import RewardConfig, RewardTrainer
    from trl.trainer.reward_trainer import DataCollatorForPreference

    rows = judged(2)
    margins = rows.values["margin"]
    rows = rows if has_margin else rows.with_values(margin=margins * 0)
    model = with_head(policy(method))
    found = step(Reward(spec_of(RewardSpec, **ours)), model, rows)
    other = with_head(policy(method))
    classifier = as_classifier(causal_model(other), 0)  # shares the weights of `other`
    text = {"chosen": "a b", "rejected": "c"}
    trainer = trainer_of(RewardTrainer, RewardConfig, classifier, base, tmp_path, text, **trl)
    assert classifier.config.pad_token_id == 0
    examples = [
        {f"{name}_ids": row["prompt"] + ids for name, ids in zip(("chosen", "rejected"), row["answers"], strict=True)}
        | ({"margin": float(margin)} if has_margin else {})
        for row, margin in zip(split(rows), margins, strict=True)
    ]
    loss, _ = theirs(trainer, DataCollatorForPreference(pad_token_id=0)(examples))
    gradient = {name: weight.grad for name, weight in other.named_parameters() if weight.grad is not None}
    assert_same(found, loss, gradient)
    assert any("score" in name for name in gradient)
    logged = {name: values[-1] for name, values in trainer._metrics["train"].items()}
    assert (found.metrics["accuracy"], found.metrics["margin"]) == pytest.approx(
        (logged["accuracy"], logged["margin"]), rel=1e-4, abs=1e-5
    )


def with_head(model: Any) -> Any:
    """The model with a seeded head."""
    torch.manual_seed(8)
    add_score_head(causal_model(model))
    return model
