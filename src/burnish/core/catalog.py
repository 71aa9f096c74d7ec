"""The table of stages: name → spec, function, kind of output, extra, summary. All values are strings.

The control plane imports only specs; a worker resolves `run`. Other packages add stages through the
entry-point group `burnish.stages`, whose values are `Stage` objects.
"""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from burnish.core.errors import AskError, MachineError
from burnish.core.faults import reason
from burnish.core.naming import nearest
from burnish.core.plugins import Plugin, plugins, warn_left_out

if TYPE_CHECKING:
    from burnish.specs.base import Spec


_WITH_TORCH = ("train", "evals", "ship", "quantize", "serve")
"""The extras of stages that import torch."""


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
    is_reusable: bool = True
    """False for a stage that is run for what it does, such as a server, and not for its artifact."""

    def spec_type(self) -> "type[Spec]":
        """The spec's class. MachineError `machine.broken-plugin` if its module fails."""
        try:
            return _resolve(self.spec)
        except Exception as error:
            what = f"the spec {self.spec} of stage '{self.name}' cannot be loaded: {type(error).__name__}"
            fix = "update or remove the package that adds the stage"
            raise MachineError("machine.broken-plugin", f"{what}: {reason(error)}", fix) from error

    def kind_for(self, spec: "Spec") -> str:
        """The kind of its artifact by its settings: an adapter or a model, a proof with prove: only."""
        if spec.__dict__.get("prove") == "only":
            return "proof"
        if spec.__dict__.get("into") == "base":
            return "model"
        if spec.__dict__.get("form") in ("lora", "adapter"):
            return "gguf-adapter" if spec.__dict__["form"] == "lora" else "adapter"
        method = spec.__dict__.get("method")
        if self.produces in ("model", "adapter") and method is not None and not isinstance(method, str):
            return "adapter" if method.__dict__["kind"] in ("lora", "qlora") else "model"
        return self.produces

    def function(self) -> Any:
        return _resolve(self.run)


