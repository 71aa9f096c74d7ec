"""Settings of the preference trainings that contradict each other are refused with the one to change."""

import pytest
from pydantic import ValidationError

from burnish.core.catalog import stages

STAGES = ("dpo", "kto", "orpo", "simpo", "reward")
WRONG = [
    ("dpo", {"loss": "hinge", "label_smoothing": 0.1}, "use sigmoid or robust"),
    ("dpo", {"loss": "robust"}, "set label_smoothing to the share of wrong labels, above 0"),
    ("dpo", {"loss": "ipo", "length_normalised": False}, "remove length_normalised"),
    ("dpo", {"label_smoothing": 0.5}, "less than 0.5"),
    *((stage, {"render": {"over_length": "split"}}, "use drop or truncate_left") for stage in STAGES),
    ("dpo", {"beta": 0}, "greater than 0"),
    ("dpo", {"reference_log_probs": "each_step", "reference": "hub:a/b"}, "use cached for another model"),
    ("dpo", {"reference_log_probs": "each_step", "method": {"kind": "full"}}, "use method: lora, or cached"),
    ("kto", {"reference_log_probs": "each_step", "method": {"kind": "full"}}, "use method: lora, or cached"),
    ("dpo", {"reference": "a/b"}, "did you mean hub:a/b"),
    ("kto", {"batch_size": 1}, "set batch_size to 2 or more"),
    ("kto", {"desirable_weight": 0}, "greater than 0"),
    ("simpo", {"loss": "hinge", "label_smoothing": 0.1}, "use simpo or sigmoid"),
    ("simpo", {"loss": "sigmoid", "gamma": 0.5}, "gamma has no meaning for loss: sigmoid"),
    ("simpo", {"gamma": -1}, "greater than or equal to 0"),
    ("reward", {"center_coefficient": -1}, "greater than or equal to 0"),
]


@pytest.mark.parametrize(("stage", "settings", "said"), WRONG, ids=str)
def test_settings_that_do_not_belong_together_are_refused(stage, settings, said):
    with pytest.raises(ValidationError, match=said):
        stages()[stage].spec_type()(data="file:d", base="file:b", **settings)


def test_kto_without_divergence_takes_single_rows():
    spec = stages()["kto"].spec_type()(data="file:d", base="file:b", batch_size=1, loss="apo_zero_unpaired")
    assert spec.batch_size == 1
