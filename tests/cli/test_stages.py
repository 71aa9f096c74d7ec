"""The flags of a stage's command become settings of the right shape."""

import pytest

from burnish.cli.stages import _flags, _plain
from burnish.specs.train import SftSpec

FLAGS = dict(reversed(list(_flags(SftSpec))))


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("track", "[tensorboard]", ["tensorboard"]),
        ("method.targets", "[q_proj, v_proj]", ["q_proj", "v_proj"]),
        ("method.targets", "all-linear", "all-linear"),
        ("method.train_fully", "[lm_head]", ["lm_head"]),
        ("dtype", "float32", "float32"),
        ("threads", "2", 2),
        ("max_grad_norm", "null", None),
        ("render.chat_template", "{{ messages }}", "{{ messages }}"),
    ],
)
def test_a_flag_is_read_as_its_field_says(path, text, value):
    assert _plain(path, text, FLAGS) == value
