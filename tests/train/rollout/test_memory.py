"""Trainings on rollouts that run out of memory: smaller parts from then on, and the same gradient."""

import re

import pyarrow.parquet as pq
import pytest
import torch

from burnish.core.errors import MachineError, RunError
from burnish.models.engines.transformers import TransformersEngine
from burnish.train import passes
from burnish.train.objectives.grpo import Grpo

SEVERAL = {"mini_batches": 2, "passes": 2, "kl_coefficient": 0.1, "max_steps": 6}


def out_of_memory(monkeypatch, target, name, times):
    """The first calls of a method raise what torch raises when memory runs out."""
    calls, method = 0, getattr(target, name)

    def failing(*arguments, **named):
        nonlocal calls
        calls += 1
        if calls in times:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")
        return method(*arguments, **named)

    monkeypatch.setattr(target, name, failing)


def test_when_memory_runs_out_in_a_generation_fewer_completions_are_generated_at_once(run_grpo, monkeypatch):
    out_of_memory(monkeypatch, TransformersEngine, "_decode", {2, 4})
    ran = run_grpo("run", max_steps=2)
    assert [text.split(";")[1].split("(")[0].strip() for text in ran.notes("warning")] == [
        "from now on 2 at once",
        "from now on 1 at once",
    ]
    assert pq.read_table(ran.folder / "out" / "rollouts.parquet").num_rows == 24


def test_when_a_single_completion_does_not_fit_the_fix_is_named(run_grpo, monkeypatch):
    out_of_memory(monkeypatch, TransformersEngine, "_decode", set(range(99)))
    with pytest.raises(MachineError, match="a single completion") as caught:
        run_grpo("run")
    assert "max_new_tokens" in caught.value.fix


def test_when_memory_runs_out_in_a_step_its_gradient_stays_the_same(run_grpo, monkeypatch):
    whole = run_grpo("whole", max_steps=2, passes=2)
    out_of_memory(monkeypatch, Grpo, "score", {1})
    found = run_grpo("halved", max_steps=2, passes=2)
    assert "memory ran out in step 1" in found.notes("warning")[0]
    for name, weight in whole.weights.items():
        torch.testing.assert_close(found.weights[name], weight, atol=1e-4, rtol=1e-3)


@pytest.fixture
def small_memory(monkeypatch):
    """`small_memory(most)`: a pass over more tokens than this, or a generation of several completions, runs out."""
    make, decode = passes.make_batch, TransformersEngine._decode

    def limited(most):
        def make_batch(*given, **named):
            batch = make(*given, **named)
            if batch.tokens > most:
                raise torch.OutOfMemoryError(f"CUDA out of memory with {batch.tokens} tokens")
            return batch

        def _decode(self, way, rows, prompts, *given):
            if len(prompts) > 2:
                raise torch.OutOfMemoryError(f"CUDA out of memory with {len(prompts)} completions")
            return decode(self, way, rows, prompts, *given)

        monkeypatch.setattr(passes, "make_batch", make_batch)
        monkeypatch.setattr(TransformersEngine, "_decode", _decode)

    return limited


def test_a_run_that_ran_out_of_memory_does_so_once_and_not_again_when_it_resumes(run_grpo, small_memory):
    """Neither in later steps and rollouts, nor in the passes of the reference; the weights stay the same."""
    whole = run_grpo("whole", **SEVERAL)
    small_memory(40)
    with pytest.raises(RunError, match="stopped after step 3"):
        run_grpo("limited", **SEVERAL, stopping=lambda: len(run_grpo.func.last.metrics("loss")) >= 3)
    first = [text for text in run_grpo.func.last.notes("warning") if "memory" in text]
    tokens = [int(found[1]) for text in first if (found := re.search(r"at most (\d+) tokens", text))]
    assert len(first) == len(tokens) + 1
    assert tokens == sorted(tokens, reverse=True)
    limited = run_grpo("limited", **SEVERAL)
    assert [text for text in limited.notes("warning") if "memory" in text] == []
    for name, weight in whole.weights.items():
        torch.testing.assert_close(limited.weights[name], weight, atol=1e-4, rtol=1e-3)
