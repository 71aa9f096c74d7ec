"""What the tests of heads share."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from burnish.train.kernels import head as heads


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several chunks of tokens, the last of which is not full."""
    monkeypatch.setattr(heads, "CHUNK", 8)


@pytest.fixture
def problem() -> Callable[..., tuple[Any, ...]]:
    """`problem(dtype, bias)`: hidden states [37, 16], a head of 50 tokens, targets [37] and shares [37]."""

    def make(dtype: torch.dtype = torch.float32, bias: bool = True) -> tuple[Any, ...]:
        torch.manual_seed(0)
        hidden = torch.randn(37, 16, dtype=dtype, requires_grad=True)
        layer = nn.Linear(16, 50, bias=bias, dtype=dtype)
        return hidden, layer, torch.randint(50, (37,)), torch.rand(37) / 37

    return make
