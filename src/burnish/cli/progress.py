"""Show a running recipe in the terminal: a progress bar, notes, tables and a summary; also writes console.log."""

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from burnish.cli.render import cell, duration, make_table, metrics_summary, plain, program, sparkline
from burnish.core.events import Event
from burnish.core.files import read_json
from burnish.core.inputs.reuse import NEW
from burnish.core.plan import Plan, PlannedStep
from burnish.core.runs.artifact import Artifact
from burnish.core.runs.run import Run
from burnish.core.secrets import masked
from burnish.studio.executing.results import RunResult
from burnish.studio.views.curves import curve

_PLAIN_EVERY = 5.0
_NARROW = 100
_BESIDE_THE_BAR = 14
"""Columns of the indent, the gaps between columns and the remaining time."""
_WIDTH_WITHOUT_PATHS = 62
"""The summary has a column of paths if the terminal is wider than this plus the longest path."""
_RESULTS = ("evaluation", "comparison", "certificate", "profile")
"""Kinds of artifacts whose tables are shown again when a step is reused: they are what it was run for."""
_SHOWN = {"loss": "loss", "tokens_per_second": "tokens/s", "eval_loss": "eval", "learning_rate": "lr"}
"""Metrics beside the bar, most important first: a narrow terminal shows fewer."""


def _mark(artifact: Artifact | None) -> str:
    """The mark of a finished step: crossed out if what it found ends the command with an error."""
    if artifact is None:
        return "[green]✓[/]"
    is_refused = artifact.measures.get("gate") == "failed" or (artifact.certificate or {}).get("holds") is False
    return "[red]✗[/]" if is_refused else "[green]✓[/]"