_BUILT_IN = (
    Stage(
        name="fetch",
        spec="burnish.specs.data:FetchSpec",
        run="burnish.stages.data.fetch:run",
        produces="rows",
        extra="data",
        version=2,
        summary="Fetch rows from a hub, a URL, an archive or a repository.",
    ),
    Stage(
        name="synthesize",
        spec="burnish.specs.data:SynthesizeSpec",
        run="burnish.stages.data.synthesize:run",
        produces="dataset",
        extra="data",
        summary="Generate synthetic rows.",
    ),
    Stage(
        name="clean",
        spec="burnish.specs.data:CleanSpec",
        run="burnish.stages.data.clean:run",
        produces="rows",
        extra="data",
        version=2,
        summary="Clean raw rows: normalise, filter, deduplicate, decontaminate.",
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
        name="profile",
        spec="burnish.specs.data:ProfileSpec",
        run="burnish.stages.data.profile:run",
        produces="profile",
        extra="data",
        version=3,
        summary="Describe rows: lengths, languages, duplicates, leaks, topics.",
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
        version=2,
        summary="Pretrain a model, from existing weights or from a config.",
    ),
    Stage(
        name="sft",
        spec="burnish.specs.train:SftSpec",
        run="burnish.stages.train.sft:run",
        produces="adapter",
        extra="train",
        version=2,
        summary="Supervised fine-tuning of a model on conversations or texts.",
    ),
    Stage(
        name="dpo",
        spec="burnish.specs.preferences:DpoSpec",
        run="burnish.stages.train.dpo:run",
        produces="adapter",
        extra="train",
        summary="Train a model to prefer the chosen answer of each pair (DPO).",
    ),
    Stage(
        name="kto",
        spec="burnish.specs.preferences:KtoSpec",
        run="burnish.stages.train.kto:run",
        produces="adapter",
        extra="train",
        summary="Train on single answers labelled good or bad (KTO).",
    ),
    Stage(
        name="orpo",
        spec="burnish.specs.preferences:OrpoSpec",
        run="burnish.stages.train.orpo:run",
        produces="adapter",
        extra="train",
        summary="Fine-tune on chosen answers, penalise rejected ones (ORPO).",
    ),
    Stage(
        name="simpo",
        spec="burnish.specs.preferences:SimpoSpec",
        run="burnish.stages.train.simpo:run",
        produces="adapter",
        extra="train",
        summary="Prefer chosen answers by a margin, without reference (SimPO).",
    ),
    Stage(
        name="reward",
        spec="burnish.specs.preferences:RewardSpec",
        run="burnish.stages.train.reward:run",
        produces="adapter",
        extra="train",
        summary="Train a reward model on pairs of answers.",
    ),
    Stage(
        name="reference",
        spec="burnish.specs.preferences:ReferenceSpec",
        run="burnish.stages.train.reference:run",
        produces="log-probabilities",
        extra="train",
        summary="Compute a reference's log-probabilities, for dpo and kto.",
    ),
    Stage(
        name="grpo",
        spec="burnish.specs.rl:GrpoSpec",
        run="burnish.stages.train.rl.grpo:run",
        produces="adapter",
        extra="train",
        summary="Train on rewards of completions that the model samples (GRPO).",
    ),
    Stage(
        name="ppo",
        spec="burnish.specs.rl:PpoSpec",
        run="burnish.stages.train.rl.ppo:run",
        produces="adapter",
        extra="train",
        summary="Train on rewards of completions, with a value head (PPO).",
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
        name="judge",
        spec="burnish.specs.evals.judge:JudgeSpec",
        run="burnish.stages.evals.judge:run",
        produces="evaluation",
        extra="evals",
        summary="Judge answers by a rubric, a reference, or in pairs.",
    ),
    Stage(
        name="certify",
        spec="burnish.specs.evals:CertifySpec",
        run="burnish.stages.evals.certify:run",
        produces="certificate",
        extra="evals",
        summary="Check that a model is still the model that its parent is.",
    ),
    Stage(
        name="compare",
        spec="burnish.specs.evals:CompareSpec",
        run="burnish.stages.evals.compare:run",
        produces="comparison",
        extra="evals",
        summary="Compare models, endpoints and evaluations on the same rows.",
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
        name="export",
        spec="burnish.specs.ship:ExportSpec",
        run="burnish.stages.ship.export:run",
        produces="model",
        extra="train",
        summary="Write a folder that other tools read, with a model card.",
    ),
    Stage(
        name="gguf",
        spec="burnish.specs.ship:GgufSpec",
        run="burnish.stages.ship.gguf:run",
        produces="gguf",
        extra="ship",
        version=2,
        summary="Write a model, or an adapter on its base, as one GGUF file.",
    ),
    Stage(
        name="quantize",
        spec="burnish.specs.ship:QuantizeSpec",
        run="burnish.stages.ship.quantize:run",
        produces="model",
        extra="quantize",
        summary="Quantize a model, or an adapter on its base, to 4 or 8 bits.",
    ),
    Stage(
        name="serve",
        spec="burnish.specs.ship:ServeSpec",
        run="burnish.stages.ship.serve:run",
        produces="serving",
        extra="serve",
        summary="Serve a model over HTTP, as OpenAI's API.",
        is_reusable=False,
    ),
    Stage(
        name="combine",
        spec="burnish.specs.models:CombineSpec",
        run="burnish.stages.models.combine:run",
        produces="adapter",
        extra="train",
        summary="Combine several adapters of one base into one adapter.",
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


class Catalog(dict[str, Stage]):
    """Stages by name. `left_out` has an error for each plugin that could not be used."""

    def __init__(self, built_in: "tuple[Stage, ...]"):
        super().__init__({row.name: row for row in built_in})
        self.left_out: list[MachineError] = []

    def leave_out(self, error: MachineError) -> None:
        self.left_out.append(error)
        warn_left_out(error)


@cache
def stages() -> Catalog:
    """All stages by name: built-in ones, then those of installed packages.

    A plugin that cannot be loaded, or whose stage has the name of another, is left out with a `PluginWarning`.
    """
    table = Catalog(_BUILT_IN)
    by_name: dict[str, list[tuple[Plugin, Stage]]] = {}
    for plugin in plugins("burnish.stages"):
        try:
            row = plugin.load()
            if not isinstance(row, Stage):
                raise plugin.refused(f"is of type {type(row).__name__}, not a burnish.core.catalog.Stage")
            if row.name in table:
                raise plugin.refused(f"adds a stage '{row.name}', which is built in and stays")
        except MachineError as error:
            table.leave_out(error)
            continue
        by_name.setdefault(row.name, []).append((plugin, row))
    for name, found in by_name.items():
        if all(row == found[0][1] for _, row in found):
            table[name] = found[0][1]
            continue
        for plugin, _ in found:
            others = " and ".join(str(other) for other, _ in found if other is not plugin)
            table.leave_out(plugin.refused(f"adds a stage '{name}', and so does {others}: none of them is used"))
    return table


ELSEWHERE = {
    "cpo": "write stage: simpo with loss: sigmoid",
    "ipo": "write stage: dpo with loss: ipo",
    "rloo": "write stage: grpo with baseline: leave_one_out and advantage_scale: none",
    "dapo": "write stage: grpo with clip_high: 0.28, mask_truncated and drop_equal_groups",
    "dr_grpo": "write stage: grpo with normalisation: constant and advantage_scale: none",
    "gspo": "write stage: grpo with importance: sequence",
    "rm": "write stage: reward",
    "pt": "write stage: pretrain",
    "bco": "burnish has no BCO; kto takes the same rows",
    **dict.fromkeys(
        ("online_dpo", "xpo", "nash_md"), "burnish has no online preference training; grpo samples answers"
    ),
}
"""Trainings of other tools that are no stage of burnish → what is."""


def stage(name: str) -> Stage:
    """The stage with that name, or an error that suggests the nearest one.

    Errors: AskError `ask.unknown-stage`; MachineError `machine.broken-plugin` if it may be a stage of a plugin that is
    left out.
    """
    table = stages()
    if name in table:
        return table[name]
    if table.left_out:
        what = "; ".join(error.what for error in table.left_out)
        fix = "; ".join(dict.fromkeys(error.fix for error in table.left_out))
        raise MachineError("machine.broken-plugin", f"unknown stage '{name}'; left out: {what}", fix)
    raise AskError("ask.unknown-stage", f"unknown stage '{name}'", ELSEWHERE.get(name) or nearest(name, table))


def restore_checkpoints() -> Any:
    """The function of the workrooms that restores the checkpoints among the inputs of a step."""
    return _resolve("burnish.stages.train.restoring:restored_inputs")


def _resolve(address: str) -> Any:
    module, _, name = address.partition(":")
    return getattr(import_module(module), name)


def needs_torch(stage: Stage) -> bool:
    """Whether a stage imports torch, and so may use a GPU."""
    return stage.extra in _WITH_TORCH
