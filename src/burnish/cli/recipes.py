"""The commands on recipes: `run`, `plan`, `prove`, `demo`, `init`, `schema`."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from burnish.cli import completion
from burnish.cli.command import Command, RunName, TrainingStep
from burnish.cli.render import Output, duration, plain, program
from burnish.core.files import file_size
from burnish.core.paths import expanded

Files = Annotated[
    list[str],
    typer.Argument(
        help="Recipe files, later ones override earlier ones; or the name of a shipped recipe.",
        autocompletion=completion.recipes,
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="step.field=value; repeatable.", autocompletion=completion.settings),
]
From = Annotated[
    str | None,
    typer.Option("--from", help="Rerun this step and all steps that depend on it.", autocompletion=completion.steps),
]
Force = Annotated[
    list[str] | None,
    typer.Option("--force", help="Rerun this step ('*' for all); repeatable.", autocompletion=completion.steps),
]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", help="Run only this step and its inputs; repeatable.", autocompletion=completion.steps),
]

On = Annotated[
    str | None, typer.Option("--on", help="Run the steps on a Ray cluster: ray://host:10001, http://host:8265.")
]


def run(
    ctx: typer.Context,
    files: Files,
    set: Set = None,
    start: From = None,
    force: Force = None,
    only: Only = None,
    on: On = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan, run nothing.")] = False,
) -> None:
    """Run a recipe; reuse finished steps, resume stopped ones."""
    if dry_run:
        return plan(ctx, files, set, start, force, only)
    _run(ctx.obj, files, set, start, force, only, on)
    return None


def plan(
    ctx: typer.Context,
    files: Files,
    set: Set = None,
    start: From = None,
    force: Force = None,
    only: Only = None,
) -> None:
    """Show what `run` would do for each step, and why."""
    from burnish.studio.planning import plan as make_plan

    output: Output = ctx.obj
    found = make_plan(
        files, settings=set or (), workspace=output.workspace, start=start, force=force or (), only=only or ()
    )
    for warning in found.warnings:
        output.warn(warning)
    if output.json:
        return output.print_json(found.as_dict())
    rows = [
        (s.step.name, s.step.stage.name, s.action, s.reason, duration(s.last_seconds), s.fingerprint[:12])
        for s in found.steps
    ]
    output.table(f"{found.recipe.name}", ("step", "stage", "action", "why", "last time", "fingerprint"), rows)
    for note in found.notes:
        output.console.print(plain(note), markup=False)
    times = [step.last_seconds for step in found.steps if step.action != "reuse"]
    estimate = f", about {duration(sum(t for t in times if t))}" if times and all(times) else ""
    output.console.print(
        f"{len(times)} of {len(found.steps)} steps to run{estimate}; {file_size(found.free_bytes)} of disk free"
    )
    return None


def prove(
    ctx: typer.Context,
    files: Files,
    step: Annotated[
        str | None, typer.Option(help="The training step; default: the only one.", autocompletion=completion.steps)
    ] = None,
    set: Set = None,
) -> None:
    """Check a training step on its own model and rows.

    Nothing is trained; steps before it are run. The exit status is 1 if a check does not hold or raises.
    """
    from burnish.cli.progress import TerminalWatcher
    from burnish.studio.proving import prove as check

    output: Output = ctx.obj
    watcher = None if output.json else TerminalWatcher(output.console)
    found = check(files, step=step, settings=set or (), workspace=output.workspace, watcher=watcher)
    if output.json:
        output.print_json(found.as_dict())
    else:
        rows = [
            (check["name"], check["verdict"], check["found"], _number(check["measured"]), _number(check["allowed"]))
            for check in found.proof["checks"]
        ]
        title = f"{found.step}  {found.proof['sample']}"
        output.table(title, ("check", "verdict", "what was found", "measured", "allowed"), rows)
        for check_ in found.proof["checks"]:
            if check_["fix"]:
                output.console.print(plain(f"{check_['name']}: {check_['fix']}"), markup=False)
        output.console.print(str(found.path), markup=False)
    if not found.holds:
        raise typer.Exit(1)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"


def demo(
    ctx: typer.Context,
    set: Set = None,
    force: Force = None,
    serve: Annotated[
        bool, typer.Option("--serve/--no-serve", help="Serve the result at the end, ask it and certify it.")
    ] = True,
) -> None:
    """Run the demo recipe on the built-in model, offline.

    Data, training, evaluation, merging and generation, in a few minutes on a CPU. At the end the GGUF file is served,
    asked over HTTP, certified as it is served, and stopped.
    """
    from burnish.cli.progress import TerminalWatcher
    from burnish.studio.demo.serving import serve_and_ask
    from burnish.studio.planning import shipped_recipes
    from burnish.studio.running import run as do

    output: Output = ctx.obj
    watcher = None if output.json else TerminalWatcher(output.console)
    recipe = shipped_recipes()["demo"]
    result = do([recipe], settings=set or (), workspace=output.workspace, force=force or (), watcher=watcher)
    found = serve_and_ask(result, workspace=output.workspace, watcher=watcher) if serve else None
    if watcher is None:
        return output.print_json({**result.as_dict(), **({} if found is None else {"served": found.as_dict()})})
    watcher.print_summary(result)
    if found is not None:
        for text in (
            f"served at {found.url}, and stopped; smoke test: {_counted(found.checks)}",
            f"asked: {found.question}",
            f"answered: {found.answer}",
            f"{found.same} of {found.rows} answers over HTTP are right; the endpoint is certified against its adapter",
        ):
            output.console.print(plain(text), markup=False)
    return None


def _counted(checks: Mapping[str, str]) -> str:
    """`6 checks hold; not offered: tools, wrong_key`."""
    held = sum(verdict == "holds" for verdict in checks.values())
    others = {verdict: None for verdict in checks.values() if verdict != "holds"}
    named = (f"{other}: {', '.join(name for name, verdict in checks.items() if verdict == other)}" for other in others)
    return "; ".join((f"{held} checks hold", *named))


def replay(
    ctx: typer.Context,
    name: RunName = "latest",
    without: Annotated[list[str] | None, typer.Option(help="The id of a row to leave out; repeatable.")] = None,
    step: TrainingStep = None,
) -> None:
    """Train a step again without some of its rows.

    Starts from the last checkpoint that had not seen them, if checkpoints were kept (checkpoint.archive: true).
    """
    from burnish.cli.progress import TerminalWatcher
    from burnish.studio.replay import replay as again

    output: Output = ctx.obj
    watcher = None if output.json else TerminalWatcher(output.console)
    found = again(name, without=without or (), step=step, workspace=output.workspace, watcher=watcher)
    if watcher is None:
        started = None if found.checkpoint is None else str(found.checkpoint)
        start = {"step": found.step, "checkpoint": started, "first_visit": found.first_visit, "reason": found.reason}
        return output.print_json({**found.result.as_dict(), "replay": start})
    watcher.print_summary(found.result)
    where = "the beginning" if found.checkpoint is None else found.checkpoint.name
    text = f"{found.step} started from {where}: the rows were first learned in step {found.first_visit}"
    output.console.print(plain(f"{text}; {found.reason}"), markup=False)
    return None


def init(
    ctx: typer.Context,
    recipe: Annotated[
        str, typer.Argument(help="The shipped recipe to copy.", autocompletion=completion.recipes)
    ] = "first-adapter",
    folder: Annotated[Path, typer.Option(help="The folder of the workspace.")] = Path(),
) -> None:
    """Create a workspace with a copy of a shipped recipe."""
    from burnish.studio.planning import init_workspace

    output: Output = ctx.obj
    folder = expanded(folder)
    made = init_workspace(folder, recipe)
    if output.json:
        return output.print_json({"created": [str(path) for path in made]})
    for path in made:
        output.console.print(f"created {path}")
    if folder.resolve() != Path().resolve():
        output.console.print(f"next: cd {shlex.quote(str(folder))}")
    output.console.print(f"next: {program(folder)} plan {made[-1].name}")
    return None


def schema(
    ctx: typer.Context,
    stage: Annotated[str | None, typer.Argument(help="A stage; default: a whole recipe.")] = None,
) -> None:
    """Print the JSON Schema of a stage or of recipes."""
    from burnish.studio.schema import schema as make_schema

    ctx.obj.print_json(make_schema(stage))


def _run(
    output: Output,
    files: list[str],
    set: list[str] | None,
    start: str | None,
    force: list[str] | None,
    only: list[str] | None,
    on: str | None,
) -> None:
    from burnish.cli.progress import TerminalWatcher
    from burnish.studio.running import run as do

    watcher = None if output.json else TerminalWatcher(output.console)
    result = do(
        files,
        settings=set or (),
        workspace=output.workspace,
        start=start,
        force=force or (),
        only=only or (),
        watcher=watcher,
        on=on,
    )
    if watcher is None:
        return output.print_json(result.as_dict())
    watcher.print_summary(result)
    return None


def register(app: typer.Typer) -> None:
    for command in (demo, run, plan, prove, replay, init, schema):
        app.command(cls=Command)(command)
