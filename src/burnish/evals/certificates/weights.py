"""Whether the weights of two loaded models are equal up to rounding, tensor by tensor."""

from collections.abc import Mapping

import torch
from torch import Tensor

from burnish.evals.certificates.check import Check, absent, held

_FLOOR = 0.01
"""Of the root mean square of a tensor: smaller weights are compared relative to this, where sums cancel."""
_ELEMENTS = 1 << 24


def compare_weights(parent: Mapping[str, Tensor], child: Mapping[str, Tensor], limit: float | None) -> Check:
    """The check `weights`: |child - parent| / (|parent| + 1 % of the tensor's root mean square), at most `limit`."""
    if limit is None:
        return absent("weights", "they are stored in another form")
    if missing := sorted(parent.keys() ^ child.keys()):
        where = "child" if missing[0] in parent else "parent"
        return held("weights", False, f"{len(missing)} tensors are in one only: '{missing[0]}' is not in the {where}")
    shaped = [name for name in parent if parent[name].shape != child[name].shape]
    if shaped:
        ours, theirs = (list(model[shaped[0]].shape) for model in (parent, child))
        return held("weights", False, f"'{shaped[0]}' is {theirs}, not {ours}")
    largest, worst, differing = 0.0, "", 0
    for name, ours in parent.items():
        if not torch.equal(ours.float(), child[name].float()):
            differing += 1
            if not (found := _relative(ours, child[name])) <= largest:
                largest, worst = found, name
    allowed = f"at most {limit:.2g} of a weight" if limit else "equal"
    if not differing:
        return held("weights", True, f"all {len(parent):,} tensors are equal", allowed)
    found = f"{differing:,} of {len(parent):,} tensors differ, at most by {largest:.2g} of a weight, in '{worst}'"
    return held("weights", largest <= limit, found, allowed)


def _relative(ours: Tensor, theirs: Tensor) -> float:
    """The largest relative difference; NaN or infinity for weights that are not finite."""
    floor = _FLOOR * ours.float().pow(2).mean().sqrt()
    pieces = zip(ours.flatten().split(_ELEMENTS), theirs.flatten().split(_ELEMENTS), strict=True)
    found = [((b.float() - a.float()).abs() / (a.float().abs() + floor).clamp_min(1e-30)).max() for a, b in pieces]
    largest = torch.stack(found).max()
    return float(largest) if bool(torch.isfinite(largest)) else float("inf")