class TerminalWatcher:
    """Print the events of a run. A terminal has a live bar; elsewhere progress goes to stderr every few seconds."""

    def __init__(self, console: Console):
        self._console = console
        self._log: Console | None = None
        self._log_file: TextIO | None = None
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._numbers: dict[str, float] = {}
        self._last_line = 0.0
        self._started_at = 0.0
        self._warnings: list[str] = []
        self._step = self._steps = 0
        self._is_serving = False

    def on_run_start(self, plan: Plan, number: int, folder: Path) -> None:
        self._step, self._steps = 0, len(plan.steps)
        reused = sum(step.action == "reuse" for step in plan.steps)
        counted = f"{len(plan.steps)} steps" if len(plan.steps) > 1 else "1 step"
        self._print(f"[bold]{plan.recipe.name}/{number}[/]  {counted}, {reused} reused  [dim]{escape(str(folder))}[/]")
        for note in plan.notes:
            self._print(f"  [dim]{escape(plain(note))}[/]")
        for warning in plan.warnings:
            self._print(f"  [yellow]{escape(plain(warning))}[/]")
            self._warnings.append(warning)

    def on_step_start(self, step: PlannedStep, run: Run) -> None:
        self._started_at = self._last_line = time.monotonic()
        self._numbers.clear()
        self._step += 1
        self._is_serving = step.step.stage.produces == "serving"
        name = f"{self._step}/{self._steps} [bold]{step.step.name}[/]"
        if step.action == "reuse":
            self._print(f"{_mark(run.artifact())} {name} [dim]reused: {escape(step.reason)}[/]")
            return
        self._open_log(run)
        verb = "resuming" if step.action == "resume" else "running"
        why = "" if step.reason == NEW or step.is_forced else f": {escape(plain(step.reason))}"
        self._print(f"[cyan]▸[/] {name} [dim]{verb} {step.step.stage.name}{why}[/]")
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn("  {task.description}", table_column=Column(no_wrap=True)),
                BarColumn(bar_width=self._bar_width),
                TextColumn("{task.fields[count]}", table_column=Column(no_wrap=True)),
                TimeRemainingColumn(table_column=Column(no_wrap=True)),
                TextColumn("[dim]{task.fields[numbers]}", table_column=Column(no_wrap=True)),
                console=self._console,
                transient=True,
            )
            self._task = self._bar.add_task("starting", total=None, count="", numbers="")
            self._bar.start()

    def on_event(self, step: PlannedStep, event: Event) -> None:
        match event.kind:
            case "progress":
                self._progress(event.phase, event.done, event.total, event.unit)
            case "metric":
                self._numbers |= {key: event.values[key] for key in _SHOWN if key in event.values}
            case "note" if event.level == "command":
                self._print_line(Text(f"  {plain(event.text)}"))
            case "note":
                colour = "yellow" if event.level == "warning" else "dim"
                self._print(f"  [{colour}]{escape(plain(event.text))}[/]")
                if event.level == "warning":
                    self._warnings.append(f"{step.step.name}: {event.text}")
            case "chosen":
                field, value, reason = (escape(plain(str(part))) for part in (event.field, event.value, event.reason))
                self._print(f"  [dim]chosen for you:[/] {field} = {value} [dim]({reason})[/]")
            case "table":
                self._print(make_table(event.title, event.columns, event.rows))
            case "state" | "failed" | "checkpoint":
                pass

    def on_step_end(self, step: PlannedStep, run: Run) -> None:
        if step.action == "reuse":
            self._repeat(step, run)
            return
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        took = duration(time.monotonic() - self._started_at)
        artifact = run.artifact()
        if artifact is None:
            self._print(f"[red]✗[/] [bold]{step.step.name}[/] {run.record['state']} after {took}")
        else:
            losses = [value for _, value in curve(run)]
            line = f"✓ {step.step.name} {took}"
            if len(losses) > 1:
                ends = f"{losses[0]:.3f} → {losses[-1]:.3f}"
                width = self._console.width - len(f"{line}  loss  {ends}") - 1
                shown = f"  loss {sparkline(losses, width=min(40, max(8, width)))} {ends}"
            else:
                shown = ""
            self._print(f"{_mark(artifact)} [bold]{step.step.name}[/] [dim]{took}[/]{shown}")
        self._close_log()

    def _repeat(self, step: PlannedStep, run: Run) -> None:
        """Show the tables and warnings of a result that is reused."""
        artifact = run.artifact()
        if artifact is None or artifact.kind not in _RESULTS:
            return
        events = [event for event, _ in run.events.read()]
        starts = [place for place, event in enumerate(events) if event.kind == "state" and event.state == "running"]
        for event in events[starts[-1] :] if starts else events:  # an attempt before may have been killed
            if event.kind == "table" or (event.kind == "note" and event.level == "warning"):
                self.on_event(step, event)

    def on_stop(self, at_once: bool) -> None:
        if at_once:
            self._print("[yellow]stopping now[/]")
        else:
            until = "requests under way are answered" if self._is_serving else "the step has saved its state"
            self._print(f"[yellow]stopping once {until}; press Ctrl-C again to stop now[/]")

    def on_wait(self, step: PlannedStep, run: Run) -> None:
        self._print(
            f"[cyan]…[/] [bold]{step.step.name}[/] waiting: another process runs the same step as {run.name}; "
            f"[dim]{program()} runs tail {run.name} --follow[/]"
        )

    def print_summary(self, result: RunResult) -> None:
        """The artifacts of the run, where they are, and commands to run next."""
        root = next(iter(result.steps.values())).run.workspace
        rows = [
            (name, step.artifact.kind, step.action, metrics_summary(step.metrics))
            for name, step in result.steps.items()
        ]
        paths = [_short(step.path, root) for step in result.steps.values()]
        beside = self._console.width >= _WIDTH_WITHOUT_PATHS + max(map(len, paths))
        if beside:
            rows = [(*row, path) for row, path in zip(rows, paths, strict=True)]
        columns = ("step", "kind", "how", "measures", *(("path",) if beside else ()))
        self._print(make_table("Artifacts", columns, rows, unbroken=("step", "kind", "how", "path")))
        for (name, *_), path in zip(rows, paths, strict=True):
            if not beside:
                self._print_line(Text(f"{name}: ", "bold") + Text(path))
        for name, pattern in (("plot", "*.png"), ("page", "*.html")):
            for file in (file for step in result.steps.values() for file in sorted(step.path.glob(pattern))):
                self._print_line(Text(f"{name}: ", "bold") + Text(_short(file, root)))
        for warning in self._warnings:
            self._print(f"[yellow]warning:[/] {escape(plain(warning))}")
        for line in _next_steps(result):
            self._print_line(Text("next: ", "bold cyan") + Text(line))

    def _progress(self, phase: str, done: int, total: int, unit: str) -> None:
        parts = [f"{name} {cell(self._numbers[key])}" for key, name in _SHOWN.items() if key in self._numbers]
        count = f"{done:,}/{total:,} {unit}" if total else f"{done:,} {unit}"
        if self._bar is not None and self._task is not None:
            width = self._console.width - len(phase) - len(count) - self._bar_width - _BESIDE_THE_BAR
            numbers = join_to_width(parts, width)
            self._bar.update(
                self._task, description=phase, completed=done, total=total or None, count=count, numbers=numbers
            )
        elif not self._console.is_terminal and time.monotonic() - self._last_line > _PLAIN_EVERY:
            self._last_line = time.monotonic()
            print(f"  {phase} {count}  {'  '.join(parts)}".rstrip(), file=sys.stderr, flush=True)

    def _print(self, what: RenderableType) -> None:
        self._console.print(what)
        if self._log is not None:
            self._log.print(what)

    @property
    def _bar_width(self) -> int:
        return 12 if self._console.width < _NARROW else 20

    def _print_line(self, text: Text) -> None:
        """Print a path or command without wrapping, so that it can be copied."""
        self._console.print(text, soft_wrap=True)
        if self._log is not None:
            self._log.print(text, soft_wrap=True)

    def _open_log(self, run: Run) -> None:
        self._log_file = (run.folder / "console.log").open("a", encoding="utf-8")
        self._log = Console(file=masked(self._log_file), width=160, no_color=True, highlight=False)

    def _close_log(self) -> None:
        if self._log_file is not None:
            self._log_file.close()
        self._log_file = self._log = None


