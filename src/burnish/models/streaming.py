"""The weights of a model by name, read from its files one at a time: peak memory is the largest weight, not the model.

Adapters on the model are merged into each weight as it is read, in float32 and in PEFT's order, as in `merge`.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch

from burnish.models.adapters.changes import Change, TrainedRows, changes_of, dequantized, forget_stacks
from burnish.models.bases import Source, chain_of, folder_of
from burnish.models.layout import Place, locate, refuse_incomplete, skeleton_of
from burnish.models.load import read_config
from burnish.models.quantization.record import read_quantization
from burnish.models.tensors import DTYPES, read_weight, refuse_not_finite
from burnish.models.weights import TensorInfo, broken, read_tensors


class StreamedWeights(Mapping[str, torch.Tensor]):
    """`weights[name]` reads a new float32 tensor; names as in `named_parameters`.

    With `merged`, they are those of the model that `merge` would write: an adapter on an embedding that is tied to the
    head makes two weights of it (`is_untied`), and trained tokens add rows. A head that has other values than the
    embedding in the files is not tied to it, whatever the config says, as in transformers.
    Without `merged`, the files are those that `load_model` accepted. Errors: ValueError for weights that cannot be read
    one by one: quantized ones, some layouts of transformers, and without `merged` an adapter on a tied embedding;
    ModelError `model.broken` for values that are NaN or infinite, and with `merged` for missing, extra and misshapen
    weights.
    """

    def __init__(self, source: Source, *, merged: bool = False):
        *adapters, base = map(folder_of, chain_of(source))
        config, self._base = read_config(base), base
        skeleton = skeleton_of(base, config)
        self._tensors = read_tensors(base)
        layout = locate(skeleton, self._tensors)
        named = dict(skeleton.named_parameters(remove_duplicate=False))
        self._shapes = {name: tuple(weight.shape) for name, weight in named.items()}
        self._stored = dict(self._shapes)
        stored = {id(weight): layout.places[name] for name, weight in named.items() if name in layout.places}
        self._places = {name: layout.places.get(name) or stored.get(id(weight), []) for name, weight in named.items()}
        self._changes: dict[str, list[Change]] = {}
        shared = {name for name, weight in named.items() if sum(weight is other for other in named.values()) > 1}
        has_own = self._differ(sorted(name for name in shared if name in layout.places))
        shared = set[str]() if has_own else shared
        if merged:
            refuse_incomplete(skeleton, layout, base)
            self._refuse_other_shapes()
        for adapter in reversed(adapters):
            quantized = dequantized(read_quantization(adapter), skeleton)
            for name, change in [*quantized, *changes_of(adapter, skeleton_of(base, config)).items()]:
                self._changes.setdefault(name, []).append(change)
        self._refuse_what_cannot_be_followed(base, set() if merged else shared)
        changed = {name: changes for name, changes in self._changes.items() if name in shared}
        self.is_untied = has_own or any(
            not isinstance(change, TrainedRows) for changes in changed.values() for change in changes
        )
        if merged:
            self._share_trained_rows(shared)

    def _differ(self, names: Sequence[str]) -> bool:
        """Whether weights that the config ties have values of their own in the files."""
        tensors = [self._tensors[place.tensor] for name in names for place in self._places[name]]
        if len(names) < 2 or any(tensor.dtype not in DTYPES for tensor in tensors):
            return False
        first, *others = (read_weight(self._places[name], self._tensors, self._stored[name]) for name in names)
        return any(not torch.equal(first, other) for other in others)

    def _share_trained_rows(self, shared: set[str]) -> None:
        """Trained tokens of a tied weight belong to each of its names, and add rows."""
        for name in sorted(shared):
            others = [self._changes.get(other, []) for other in sorted(shared - {name})]
            rows: list[Change] = [change for changes in others for change in changes if isinstance(change, TrainedRows)]
            if rows and not self.is_untied:
                self._changes.setdefault(name, rows)
        for name, changes in self._changes.items():
            length = max((change.rows for change in changes if isinstance(change, TrainedRows)), default=None)
            if length is not None:
                self._shapes[name] = (length, *self._shapes[name][1:])

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Of all weights, a tied one under each of its names."""
        return self._shapes

    def __getitem__(self, name: str) -> torch.Tensor:
        weight = read_weight(self._places[name], self._tensors, self._stored[name])
        with torch.no_grad():
            for change in self._changes.get(name, ()):
                weight = change.apply(weight).float()
        forget_stacks()
        refuse_not_finite(self._base, {name: weight})
        return weight

    def __contains__(self, name: object) -> bool:
        return name in self._shapes  # a mapping's own would read the weight

    def __iter__(self) -> Iterator[str]:
        return iter(self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)

    def _refuse_other_shapes(self) -> None:
        for name, shape in self._shapes.items():
            places = self._places[name]
            found = [self._tensors[place.tensor].shape for place in places if place == Place(place.tensor)]
            if len(places) == 1 and found not in ([], [shape]):
                raise broken(self._base, f"'{name}' is {list(found[0])} in the files, and {list(shape)} by config.json")

    def _refuse_what_cannot_be_followed(self, base: Path, shared: set[str]) -> None:
        for name, shape in self._shapes.items():
            tensors = [self._tensors[place.tensor] for place in self._places[name]]
            if not tensors or not all(_is_part(self._tensors[p.tensor], p, shape) for p in self._places[name]):
                raise ValueError(f"{base}: '{name}' has another layout in the files than in the model")
            if any(tensor.dtype not in DTYPES for tensor in tensors):
                raise ValueError(f"{base}: '{name}' is quantized")
        for name, changes in self._changes.items():
            if name in shared or name not in self._shapes or any(c.shape != self._shapes[name] for c in changes):
                raise ValueError(f"{base}: '{name}' is tied, or its adapter does not match it")


def _is_part(tensor: TensorInfo, place: Place, shape: tuple[int, ...]) -> bool:
    return place.shape_in(tensor.shape) == place.shape_of(shape)
