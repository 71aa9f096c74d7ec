"""Prompts for the embedded model or a tiny one, and runs of `fit` on their rollouts."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from burnish.models.adapters.attach import attach_lora
from burnish.models.load import load_model
from burnish.models.probing import causal_model
from burnish.models.value_head import add_value_head
from burnish.specs.rl import GrpoSpec, PpoSpec
from burnish.testing import temporary_context
from burnish.tokens.load import load_tokenizer
from burnish.tokens.rendering.renderer import Renderer
from burnish.tokens.tokenised import TokenisedRows
from burnish.train.fit import fit, seed_everything
from burnish.train.objectives.grpo import Grpo
from burnish.train.objectives.ppo import Ppo
from burnish.train.reporting import curve
from burnish.train.resolve import Resolved
from burnish.train.rewards.reward import Completion, Rewarded
from burnish.train.rollout.critic import TokenAdvantages
from burnish.train.rollout.groups import GroupAdvantages
from burnish.train.rollout.per_token import log_probs
from burnish.train.rollout.prompts import Prompts
from burnish.train.rollout.source import RolloutSource
from ran import Ran


class Vowels:
    """The share of vowels in an answer."""

    name, weight = "vowels", 1.0

    def __call__(self, completions: list[Completion]) -> list[Rewarded]:
        return [Rewarded(sum(c in "aeiou" for c in one.text) / 8, f"of {len(one.text)}") for one in completions]

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture(scope="session")
def prompts_of(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Prompts]:
    """`prompts_of(count, first=0)`: prompts for the tiny model."""
    import numpy as np

    renderer = Renderer(load_tokenizer(base))

    def make(count: int = 9, first: int = 0) -> Prompts:
        rows = [
            {
                "id": f"{number:016x}",
                "source": f"prompts.jsonl:{number + 1}",
                "kind": "prompt",
                "messages": [{"role": "user", "content": f"{'say ' * (number % 3)}{number}?"}],
            }
            for number in range(first, first + count)
        ]
        ids = [np.array(renderer.prompt(row)[1], np.int32) for row in rows]
        tokens = TokenisedRows.of((row["id"], one, one * 0.0) for row, one in zip(rows, ids, strict=True))
        file = tmp_path_factory.mktemp("prompts") / "train.jsonl"
        return Prompts.write(tokens, rows, lambda row: None, file)

    return make


METHODS: dict[str, tuple[Any, Any, Any]] = {
    "grpo": (GrpoSpec, Grpo, GroupAdvantages),
    "ppo": (PpoSpec, Ppo, TokenAdvantages),
}


@pytest.fixture
def run_rollouts(
    base: Path, prompts_of: Callable[..., Prompts], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ran]:
    """`run_rollouts(stage, name, stopping=None, held_out=None, **settings)`: train in the folder of that name, or go on
    there."""
    monkeypatch.setattr(curve, "draw", lambda *_: None)  # a tenth of a second; the stages' tests draw it

    def run(
        stage: str,
        name: str,
        *,
        stopping: Callable[[], bool] = lambda: False,
        prompts: Prompts | None = None,
        held_out: Prompts | None = None,
        rewards: tuple[Any, ...] = (Vowels(),),
        micro_batch_tokens: int = 200,
        **settings: Any,
    ) -> Ran:
        given = {
            "generation": {"max_new_tokens": 8, "batch_size": 5},
            "batch_size": 3,
            "group_size": 4,
            "max_steps": 6,
            "learning_rate": 1e-2,
            "checkpoint": {"every": 1},
            "method": {"kind": "lora", "rank": 4},
            "prove": "off",
        }
        spec_type, objective, estimator = METHODS[stage]
        spec = spec_type(data="file:rows", base="file:base", rewards=[{"kind": "number"}], **given | settings)
        ctx, events = temporary_context(tmp_path / name, stopping=stopping)
        ran = run.last = Ran(tmp_path / name, events)
        seed_everything(spec.seed)
        model = load_model(base)
        model = attach_lora(model, spec.method) if spec.method.kind == "lora" else model.requires_grad_(True)
        if stage == "ppo":
            add_value_head(causal_model(model))
        tokenizer = load_tokenizer(base)
        prompts = prompts or prompts_of()

        def reference(passes):
            def compute(rows):
                with model.disable_adapter():
                    return log_probs(passes, rows, spec.generation.temperature)

            return compute if spec.kl_coefficient else None

        source = RolloutSource(
            spec,
            prompts,
            held_out,
            rewards,
            tokenizer,
            Renderer(tokenizer).stop_ids,
            estimator,
            folder=ctx.scratch / "rollouts",
            micro_batch_tokens=micro_batch_tokens,
            reference=reference,
        )
        held_out_rows = None if held_out is None else held_out.tokens
        resolved = Resolved("cpu", torch.float32, 1, False, micro_batch_tokens)
        fitted = fit(
            spec, ctx, model, prompts.tokens, held_out_rows, resolved, objective=objective(spec), source=source
        )
        ran.measures = fitted.measures
        ran.weights = {n: w.detach().clone() for n, w in model.named_parameters() if w.requires_grad}
        return ran

    return run


@pytest.fixture
def run_grpo(run_rollouts: Callable[..., Ran]) -> Callable[..., Ran]:
    """`run_rollouts` of grpo."""
    return partial(run_rollouts, "grpo")


@pytest.fixture
def run_ppo(run_rollouts: Callable[..., Ran]) -> Callable[..., Ran]:
    """`run_rollouts` of ppo."""
    return partial(run_rollouts, "ppo")
