"""Tasks of lm-evaluation-harness in an evaluation: the settings as read, and their results for one or two models."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from burnish.core.context import Context
from burnish.core.errors import DataError
from burnish.core.events import Note, Table
from burnish.core.inputs.dates import today
from burnish.evals.report import Sample
from burnish.evals.tasks import results
from burnish.evals.tasks.library import installed_version
from burnish.evals.tasks.run import FewShot, TaskRun, plain
from burnish.evals.tasks.values import as_json
from burnish.models.engines.opening import engine_of, room_of
from burnish.specs.evals import EvaluateSpec
from burnish.stages.evals.measuring import tick_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Tasks:
    """What is run."""

    run: TaskRun
    day: date
    batch_size: int

    @classmethod
    def of(cls, spec: EvaluateSpec, ctx: Context) -> "Tasks | None":
        """None without tasks. Errors: those of `TaskRun.check`."""
        given = spec.tasks
        if given is None:
            return None
        names, folders = [], []
        for number, task in enumerate(given.names):
            if task.folder is None:
                names.append(str(task.name))
            else:
                folders.append((ctx.input(f"tasks.names.{number}.folder").path, task.files))
        templated = given.apply_chat_template
        few_shot = FewShot(
            examples=given.num_fewshot,
            seeds=given.seeds,
            applies_chat_template=templated,
            is_multiturn=given.fewshot_as_multiturn,
            system=given.system_instruction,
        )
        run = TaskRun(names, folders, given.limit, few_shot, given.trust_code, given.bootstrap_iters)
        run.check()
        day = spec.date if templated else "auto"
        return cls(run, date.fromisoformat(today() if day == "auto" else day), given.batch_size)

    def results(self, model: Any, tokenizer: "PreTrainedTokenizerBase", ctx: Context, name: str) -> dict[str, Any]:
        """lm-evaluation-harness's results for one model; `name` stands before the phases."""
        from burnish.evals.tasks.model import EngineLM  # imports lm_eval

        template = tokenizer.chat_template if self.run.few_shot.applies_chat_template else None
        tick = tick_of(ctx, f"{name}tasks: ")
        adapted = EngineLM(
            engine_of(model, tokenizer, ctx.emit),
            tokenizer,
            context=room_of(model),
            template=template if isinstance(template, str) or template is None else template.get("default"),
            day=self.day,
            batch_size=self.batch_size,
            seed=self.run.few_shot.seeds[2],
            tick=tick,
        )
        found = self.run.results(adapted, ctx.scratch, tick)
        found["tokens_of"] = adapted.count_tokens
        if not name:  # those of the base are the same
            for text in results.without_scores(found):
                ctx.emit(Note(text=text))
        if adapted.cut:
            text = f"{name}{adapted.cut} prompts of tasks do not fit in the model's context: their beginning is cut off"
            ctx.emit(Note(level="warning", text=text))
        return found


def with_tasks(sample: Sample, ours: Mapping[str, Any], theirs: Mapping[str, Any] | None) -> Sample:
    """A sample with the questions of the tasks after its rows.

    Whole texts count for perplexity only where no other rows do. Errors: DataError `data.other-rows`.
    """
    alone = not sample.rows
    rows = results.sampled(ours, ours["tokens_of"] if alone else None)
    base = None if theirs is None else results.sampled(theirs, theirs["tokens_of"] if alone else None)
    if base is not None:
        _refuse_other_questions(rows, base)
    return Sample(
        rows=[*sample.rows, *rows.rows],
        model=[*sample.model, *rows.items],
        base=None if base is None else [*(sample.base or []), *base.items],
        confidence=sample.confidence,
        seed=sample.seed,
    )


def _refuse_other_questions(ours: results.Sampled, theirs: results.Sampled) -> None:
    """Errors: DataError `data.other-rows` if a task asked the two models different questions."""
    mine, other = ({row["source"]: row["id"] for row in side.rows} for side in (ours, theirs))
    if different := [source for source in mine | other if mine.get(source) != other.get(source)]:
        raise DataError(
            "data.other-rows",
            f"{len(different)} questions of tasks are not the same for both models, the first is {different[0]}",
            "the task draws at random without Python's, numpy's or torch's seeds, or its rows changed: correct it",
        )


def task_metrics(tasks: Tasks, ours: Mapping[str, Any], theirs: Mapping[str, Any] | None) -> dict[str, Any]:
    """lm-evaluation-harness's own numbers, for metrics.json."""
    sides = {"model": ours} | ({} if theirs is None else {"base": theirs})
    few_shot = tasks.run.few_shot
    settings = {
        "num_fewshot": few_shot.examples,
        "limit": tasks.run.limit,
        "seeds": list(few_shot.seeds),
        "bootstrap_iters": tasks.run.bootstrap_iters,
        "apply_chat_template": few_shot.applies_chat_template,
        "fewshot_as_multiturn": few_shot.is_multiturn,
        "system_instruction": few_shot.system,
    }
    version = {"lm_eval": installed_version(), "settings": settings}
    return version | {side: as_json(plain(found)) for side, found in sides.items()}


def task_table(metrics: Mapping[str, Any], base_name: str) -> Table:
    """The table for the terminal and the report, from `task_metrics`."""
    columns, lines = results.table(metrics["model"], metrics.get("base"), base_name)
    return Table(title=f"Tasks (lm-evaluation-harness {metrics['lm_eval']})", columns=columns, rows=lines)


def task_measures(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of tasks for the artifact's record, from `task_metrics`."""
    base = results.measures(metrics["base"], "_base") if "base" in metrics else {}
    return {**results.measures(metrics["model"]), **base}
