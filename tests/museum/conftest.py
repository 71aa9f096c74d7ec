"""The stand of the exhibits: a real stage on a tiny model and a few conversations, which ends after its checks."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from burnish.core.runs.ledger import ConsumptionLedger
from burnish.specs.preferences import DpoSpec, RewardSpec
from burnish.specs.rl import GrpoSpec
from burnish.specs.train import SftSpec
from burnish.stages.train import dpo, reward, sft
from burnish.stages.train.rl import grpo
from burnish.testing import temporary_context, tiny_model

torch.set_num_threads(1)
WORDS = ["red", "green", "blue", "one", "two", "three", "four", "five", "six", "seven"]


def chat(number: int) -> dict[str, Any]:
    turns = []
    for turn in range(1 + number % 3):
        turns.append({"role": "user", "content": f"Say {WORDS[(number + turn) % 10]}"})
        turns.append({"role": "assistant", "content": " ".join(WORDS[: 1 + (number * 7 + turn) % 9])})
    return {"messages": turns}


def pair(number: int) -> dict[str, Any]:
    prompt = [{"role": "user", "content": f"Say {WORDS[number % 10]}"}]
    chosen, rejected = WORDS[number % 10], " ".join(WORDS[: 1 + number % 7])
    return {
        "prompt": prompt,
        "chosen": [{"role": "assistant", "content": chosen}],
        "rejected": [{"role": "assistant", "content": f"no {rejected}"}],
    }


def prompt(number: int) -> dict[str, Any]:
    return {"prompt": [{"role": "user", "content": f"Say {WORDS[number % 10]}"}]}


STAGES: dict[str, tuple[Any, Any, Callable[[int], dict[str, Any]], dict[str, Any]]] = {
    "sft": (SftSpec, sft, chat, {}),
    "dpo": (DpoSpec, dpo, pair, {}),
    "reward": (RewardSpec, reward, pair, {}),
    "grpo": (
        GrpoSpec,
        grpo,
        prompt,
        {
            "rewards": [{"kind": "length", "unit": "characters", "target": 6, "margin": 9}],
            "group_size": 4,
            "batch_size": 4,
            "generation": {"max_new_tokens": 12},
        },
    ),
}
"""Spec, module, rows and settings of the stages with a stand."""


@pytest.fixture(scope="session")
def conversations(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of rows, by the stage that takes them."""
    folder, files = tmp_path_factory.mktemp("rows"), {}
    for stage, (_, _, make, _) in STAGES.items():
        files[stage] = folder / f"{stage}.jsonl"
        files[stage].write_text("".join(json.dumps(make(number)) + "\n" for number in range(12)))
    return files


@pytest.fixture
def prove_stage(conversations, tmp_path) -> Callable[..., dict[str, Any]]:
    """`prove_stage(stage, family, config, settings)`: the content of proof.json, checks by name, and the notes."""

    def run(stage: str, family: str, config: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
        config = {name: value for name, value in config.items() if name != "model_type"}
        base = tiny_model(tmp_path / "base", family, initializer_range=0.2, **config)
        kind, module, _, usual = STAGES[stage]
        asked = {"max_steps": 4, "batch_size": 8, "threads": 1, "prove": "only"} | usual | dict(settings)
        spec = kind(data="file:rows", base="file:base", **asked)
        context, events = temporary_context(tmp_path / "run", {"data": conversations[stage], "base": base})
        with ConsumptionLedger(spec) as ledger:
            for name in ("data", "base"):
                ledger.input_was_read(name)
            context.check_settings = ledger.check
            outcome = module.run(spec, context)
        assert outcome.kind == "proof"
        proof = json.loads((context.out / "proof.json").read_text())
        return proof | {"by_name": {check["name"]: check for check in proof["checks"]}, "events": events}

    return run
