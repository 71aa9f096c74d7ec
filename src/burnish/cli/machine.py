"""The commands `env` and `doctor`."""

from typing import Annotated, Any

import typer

from burnish.cli import completion
from burnish.cli.command import Command
from burnish.cli.render import Output

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}
_MARKS = {"ok": "✓", "warning": "!", "problem": "✗"}


def env(ctx: typer.Context) -> None:
    """Show versions, devices, paths and endpoints."""
    from burnish.studio.machine import env as collect

    output: Output = ctx.obj
    found = collect(workspace=output.workspace)
    if output.json:
        return output.print_json(found)
    output.table("", ("name", "value"), list(_flat(found)))
    return None


def doctor(
    ctx: typer.Context,
    run: Annotated[
        str | None,
        typer.Argument(help="The run to check; without it, the whole workspace.", autocompletion=completion.runs),
    ] = None,
    deep: Annotated[bool, typer.Option("--deep", help="Hash every file of every artifact.")] = False,
) -> None:
    """Find problems of the machine, the workspace or a run.

    Each problem is printed with its fix.
    """
    from burnish.studio.machine import doctor as collect

    output: Output = ctx.obj
    findings = collect(run, deep=deep, workspace=output.workspace)
    if output.json:
        output.print_json([finding.as_dict() for finding in findings])
    else:
        from rich.text import Text

        for found in findings:
            mark = Text(f"{_MARKS[found.level]} ", _COLOURS[found.level])
            output.console.print(mark + Text(f"{found.subject}: ", "bold") + Text(found.what))
            if found.fix:
                output.console.print(Text(f"    {found.fix}", "cyan"))
    if any(found.level == "problem" for found in findings):
        raise typer.Exit(1)


def _flat(values: dict[str, Any], prefix: str = "") -> Any:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", ", ".join(map(str, value)) if isinstance(value, list) else _shown(value)


def _shown(value: Any) -> Any:
    return "set" if value is True else value


def register(app: typer.Typer) -> None:
    app.command(cls=Command)(env)
    app.command(cls=Command)(doctor)
