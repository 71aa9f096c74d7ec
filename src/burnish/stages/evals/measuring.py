"""Measure one model on rows, with the settings that `evaluate` and `compare` share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from burnish.core.context import Context
from burnish.core.errors import AskError, RunError
from burnish.core.events import Chosen, Note, Progress
from burnish.evals.measure import Item, answer_rows, measure_likelihoods
from burnish.evals.scoring.scorers import Row, Scorer, build_scorers
from burnish.evals.tasks.choices import MultipleChoice, build_choices, score_choices
from burnish.evals.timing import Timing
from burnish.models.device import inference_dtype, pick_device, use_threads
from burnish.models.engines.opening import engine_of, room_of
from burnish.specs.evals import GenerationSpec, MeasuringSpec, MultipleChoiceSpec
from burnish.specs.tokens import RenderSpec, TrainOn
from burnish.stages.models.answering import only_gguf, refuse_for_gguf
from burnish.tokens.rendering.renderer import Renderer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

FROM_THE_FIRST_ROW = "it starts from the first row"


@dataclass(frozen=True)
class Measuring:
    """How a model is measured, with every setting read."""

    device: torch.device
    dtype: torch.dtype | None
    scorers: Sequence[Scorer]
    generation: GenerationSpec | None
    """None: nothing is generated."""
    learned: tuple[TrainOn, int] | None
    """Which turns perplexity is measured on, and the longest row; None: it is not measured."""
    date: str
    """What the chat template prints as the date."""
    choices: Sequence[MultipleChoice] = ()
    """Scorers by likelihood."""

    @classmethod
    def of(cls, spec: MeasuringSpec, ctx: Context) -> "Measuring":
        """Errors: AskError `ask.nothing-to-do`."""
        if not spec.scorers and not spec.perplexity:
            raise AskError(
                "ask.nothing-to-do",
                "scorers is empty and perplexity is off: nothing would be measured",
                "name a scorer, or set perplexity: true",
            )
        use_threads(spec.threads)
        device = place_of(spec, ctx)
        answered = [one for one in spec.scorers if not isinstance(one, MultipleChoiceSpec)]
        return cls(
            device=device,
            dtype=_dtype(spec, device, ctx),
            scorers=build_scorers(answered),
            choices=build_choices([one for one in spec.scorers if isinstance(one, MultipleChoiceSpec)]),
            generation=_generation(spec.generation) if answered else None,
            learned=(spec.train_on, spec.max_length) if spec.perplexity else None,
            date=spec.date,
        )

    @classmethod
    def of_nothing(cls, spec: MeasuringSpec, ctx: Context) -> "Measuring":
        """Where there are no rows: the device and the dtype."""
        use_threads(spec.threads)
        device = place_of(spec, ctx)
        dtype = _dtype(spec, device, ctx)
        return cls(device=device, dtype=dtype, scorers=(), generation=None, learned=None, date="auto")

    def of_answers(self, spec: MeasuringSpec, scorers: Sequence[Scorer]) -> "Measuring":
        """The same device and dtype for answers with other scorers, and nothing else."""
        generation = _generation(spec.generation)
        return replace(self, scorers=scorers, generation=generation, learned=None, date=spec.date, choices=())


def measured(
    measuring: Measuring,
    rows: Sequence[Row],
    ctx: Context,
    model: Any,
    tokenizer: "PreTrainedTokenizerBase",
    name: str,
    restart: str = FROM_THE_FIRST_ROW,
    timing: Timing | None = None,
) -> list[Item]:
    """One model on all rows; `name` stands before its phases, `restart` is that of `tick_of`.

    `timing` gets the time of generation.
    """
    items, tick = [Item() for _ in rows], tick_of(ctx, name, restart)
    context = room_of(model)
    if measuring.learned is not None:
        train_on, longest = measuring.learned[0], min(measuring.learned[1], context)
        measure_likelihoods(
            model, tokenizer, rows, items, train_on=train_on, max_length=longest, date=measuring.date, tick=tick
        )
        too_long = sum(item.too_long for item in items)
        if too_long:
            text = f"{name}{too_long} rows have more than {longest} tokens and are left out of perplexity"
            ctx.emit(Note(level="warning", text=text))
    if measuring.generation is None and not measuring.choices:
        return items
    engine = engine_of(model, tokenizer, ctx.emit)
    renderer = Renderer(tokenizer, RenderSpec(date=measuring.date))
    if measuring.generation is not None:
        scorers, generation = measuring.scorers, measuring.generation
        if timing is not None:
            timing.batch_size, timing.device = generation.batch_size, str(measuring.device)
        answer_rows(engine, renderer, rows, items, scorers, generation, context=context, tick=tick, timing=timing)
    for scorer in measuring.choices:
        score_choices(engine, renderer, rows, items, scorer, context=context, tick=tick)
    return items


def tick_of(ctx: Context, name: str, restart: str = FROM_THE_FIRST_ROW) -> Callable[[str, int, int], None]:
    """Reports the progress of a phase, and ends the run if a stop is requested; `restart` is what a new run does."""

    def tick(phase: str, done: int, total: int) -> None:
        ctx.emit(Progress(phase=f"{name}{phase}", done=done, total=total))
        if ctx.stopping:
            raise RunError(
                "run.interrupted",
                f"the evaluation was stopped at {name}{phase}, row {done} of {total}",
                f"run it again: {restart}",
            )

    return tick


def place_of(spec: MeasuringSpec, ctx: Context) -> torch.device:
    """The device; that of GGUF files is the CPU. Errors: AskError `ask.wrong-value` for another one."""
    if only_gguf(ctx):
        refuse_for_gguf("device", spec, "auto", "cpu")
        return torch.device("cpu")
    return pick_device(spec.device)


def _dtype(spec: MeasuringSpec, device: torch.device, ctx: Context) -> torch.dtype | None:
    """None keeps the dtype of the files."""
    if only_gguf(ctx):
        refuse_for_gguf("dtype", spec, "auto")
        return None
    if spec.dtype != "auto":
        return getattr(torch, spec.dtype)
    dtype = inference_dtype(device)
    if dtype is not None:
        reason = "a CPU computes it faster and more exactly than bfloat16"
        ctx.emit(Chosen(field="dtype", value=str(dtype).removeprefix("torch."), reason=reason))
    return dtype


def _generation(spec: GenerationSpec) -> GenerationSpec:
    """The settings in effect: without sampling, those of sampling have none."""
    acting: dict[str, Any] = {
        "max_new_tokens": spec.max_new_tokens,
        "temperature": spec.temperature,
        "batch_size": spec.batch_size,
    }
    if spec.temperature > 0:
        acting |= {"top_p": spec.top_p, "top_k": spec.top_k, "seed": spec.seed}
    return GenerationSpec(**acting)
