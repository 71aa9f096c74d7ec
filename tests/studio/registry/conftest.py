"""The functions of the registry, in the workspace of the test."""

import pytest

import burnish


@pytest.fixture
def registry(workspace, monkeypatch):
    monkeypatch.setenv("BURNISH_WORKSPACE", str(workspace.root))
    monkeypatch.setenv("BURNISH_AUTHOR", "w")
    return burnish.registry