def join_to_width(parts: Sequence[str], width: int) -> str:
    """The first parts that fit into `width` columns, separated by two spaces."""
    text = ""
    for part in parts:
        longer = f"{text}  {part}" if text else part
        if len(longer) > width:
            break
        text = longer
    return text


def _short(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _is_reward_model(folder: Path) -> bool:
    """A model or adapter that scores text, and cannot chat."""
    for name, key in (("adapter_config.json", "task_type"), ("config.json", "architectures")):
        with suppress(OSError, ValueError, AttributeError):
            found = str(read_json(folder / name).get(key))
            if "SEQ_CLS" in found or "ForSequenceClassification" in found:
                return True
    return False


def _next_steps(result: RunResult) -> list[str]:
    """Commands that use the artifacts."""
    kinds: Mapping[str, str] = {step.artifact.kind: name for name, step in result.steps.items()}
    name, lines, call = result.recipe, list[str](), program()
    model = kinds.get("model") or kinds.get("adapter") or kinds.get("gguf")
    if model and not _is_reward_model(result[model].artifact.path):
        lines.append(f"{call} chat {name}.{model}@latest")
    if "adapter" in kinds and "model" not in kinds:
        lines.append(f"{call} merge --model {name}.{kinds['adapter']}@latest")
    if "gguf" in kinds:
        lines.append(f"{call} serve {name}.{kinds['gguf']}@latest")
    if "dataset" in kinds and not model:
        lines.append(f"{call} inspect {name}.{kinds['dataset']}@latest --tokenizer builtin:pocket")
    lines.append(f"{call} runs show {result.name}")
    return lines
