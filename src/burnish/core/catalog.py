"""The one crossing between the planes: stage name → spec, function, kind, extra, all of them strings.

The control plane reads specs only; a worker resolves `run`. Other packages add rows through the
entry-point group `burnish.stages`, whose values are `Stage` objects.
"""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from burnish.core.errors import AskError
from burnish.core.naming import nearest
from burnish.specs.base import Spec


@dataclass(frozen=True)
class Stage:
    """One row: where its spec and its function lie, what it gives, which extra it needs.

    `version` is part of every fingerprint: raise it when the same spec gives another result.
    """

    name: str
    spec: str
    run: str
    gives: str
    extra: str = ""
    version: int = 1

    def spec_type(self) -> type[Spec]:
        return _resolve(self.spec)

    def kind_for(self, spec: Spec) -> str:
        """The kind of artifact this spec will give: an adapter, or a whole model when all weights are trained."""
        method = spec.__dict__.get("method")
        if self.gives in ("model", "adapter") and method is not None:
            return "adapter" if method.__dict__["kind"] == "lora" else "model"
        return self.gives

    def function(self) -> Any:
        return _resolve(self.run)


_BUILT_IN = (
    Stage("synthesize", "burnish.specs.data:SynthesizeSpec", "burnish.stages.synthesize:run", "dataset", "data"),
    Stage("prepare", "burnish.specs.data:PrepareSpec", "burnish.stages.prepare:run", "dataset", "data", version=3),
    Stage(
        "tokenizer", "burnish.specs.tokens:TokenizerTrainSpec", "burnish.stages.tokenizer:run", "tokenizer", "train", 2
    ),
    Stage("pretrain", "burnish.specs.train:PretrainSpec", "burnish.stages.pretrain:run", "model", "train"),
    Stage("sft", "burnish.specs.train:SftSpec", "burnish.stages.sft:run", "adapter", "train"),
    Stage("evaluate", "burnish.specs.evals:EvaluateSpec", "burnish.stages.evaluate:run", "evaluation", "train", 2),
    Stage("merge", "burnish.specs.models:MergeSpec", "burnish.stages.merge:run", "model", "train"),
    Stage("generate", "burnish.specs.models:GenerateSpec", "burnish.stages.generate:run", "generations", "train"),
)


@cache
def stages() -> dict[str, Stage]:
    """Every stage by name: the built-in ones, then those of installed packages."""
    table = {stage.name: stage for stage in _BUILT_IN}
    for entry in entry_points(group="burnish.stages"):
        stage = entry.load()
        table[stage.name] = stage
    return table


def stage(name: str) -> Stage:
    """The stage of that name, or an error that offers the nearest one."""
    table = stages()
    if name not in table:
        raise AskError("ask.unknown-stage", f"there is no stage '{name}'", nearest(name, table))
    return table[name]


def _resolve(address: str) -> Any:
    module, _, name = address.partition(":")
    return getattr(import_module(module), name)
