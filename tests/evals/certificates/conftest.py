"""A parent on disk, its adapter, and the two merged."""

from pathlib import Path

import pytest
import torch

from burnish.models.merge import merge_adapter
from certified import make_adapter, make_base


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Path:
    return make_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def adapter(base, tmp_path_factory) -> Path:
    return make_adapter(base, tmp_path_factory.mktemp("adapter"))


@pytest.fixture(scope="session")
def merged(base, adapter, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("merged")
    merge_adapter(adapter, base, folder)
    return folder
