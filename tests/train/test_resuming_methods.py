"""Methods that hold more than their trained weights: a run that is stopped and resumed ends with the same bits."""

import pytest
import torch

from burnish.core.errors import RunError
from burnish.models.adapters import initial
from burnish.models.adapters.new_tokens import TrainedTokens


@pytest.mark.some
@pytest.mark.parametrize("init", ["orthogonal", *initial.FROM_BASE])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_adapter_with_an_initialisation_resumes_bit_for_bit(run_fit, init, dtype):
    settings = {"method": {"kind": "lora", "rank": 4, "init": init, "lora_plus": 4}, "max_steps": 6, "dtype": dtype}
    whole = run_fit("whole", **settings)
    with pytest.raises(RunError, match="was stopped"):
        run_fit("parts", stop_before=3, **settings)
    parts = run_fit("parts", **settings)
    assert parts.measures["resumed_from"] == 3
    assert all(torch.equal(parts.weights[name], whole.weights[name]) for name in whole.weights)


@pytest.mark.some(every=2)
@pytest.mark.parametrize("init", initial.FROM_BASE)
def test_a_decomposition_with_other_values_does_not_change_a_resumed_run(run_fit, monkeypatch, init):
    """As another machine may compute it: signs are arbitrary."""
    settings = {"method": {"kind": "lora", "rank": 4, "init": init}, "max_steps": 4}
    whole, fixed = run_fit("whole", **settings), {}

    def kept(model):
        fixed.update({name: matrix.clone() for name, matrix in initial.fixed_matrices(model).items()})

    with pytest.raises(RunError, match="was stopped"):
        run_fit("parts", stop_before=2, prepare=kept, **settings)
    decomposed = initial._decomposed
    monkeypatch.setattr(initial, "_decomposed", lambda *given: tuple(-matrix for matrix in decomposed(*given)))
    models = []
    parts = run_fit("parts", prepare=models.append, **settings)
    assert all(torch.equal(parts.weights[name], whole.weights[name]) for name in whole.weights)
    found = initial.fixed_matrices(models[0])
    assert all(torch.equal(found[name], fixed[name]) for name in fixed)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_new_tokens_resume_bit_for_bit(run_fit, random_rows, dtype):
    settings = {"method": {"kind": "lora", "rank": 4, "lora_plus": 4}, "max_steps": 6, "dtype": dtype}
    settings |= {"tokens": TrainedTokens([9, 264, 265], [264, 265]), "rows": random_rows(30, vocabulary=266)}
    whole = run_fit("whole", **settings)
    with pytest.raises(RunError, match="was stopped"):
        run_fit("parts", stop_before=3, **settings)
    parts = run_fit("parts", **settings)
    assert all(torch.equal(parts.weights[name], whole.weights[name]) for name in whole.weights)
    [name] = [name for name in whole.weights if "trainable_tokens" in name]
    assert whole.weights[name].shape == (3, 32)
    split = run_fit("split", micro_batch_tokens=16, **settings)
    assert split.metrics("grad_norm")[0] == pytest.approx(
        whole.metrics("grad_norm")[0], rel=1e-4 if dtype == torch.float32 else 0.1
    )
