"""Commands about whole recipes: `run`, `plan`, `demo`, `init`, `schema`."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from burnish.cli import completion
from burnish.cli.command import Command
from burnish.cli.render import Face, duration, plain, program
from burnish.core.files import file_size

Files = Annotated[
    list[str],
    typer.Argument(
        help="Recipe files, later ones over earlier ones; or a shipped recipe's name.",
        autocompletion=completion.recipes,
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="step.field=value; may be repeated.", autocompletion=completion.settings),
]
From = Annotated[
    str | None,
    typer.Option("--from", help="Run this step and all that stand on it anew.", autocompletion=completion.steps),
]
Force = Annotated[
    list[str] | None,
    typer.Option("--force", help="Run this step anew ('*' for all); may be repeated.", autocompletion=completion.steps),
]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", help="Only this step and what it needs; may be repeated.", autocompletion=completion.steps),
]


def run(
    ctx: typer.Context,
    files: Files,
    set: Set = None,
    start: From = None,
    force: Force = None,
    only: Only = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
) -> None:
    """Run a recipe: run what is new, reuse and resume the rest."""
    if dry_run:
        return plan(ctx, files, set, start, force, only)
    _run(ctx.obj, files, set, start, force, only)
    return None


def plan(
    ctx: typer.Context,
    files: Files,
    set: Set = None,
    start: From = None,
    force: Force = None,
    only: Only = None,
) -> None:
    """Show what a run would do, step by step, and why."""
    from burnish.studio.asking import plan as make

    face: Face = ctx.obj
    made = make(files, settings=set or (), workspace=face.workspace, start=start, force=force or (), only=only or ())
    for warning in made.warnings:
        face.warn(warning)
    if face.json:
        return face.print_json(made.as_dict())
    rows = [
        (s.step.name, s.step.stage.name, s.action, s.reason, duration(s.last_seconds), s.fingerprint[:12])
        for s in made.steps
    ]
    face.table(f"{made.recipe.name}", ("step", "stage", "action", "why", "took last time", "fingerprint"), rows)
    for note in made.notes:
        face.console.print(plain(note), markup=False)
    times = [step.last_seconds for step in made.steps if step.action != "reuse"]
    known = f", about {duration(sum(t for t in times if t))} as measured before" if times and all(times) else ""
    face.console.print(
        f"{len(times)} of {len(made.steps)} steps to do{known}; {file_size(made.free_bytes)} of disk free"
    )
    return None


def demo(ctx: typer.Context, set: Set = None, force: Force = None) -> None:
    """Run the whole arc on the embedded model, offline.

    Data, adapter, evaluation, merge and answers, in minutes.
    """
    _run(ctx.obj, ["demo"], set, None, force, None)


def init(
    ctx: typer.Context,
    recipe: Annotated[
        str, typer.Argument(help="Which shipped recipe to begin with.", autocompletion=completion.recipes)
    ] = "first-adapter",
    folder: Annotated[Path, typer.Option(help="Where to begin.")] = Path(),
) -> None:
    """Make a folder a workspace, with a recipe to change."""
    from burnish.studio.asking import begin

    face: Face = ctx.obj
    made = begin(folder, recipe)
    if face.json:
        return face.print_json({"made": [str(path) for path in made]})
    for path in made:
        face.console.print(f"made {path}")
    if folder.resolve() != Path().resolve():
        face.console.print(f"next: cd {shlex.quote(str(folder))}")
    face.console.print(f"next: {program(folder)} plan {made[-1].name}")
    return None


def schema(
    ctx: typer.Context,
    stage: Annotated[str | None, typer.Argument(help="A stage; all of a recipe when not said.")] = None,
) -> None:
    """Print the JSON Schema of a stage or of recipes.

    For editors and programs.
    """
    from burnish.studio.schema import schema as make

    ctx.obj.print_json(make(stage))


def _run(
    face: Face,
    files: list[str],
    set: list[str] | None,
    start: str | None,
    force: list[str] | None,
    only: list[str] | None,
) -> None:
    from burnish.cli.watching import TerminalWatcher
    from burnish.studio.running import run as do

    watcher = None if face.json else TerminalWatcher(face.console)
    result = do(
        files,
        settings=set or (),
        workspace=face.workspace,
        start=start,
        force=force or (),
        only=only or (),
        watcher=watcher,
    )
    if watcher is None:
        return face.print_json(result.as_dict())
    watcher.closing(result)
    return None


def register(app: typer.Typer) -> None:
    for command in (demo, run, plan, init, schema):
        app.command(cls=Command)(command)
