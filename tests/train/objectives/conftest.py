"""Models that differ from their reference, random judged rows, and one step of an objective on them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from burnish.models.adapters.attach import attach_lora
from burnish.models.load import load_model
from burnish.specs.train import AdamWSpec, LoraSpec
from burnish.testing import tiny_model
from burnish.tokens.tokenised import TokenisedRows
from burnish.train.checkpoints.state import TrainState
from burnish.train.dropout import TokenDropout
from burnish.train.kernels.lora import FusedLora
from burnish.train.objectives.kto import WithMismatched, mismatched_pairs, mismatched_rows, pair_keys
from burnish.train.optim.optimizers import Optimizer
from burnish.train.passes import ForwardPasses, Passes
from burnish.train.reference import sequence_log_probs
from burnish.train.scoring import Scorer


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen3 of two layers whose losses differ between tokens."""
    return tiny_model(tmp_path_factory.mktemp("base"), "qwen3", tie_word_embeddings=True, initializer_range=0.2)


@pytest.fixture(scope="session")
def policy(base: Path) -> Callable[..., Any]:
    """`policy(method)`: a model that has moved away from the base, by an adapter or in every weight."""

    def make(method: str = "lora", dropout: float = 0.0, train_fully: tuple[str, ...] = ()) -> Any:
        torch.manual_seed(3)
        model: Any = load_model(base)
        if method == "lora":
            model = attach_lora(model, LoraSpec(rank=4, dropout=dropout, train_fully=list(train_fully)))
        trained = [weight.requires_grad_() for weight in model.parameters() if method == "full" or weight.requires_grad]
        with torch.no_grad():
            for weight in trained:
                weight += 0.05 * torch.randn_like(weight)
        return model

    return make


def _answers(width: int, prompt: int | None, random: np.random.Generator) -> list[tuple[Any, Any]]:
    first = random.integers(3, 264, prompt or int(random.integers(3, 12)))
    found = []
    for _ in range(width):
        answer = random.integers(3, 264, int(random.integers(2, 12)))
        weights = np.concatenate([np.zeros(len(first)), np.ones(len(answer))])
        found.append((np.concatenate([first, answer]).astype(np.int32), weights.astype(np.float32)))
    return found


@pytest.fixture(scope="session")
def judged() -> Callable[..., TokenisedRows]:
    """`judged(width, count)`: rows of random tokens with one or two answers, and their label or margin."""

    def make(
        width: int = 2, count: int = 6, prompt: int | None = None, labels: list[int] | None = None
    ) -> TokenisedRows:
        random = np.random.default_rng(count)
        rows = [(f"row{number}", _answers(width, prompt, random)) for number in range(count)]
        values = {"margin": random.random(count).astype(np.float32)}
        if width == 1:
            values = {"label": np.array(labels or [1, 0, 0, 1, 1, 0] * count, np.float32)[:count]}
        return TokenisedRows.of_groups(rows, width, values)

    return make


@pytest.fixture(scope="session")
def with_base(base: Path) -> Callable[..., TokenisedRows]:
    """`with_base(rows, steps)`: the rows with the base's log-probabilities, of mismatched pairs too for one answer."""

    def add(rows: TokenisedRows, steps: list[Any] | None = None) -> TokenisedRows:
        scorer = Scorer(load_model(base).requires_grad_(False), width=rows.width)
        state = TrainState(micro_batch_tokens=10_000)
        passes = ForwardPasses(scorer, state, emit=lambda _: None, is_stopping=lambda: False)
        every = np.arange(len(rows))
        rows = rows.with_values(reference=sequence_log_probs(passes, rows, every))
        if rows.width == 2:
            return rows
        pairs = np.concatenate([mismatched_pairs(step, len(rows)) for step in steps or [every]])
        keys = pair_keys(pairs, len(rows))
        found = sequence_log_probs(passes, mismatched_rows(rows, pairs), np.arange(len(pairs)))
        known = dict(zip(keys.tolist(), found, strict=True))
        return WithMismatched(
            **{name: getattr(rows, name) for name in ("ids", "weights", "offsets", "row_ids", "width", "values")},
            mismatched=lambda keys: np.stack([known[key] for key in keys.tolist()]),
        )

    return add


@dataclass
class Step:
    """The results of one step."""

    loss: float
    gradient: dict[str, torch.Tensor]
    metrics: dict[str, float]
    rows: dict[str, dict[int, float]]
    passes: Passes
    events: list[Any]


@pytest.fixture(scope="session")
def step() -> Callable[..., Step]:
    """`step(objective, model, rows)`: loss, gradient, metrics and values of the rows of one step on all rows."""

    def run(
        objective: Any,
        model: Any,
        data: TokenisedRows,
        *,
        rows: Any = None,
        tokens: int = 60,
        attention: str = "auto",
        change: Callable[[Passes], None] = lambda _: None,
        dropout: bool = False,
    ) -> Step:
        events: list[Any] = []
        scorer = Scorer(model.train(), attention, None, FusedLora(model), data.width)
        passes = Passes(
            scorer,
            objective,
            Optimizer(model, AdamWSpec()),
            TrainState(micro_batch_tokens=tokens),
            max_grad_norm=None,
            balance=None,
            dropout=TokenDropout(model, 5) if dropout else None,
            emit=events.append,
            is_stopping=lambda: False,
        )
        change(passes)
        found = passes.gradient(data, np.arange(len(data)) if rows is None else np.asarray(rows))
        (loss, _, _, *metrics), values = found.read()
        return Step(
            loss,
            {name: master.grad.clone() for name, master in passes.optimizer.masters.items() if master.grad is not None},
            dict(zip(objective.metrics, metrics, strict=True)),
            {
                name: dict(zip(found.rows.tolist(), numbers.tolist(), strict=True))
                for name, numbers in zip(("loss", *objective.row_values), values, strict=True)
            },
            passes,
            events,
        )

    return run
