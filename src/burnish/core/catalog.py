"""The table of stages: name → spec, function, kind of output, extra, summary. All values are strings.

The control plane imports only specs; a worker resolves `run`. Other packages add stages through the
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
    """One stage: `spec` and `run` are `module:name`, `produces` is the kind of its artifact, `extra` its pip extra.

    `version` is part of every fingerprint: increase it when the same spec produces a different result. `summary` is
    the first line of the spec's docstring, so that stages can be listed without importing their specs.
    """

    name: str
    spec: str
    run: str
    produces: str
    extra: str = ""
    version: int = 1
    summary: str = ""

    def spec_type(self) -> "type[Spec]":
        return _resolve(self.spec)

    def kind_for(self, spec: "Spec") -> str:
        """The kind of artifact for this spec: an adapter, or a model if all weights are trained."""
        method = spec.__dict__.get("method")
        if self.produces in ("model", "adapter") and method is not None:
            return "adapter" if method.__dict__["kind"] == "lora" else "model"
        return self.produces

    def function(self) -> Any:
        return _resolve(self.run)


_BUILT_IN = (
    Stage(
        name="synthesize",
        spec="burnish.specs.data:SynthesizeSpec",
        run="burnish.stages.data.synthesize:run",
        produces="dataset",
        extra="data",
        summary="Generate synthetic rows.",
    ),
    Stage(
        name="prepare",
        spec="burnish.specs.data:PrepareSpec",
        run="burnish.stages.data.prepare:run",
        produces="dataset",
        extra="data",
        version=3,
        summary="Read, map, filter, split and measure rows of any layout.",
    ),
    Stage(
        name="tokenizer",
        spec="burnish.specs.tokens:TokenizerTrainSpec",
        run="burnish.stages.tokens.tokenizer:run",
        produces="tokenizer",
        extra="tokens",
        version=2,
        summary="Train a byte-level BPE tokenizer on the rows of a dataset.",
    ),
    Stage(
        name="pretrain",
        spec="burnish.specs.train:PretrainSpec",
        run="burnish.stages.train.pretrain:run",
        produces="model",
        extra="train",
        summary="Pretrain a model, from existing weights or from a config.",
    ),
    Stage(
        name="sft",
        spec="burnish.specs.train:SftSpec",
        run="burnish.stages.train.sft:run",
        produces="adapter",
        extra="train",
        summary="Supervised fine-tuning of a model on conversations or texts.",
    ),
    Stage(
        name="evaluate",
        spec="burnish.specs.evals:EvaluateSpec",
        run="burnish.stages.evals.evaluate:run",
        produces="evaluation",
        extra="evals",
        version=2,
        summary="Score a model on rows, alone or against another model.",
    ),
    Stage(
        name="merge",
        spec="burnish.specs.models:MergeSpec",
        run="burnish.stages.models.merge:run",
        produces="model",
        extra="train",
        summary="Merge an adapter into its base, shard by shard.",
    ),
    Stage(
        name="generate",
        spec="burnish.specs.models:GenerateSpec",
        run="burnish.stages.models.generate:run",
        produces="generations",
        extra="train",
        summary="Generate an answer to every prompt of a file or dataset.",
    ),
)


@cache
def stages() -> dict[str, Stage]:
    """All stages by name: built-in ones, then those of installed packages."""
    table = {stage.name: stage for stage in _BUILT_IN}
    for stage in plugins("burnish.stages"):
        table[stage.name] = stage
    return table


def stage(name: str) -> Stage:
    """The stage with that name, or an error that suggests the nearest one."""
    table = stages()
    if name not in table:
        raise AskError("ask.unknown-stage", f"unknown stage '{name}'", nearest(name, table))
    return table[name]


def _resolve(address: str) -> Any:
    module, _, name = address.partition(":")
    return getattr(import_module(module), name)
