"""What a model is called on its card and in the names of files."""

from pathlib import Path

import pytest

from burnish.core.context import Input
from burnish.stages.ship.names import file_name, model_name

OUT = "/w/runs/support/3/tune/out"


@pytest.mark.parametrize(
    ("ref", "path", "name"),
    [
        ("step:tune", OUT, "tune"),
        ("support.tune@latest", OUT, "tune"),
        ("support.tune@3/step-20", "/w/runs/support/3/tune/checkpoints/step-20", "support.tune"),
        ("file:runs/support/3/tune/out", OUT, "tune"),
        ("support@3", OUT, "support"),
        ("support-2.5@production", OUT, "support-2.5"),
        ("hub:me/support@v2", "/cache/x", "support"),
        ("hub:me/Support-0.6B", "/cache/x", "Support-0.6B"),
        ("builtin:pocket", "/x/pocket", "pocket"),
        ("file:/models/my model@home", "/models/my model@home", "my model@home"),
    ],
)
def test_a_model_is_called_by_its_step_or_its_name(ref, path, name):
    source = Input(ref, "model", Path(path))
    assert model_name(source) == name
    assert file_name(source) == name.replace(" ", "-").replace("@", "-")
