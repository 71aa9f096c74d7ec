"""Verbs that need a workroom: what they need and do not find is told before a workroom is opened."""

import pytest

import burnish
from burnish.core.errors import BurnishError
from burnish.studio import workrooms


@pytest.mark.parametrize(
    ("package", "extra", "ask"),
    [
        ("pyarrow", "data", lambda: burnish.inspect("builtin:pocket")),
        ("torch", "train", lambda: burnish.chat("builtin:pocket")),
    ],
)
def test_a_package_that_is_not_installed_is_told_with_the_extra_that_brings_it(monkeypatch, package, extra, ask):
    monkeypatch.setattr(workrooms, "find_spec", lambda name: None if name == package else object())
    with pytest.raises(BurnishError) as caught:
        ask()
    assert caught.value.code == "machine.no-package"
    assert package in caught.value.what
    assert caught.value.fix == f"pip install 'burnish[{extra}]'"
