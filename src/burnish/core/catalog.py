"""The one crossing between the planes: stage name → spec, function, kind, extra, summary, all of them strings.

The control plane reads specs only; a worker resolves `run`. Other packages add rows through the
entry-point group `burnish.stages`, whose values are `Stage` objects.
"""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from burnish.core.errors import AskError
from burnish.core.naming import nearest
from burnish.core.plugins import plugins

if TYPE_CHECKING:
    from burnish.specs.base import Spec


@dataclass(frozen=True)
class Stage:
    """One row: where its spec and its function lie, what it gives, which extra it needs.

    `version` is part of every fingerprint: raise it when the same spec gives another result. `summary` is the first
    line of the spec's docstring, so that stages can be listed without importing their specs.
    """

    name: str
    spec: str
    run: str
    gives: str
    extra: str = ""
    version: int = 1
    summary: str = ""

    def spec_type(self) -> "type[Spec]":
        return _resolve(self.spec)

    def kind_for(self, spec: "Spec") -> str:
        """The kind of artifact this spec will give: an adapter, or a whole model when all weights are trained."""
        method = spec.__dict__.get("method")
        if self.gives in ("model", "adapter") and method is not None:
            return "adapter" if method.__dict__["kind"] == "lora" else "model"
        return self.gives

    def function(self) -> Any:
        return _resolve(self.run)


_BUILT_IN = (
    Stage(
        name="synthesize",
        spec="burnish.specs.data:SynthesizeSpec",
        run="burnish.stages.data.synthesize:run",
        gives="dataset",
        extra="data",
        summary="Make rows instead of reading them.",
    ),
    Stage(
        name="prepare",
        spec="burnish.specs.data:PrepareSpec",
        run="burnish.stages.data.prepare:run",
        gives="dataset",
        extra="data",
        version=3,
        summary="Read, map, filter, split and measure rows of any layout.",
    ),
    Stage(
        name="tokenizer",
        spec="burnish.specs.tokens:TokenizerTrainSpec",
        run="burnish.stages.tokens.tokenizer:run",
        gives="tokenizer",
        extra="tokens",
        version=2,
        summary="Train a byte-level BPE tokenizer on the rows of a dataset.",
    ),
    Stage(
        name="pretrain",
        spec="burnish.specs.train:PretrainSpec",
        run="burnish.stages.train.pretrain:run",
        gives="model",
        extra="train",
        summary="Pre-train a model, from its weights or from a config.",
    ),
    Stage(
        name="sft",
        spec="burnish.specs.train:SftSpec",
        run="burnish.stages.train.sft:run",
        gives="adapter",
        extra="train",
        summary="Supervised fine-tuning of a model on conversations or texts.",
    ),
    Stage(
        name="evaluate",
        spec="burnish.specs.evals:EvaluateSpec",
        run="burnish.stages.evals.evaluate:run",
        gives="evaluation",
        extra="evals",
        version=2,
        summary="Score a model on rows, alone or against another model.",
    ),
    Stage(
        name="merge",
        spec="burnish.specs.models:MergeSpec",
        run="burnish.stages.models.merge:run",
        gives="model",
        extra="train",
        summary="Merge an adapter into its base, shard by shard.",
    ),
    Stage(
        name="generate",
        spec="burnish.specs.models:GenerateSpec",
        run="burnish.stages.models.generate:run",
        gives="generations",
        extra="train",
        summary="Write an answer beside every prompt of a file or dataset.",
    ),
)


@cache
def stages() -> dict[str, Stage]:
    """Every stage by name: the built-in ones, then those of installed packages."""
    table = {stage.name: stage for stage in _BUILT_IN}
    for stage in plugins("burnish.stages"):
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
