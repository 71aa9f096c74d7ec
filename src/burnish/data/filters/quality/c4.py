"""The rules of C4 about pages (Raffel et al. 2020, "Exploring the Limits of Transfer Learning", 2.2)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from burnish.data.filters.quality.sentences import sentences
from burnish.data.texts.block import Block
from burnish.specs.data.filters import C4Spec


@dataclass(frozen=True)
class C4:
    """Drop texts of few sentences, and those with a curly bracket, which prose has not."""

    limits: C4Spec

    def __call__(self, block: Block) -> dict[str, NDArray[np.bool_]]:
        least = self.limits.min_sentences
        found = {f"fewer than {least} sentences": sentences(block) < least}
        if not self.limits.curly_brackets:
            found["a curly bracket"] = block.count_of("{}") > 0
        return found
