"""Models that do not generate in an evaluation: reward models, and encoders with a masked-language-model head."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from burnish.core.context import Context, Input
from burnish.core.errors import AskError, ModelError
from burnish.core.events import Table
from burnish.evals.masked import measure_masked
from burnish.evals.measure import Item
from burnish.evals.report import Sample
from burnish.evals.rewards import measure_rewards
from burnish.evals.scoring.scorers import Row
from burnish.evals.statistics.clusters import interval_of_mean
from burnish.models.bases import folder_of, is_adapter
from burnish.models.engines.opening import is_gguf
from burnish.models.engines.ways import context_of
from burnish.models.load import load_masked, read_config
from burnish.models.reward import is_reward_adapter, load_reward_model
from burnish.specs.evals import EvaluateSpec, MaskedSpec
from burnish.specs.tokens import RenderSpec
from burnish.stages.evals.measuring import tick_of
from burnish.tokens.rendering.renderer import Renderer

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

Role = Literal["language model", "reward model", "encoder"]
_NOT_FOR = ("scorers", "perplexity", "generation", "train_on", "tasks", "checks")


def role_of(source: Input | Path) -> Role:
    """What a model is for, by its config; GGUF files hold language models."""
    if is_gguf(source):
        return "language model"
    folder = folder_of(source)
    if is_adapter(folder):
        return "reward model" if is_reward_adapter(folder) else "language model"
    names = read_config(folder).get("architectures") or [""]
    if str(names[0]).endswith("ForSequenceClassification"):
        return "reward model"
    return "encoder" if str(names[0]).endswith("ForMaskedLM") else "language model"


def refuse_others(spec: EvaluateSpec, role: Role) -> None:
    """Refuse settings of generation and likelihood for a model without them. Errors: AskError `ask.wrong-value`."""
    given = [name for name in _NOT_FOR if name in spec.model_fields_set and spec.__dict__[name] not in ([], False)]
    if role != "encoder" and "masked" in spec.model_fields_set:
        given.append("masked")
    if role == "language model":
        given = [name for name in given if name == "masked"]
    if given:
        raise AskError(
            "ask.wrong-value",
            f"the model is {'an' if role == 'encoder' else 'a'} {role}, and {given[0]} does not apply to it",
            f"remove {', '.join(given)}, or evaluate another model",
        )
    if role != "language model":
        for name in ("scorers", "perplexity"):  # read: what is set is empty or off
            getattr(spec, name)


def measured_as(
    role: Role,
    source: Input | Path,
    tokenizer: "PreTrainedTokenizerBase",
    rows: Sequence[Row],
    ctx: Context,
    name: str,
    *,
    masked: MaskedSpec | None,
    max_length: int,
    date: str,
    dtype: "torch.dtype | None",
    device: "torch.device",
) -> list[Item]:
    """The items of a reward model or an encoder; `name` stands before its phases."""
    tick = tick_of(ctx, name)
    if role == "reward model":
        model: Any = load_reward_model(source, dtype=dtype, device=device)
        longest = min(max_length, context_of(model))
        settings = RenderSpec(train_on="all", max_length=longest, over_length="drop", date=date)
        return measure_rewards(model, Renderer(tokenizer, settings), rows, tick)
    if tokenizer.mask_token_id is None:
        what = "the tokenizer has no mask token, and the model is measured by masked tokens"
        raise ModelError("model.unsupported", what, "use the tokenizer of the model")
    assert masked is not None
    folder = source.path if isinstance(source, Input) else source
    model = load_masked(folder, dtype=dtype, device=device)
    settings = {"share": masked.share, "each": masked.each, "seed": masked.seed}
    return measure_masked(model, tokenizer, rows, tick, **settings, max_length=min(max_length, context_of(model)))


def value_metrics(sample: Sample) -> dict[str, Any]:
    """The means of numbers that are no scores from 0 to 1, with intervals: `{name: {side: {n, value, low, high}}}`."""
    found: dict[str, Any] = {}
    for side, items in sample.sides.items():
        for name in dict.fromkeys(name for item in items for name in item.values):
            places = [index for index, item in enumerate(items) if name in item.values]
            values = np.array([items[index].values[name] for index in places])
            entry: dict[str, Any] = {"n": len(values), "value": float(values.mean())}
            labels = None if sample.labels is None else sample.labels[places]
            interval = interval_of_mean(values, labels, sample.confidence, sample.seed)
            if interval is not None:
                entry |= {"low": interval.low, "high": interval.high}
            found.setdefault(name, {})[side] = entry
    return found


def value_table(values: dict[str, Any], base_name: str) -> Table:
    """The table of `value_metrics`."""
    is_compared = any("base" in entry for entry in values.values())
    sides = {"model": "model"} | ({"base": base_name} if is_compared else {})
    lines: list[list[str]] = []
    for name, entry in values.items():
        cells = [name, str(next(iter(entry.values()))["n"])]
        lines.append([*cells, *(_cell(entry[side]) if side in entry else "–" for side in sides)])
    return Table(title="Numbers without a scale", columns=["number", "rows", *sides.values()], rows=lines)


def value_measures(values: dict[str, Any]) -> dict[str, float]:
    """The means, for the artifact's record."""
    suffixes = {"model": "", "base": "_base"}
    return {f"{name}{suffixes[side]}": one["value"] for name, entry in values.items() for side, one in entry.items()}


def _cell(entry: dict[str, Any]) -> str:
    ends = f" ({entry['low']:.4f} … {entry['high']:.4f})" if "low" in entry else ""
    return f"{entry['value']:.4f}{ends}"
