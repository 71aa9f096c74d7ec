"""The same rows, masks, weights and settings in TRL's SFTTrainer and here: the same losses, step by step."""

import itertools
import warnings
from pathlib import Path

import pytest
import torch

from burnish.models.adapters.attach import attach_lora
from burnish.models.load import load_model
from burnish.specs.train import LoraSpec
from burnish.testing import tiny_model
from burnish.train.batches import TokenisedRows

STEPS = 20
LORA = LoraSpec(rank=4)
# TRL and the packages below it warn of their own future; this is not about them
pytestmark = [pytest.mark.filterwarnings(f"ignore::{kind}") for kind in ("FutureWarning", "DeprecationWarning")]


def trl_losses(base: Path, rows: TokenisedRows, method: str, folder: Path, at_once: int = 2) -> list[float]:
    """Train with TRL: four rows a step, `at_once` (two) of them at a time, in the rows' own order."""
    from datasets import Dataset
    from transformers import AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    torch.manual_seed(0)
    model = load_model(base)
    model = attach_lora(model, LORA) if method == "lora" else model.requires_grad_(True)
    bounds = rows.offsets.tolist()
    spans = [slice(start, end) for start, end in itertools.pairwise(bounds)]
    data = Dataset.from_dict(
        {
            "input_ids": [rows.ids[span].tolist() for span in spans],
            "labels": [
                [token if weight else -100 for token, weight in zip(rows.ids[span], rows.weights[span], strict=True)]
                for span in spans
            ],
        }
    )
    settings = SFTConfig(
        output_dir=str(folder),
        use_cpu=True,
        bf16=False,
        max_steps=STEPS,
        per_device_train_batch_size=at_once,
        gradient_accumulation_steps=4 // at_once,
        learning_rate=1e-2,
        lr_scheduler_type="constant",
        weight_decay=0.0,
        max_grad_norm=1.0,
        adam_beta2=0.999,
        optim="adamw_torch",
        logging_steps=1,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        seed=0,
        gradient_checkpointing=False,
        train_sampling_strategy="sequential",
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*pin_memory.*")
        trainer = SFTTrainer(
            model=model, args=settings, train_dataset=data, processing_class=AutoTokenizer.from_pretrained(base)
        )
        trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_first_twenty_losses_are_trls(base, random_rows, run_fit, tmp_path, method):
    rows = random_rows(4 * STEPS)
    ours = run_fit(
        "ours",
        rows=rows,
        method={"kind": "full"} if method == "full" else {"kind": "lora", "rank": 4},
        max_steps=STEPS,
        batch_size=4,
        shuffle=False,
        learning_rate=1e-2,
        schedule={"kind": "constant", "warmup": 0},
        checkpoint={"every": 100},
    ).metrics("loss")
    theirs = trl_losses(base, rows, method, tmp_path / "trl")
    assert len(theirs) == STEPS
    assert ours == pytest.approx(theirs, abs=1e-4)
    assert abs(ours[0] - ours[-1]) > 1e-2  # they moved, and together


def test_the_losses_of_a_mixture_of_experts_are_trls_with_its_load_balancing_loss(random_rows, run_fit, tmp_path):
    base = tiny_model(
        tmp_path / "mixture",
        "qwen3_moe",
        initializer_range=0.2,
        router_aux_loss_coef=0.05,
        num_experts=4,
        num_experts_per_tok=2,
        moe_intermediate_size=16,
    )
    rows = random_rows(4 * STEPS)
    ours = run_fit(
        "ours",
        base=base,
        rows=rows,
        method={"kind": "full"},
        max_steps=STEPS,
        batch_size=4,
        shuffle=False,
        learning_rate=1e-2,
        schedule={"kind": "constant", "warmup": 0},
        checkpoint={"every": 100},
    )
    theirs = trl_losses(base, rows, "full", tmp_path / "trl", at_once=4)
    whole = [loss + 0.05 * aux for loss, aux in zip(ours.metrics("loss"), ours.metrics("aux_loss"), strict=True)]
    assert whole == pytest.approx(theirs, abs=1e-3)
    assert ours.metrics("loss")[0] < theirs[0] - 0.05  # the difference that the load-balancing loss makes
