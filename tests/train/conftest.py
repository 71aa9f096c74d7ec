"""A tiny model, random rows and a run of `fit` over them: what most tests of this room stand on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from burnish.core.context import Context
from burnish.models.adapters.attach import attach_lora
from burnish.models.adapters.new_tokens import TrainedTokens
from burnish.models.freezing import freeze
from burnish.models.load import load_model
from burnish.specs.train import FreezeSpec, LoraSpec, SftSpec
from burnish.testing import temporary_context, tiny_model
from burnish.train.batches import TokenisedRows
from burnish.train.fit import fit, seed_everything
from burnish.train.loop import Loop
from burnish.train.reporting import curve
from burnish.train.resolve import Resolved
from ran import Ran

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen3 of two layers."""
    return tiny_model(tmp_path_factory.mktemp("base"), "qwen3", tie_word_embeddings=True, initializer_range=0.2)


@pytest.fixture(scope="session")
def random_rows() -> Callable[..., TokenisedRows]:
    """`random_rows(count, seed)`: rows of 4 to 29 random tokens, of which about half are learned."""

    def make(count: int = 30, seed: int = 0, vocabulary: int = 264) -> TokenisedRows:
        random = np.random.default_rng(seed)
        rows = []
        for number in range(count):
            length = int(random.integers(4, 30))
            weights = (random.random(length) < 0.5).astype(np.float32)
            weights[-1] = 1.0
            rows.append((f"row{number}", random.integers(3, vocabulary, length).astype(np.int32), weights))
        return TokenisedRows.of(rows)

    return make


def of_process(ctx: Context, rank: int, processes: int) -> Context:
    """The context of one of several processes, as `jobs.performing` makes it."""
    if rank == 0:
        return replace(ctx, processes=processes)
    own = ctx.scratch / "ranks" / str(rank)
    (own / "out").mkdir(parents=True, exist_ok=True)
    more = {"rank": rank, "processes": processes, "first_scratch": ctx.scratch}
    return replace(ctx, out=own / "out", scratch=own, emit=lambda _: None, **more)


@pytest.fixture
def run_fit(base: Path, random_rows: Callable[..., TokenisedRows], tmp_path: Path) -> Callable[..., Ran]:
    """`run_fit(name, stop_before=None, held_out=None, **settings)`: train in the folder of that name, or go on there.

    `process` is (rank, size), for one of several connected processes.
    `stop_before` asks the run to stop before its n-th step of this attempt (from 0), `stopping` whenever it says so.
    """

    def run(
        name: str,
        *,
        stop_before: int | None = None,
        stopping: Callable[[], bool] | None = None,
        base: Path = base,
        held_out: TokenisedRows | None = None,
        rows: TokenisedRows | None = None,
        dtype: torch.dtype = torch.float32,
        micro_batch_tokens: int = 64,
        gradient_checkpointing: bool = False,
        prepare: Callable[[torch.nn.Module], None] = lambda _: None,
        tokens: TrainedTokens | None = None,
        process: tuple[int, int] = (0, 1),
        **settings: Any,
    ) -> Ran:
        given = {"max_steps": 10, "batch_size": 6, "learning_rate": 1e-2, "checkpoint": {"every": 1}, "prove": "off"}
        given |= settings
        spec = SftSpec(data="file:rows", base="file:base", **given)

        made, step = [], Loop._step

        def counted(loop: Loop) -> None:
            step(loop)
            made.append(loop.state.step)

        ctx, events = temporary_context(
            tmp_path / name, stopping=stopping or (lambda: stop_before is not None and len(made) >= stop_before)
        )
        ctx = of_process(ctx, *process)
        seed_everything(spec.seed)
        model = load_model(base, dtype=dtype)
        is_lora = isinstance(spec.method, LoraSpec)
        model = attach_lora(model, spec.method, tokens=tokens) if is_lora else model.requires_grad_(True)
        if isinstance(spec.method, FreezeSpec):
            freeze(model, spec.method)
        prepare(model)
        resolved = Resolved("cpu", dtype, 1, gradient_checkpointing, micro_batch_tokens)
        ran = Ran(tmp_path / name, events)
        run.last = ran  # what a run that raises has emitted
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Loop, "_step", counted)
            patch.setattr(curve, "draw", lambda *_: None)  # a tenth of a second; the stages' tests draw it
            fitted = fit(spec, ctx, model, random_rows() if rows is None else rows, held_out, resolved)
        ran.measures, ran.provenance = fitted.measures, fitted.provenance
        ran.weights = {n: w.detach().clone() for n, w in model.named_parameters() if w.requires_grad}
        return ran

    return run
