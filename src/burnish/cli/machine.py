"""The commands `env`, `doctor` and `settings`."""

import sys
from typing import Annotated, Any

import typer

from burnish.cli import completion
from burnish.cli.command import Command, Commands
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


settings = typer.Typer(cls=Commands, help="What the .env of the workspace may hold.", no_args_is_help=True)


@settings.command("list", cls=Command)
def list_settings(
    ctx: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are not set.")] = False,
) -> None:
    """List variables with where they are set; secrets only as set or not."""
    from burnish.studio.settings.changes import settings as collect

    output: Output = ctx.obj
    found = collect(workspace=output.workspace)
    if output.json:
        return output.print_json(found)
    shown = [one for one in found["variables"] if everything or one["is_set"]]
    rows = [(one["name"], one["value"] or ("set" if one["is_set"] else ""), _where(one), one["help"]) for one in shown]
    output.table(found["path"], ("name", "value", "from", "for"), rows)
    return None


@settings.command("set", cls=Command)
def set_setting(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The variable, such as HF_TOKEN.", metavar="NAME")],
    value: Annotated[str | None, typer.Argument(help="Its value; without it, it is asked for.")] = None,
) -> None:
    """Set a variable in the .env of the workspace; without a value it is read from the terminal, unseen, or a pipe."""
    from burnish.studio.settings.changes import change_settings

    if value is None and sys.stdin.isatty():
        value = typer.prompt(name, hide_input=True)
    elif value is None:
        value = sys.stdin.readline().rstrip("\r\n")
    output: Output = ctx.obj
    _report_change(output, change_settings({name: value}, workspace=output.workspace), name)


@settings.command("unset", cls=Command)
def unset_setting(
    ctx: typer.Context, name: Annotated[str, typer.Argument(help="The variable.", metavar="NAME")]
) -> None:
    """Remove a variable from the .env of the workspace."""
    from burnish.studio.settings.changes import change_settings

    output: Output = ctx.obj
    _report_change(output, change_settings({name: None}, workspace=output.workspace), name)


def _report_change(output: Output, found: dict[str, Any], name: str) -> None:
    one = next((one for one in found["variables"] if one["name"] == name), None)
    if output.json:
        return output.print_json({"path": found["path"], "variable": one})
    typer.echo(f"{name} is {'in' if one and one['in_file'] else 'not in'} {found['path']}")
    if one and one["source"] == "environment":
        output.warn(f"{name} is also set in the environment of this command, which comes first")
    return None


def _where(one: dict[str, Any]) -> str:
    return {"file": ".env", "environment": "environment", None: ""}[one["source"]]


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
    app.add_typer(settings, name="settings")
