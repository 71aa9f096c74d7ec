"""The tiny families that other tests stand on: all that transformers knows, quick to build and always the same."""

import pytest
import torch

from burnish.models.load import load_model
from burnish.models.quiet import quiet_transformers
from families import BUILDABLE, UNBUILDABLE, CannotBuildError, build, save, token_ids

torch.set_num_threads(1)


@pytest.mark.parametrize("family", UNBUILDABLE)
def test_a_family_that_is_left_out_cannot_be_built(family):
    with pytest.raises(CannotBuildError):
        build(family)


@pytest.mark.some(every=3)
@pytest.mark.parametrize("family", BUILDABLE)
def test_a_family_builds_small_the_same_each_time_and_with_every_weight_finite(family):
    model, again = build(family), build(family)
    weights = model.state_dict()
    assert sum(weight.numel() for weight in weights.values()) < 2_000_000
    for name, weight in again.state_dict().items():
        assert torch.isfinite(weight).all()
        assert torch.equal(weight, weights[name])


def test_a_family_is_saved_as_a_model_that_loads(tmp_path):
    save("qwen3", tmp_path)
    with quiet_transformers():
        loaded = load_model(tmp_path)
    ids = token_ids(2, 9)
    assert torch.equal(loaded(ids).logits, build("qwen3")(ids).logits)
