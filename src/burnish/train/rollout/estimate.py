"""What a method makes of rewarded completions: the values that its objective reads, and what is reported of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from burnish.tokens.tokenised import TokenisedRows
from burnish.train.passes import ForwardPasses
from burnish.train.rollout.judged import Sampled
from burnish.train.rollout.per_token import ReferencePass


@dataclass(frozen=True)
class Estimated:
    """Of a rollout of P prompts with G completions each."""

    rows: TokenisedRows
    """With the values of rows and tokens that the objective reads."""
    completions: Mapping[str, NDArray[np.floating[Any]]]
    """Numbers of each completion [P, G] for the rollout ledger; `advantage` is one of them."""
    metrics: Mapping[str, float]
    used: NDArray[np.bool_]  # [rows], False for rows that are left out of every step


class Estimator(Protocol):
    """Called once for each rollout, in the weights that sampled it."""

    def __call__(self, rows: TokenisedRows, found: Sampled, left_out: NDArray[np.bool_]) -> Estimated:
        """`left_out` [P, G] are completions without learned tokens. Errors: those of `ForwardPasses.each`."""
        ...


MakeEstimator = Callable[[Any, ForwardPasses, ReferencePass | None, int], Estimator]
"""(spec, passes, the pass of the reference if there is one, the most steps on one rollout)."""
