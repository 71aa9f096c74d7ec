"""The commands `tokens add`, `tokens list` and `tokens remove`: the programs that may use the API of `burnish ui`."""

from typing import Annotated

import typer

from burnish.cli.command import Command, Commands
from burnish.cli.render import Output

tokens = typer.Typer(cls=Commands, help="Manage the tokens with which programs use the API.", no_args_is_help=True)


@tokens.command("add", cls=Command)
def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Whose token it is, as the audit log names it.")],
    scope: Annotated[str, typer.Option(help="read (look), run (also start and change) or admin (all).")] = "run",
    days: Annotated[float | None, typer.Option("--days", help="Days until it expires. Default: never.")] = None,
) -> None:
    """Make a token and print it, this once: its hash is kept."""
    from burnish.studio.serving.logins import add_token

    output: Output = ctx.obj
    token = add_token(name, scope, days=days, workspace=output.workspace)
    if output.json:
        return output.print_json({"name": name, "scope": scope, "token": token})
    typer.echo(token)
    typer.echo("It is shown this once. Send it as the header `Authorization: Bearer TOKEN`.", err=True)
    return None


@tokens.command("list", cls=Command)
def list_(ctx: typer.Context) -> None:
    """List the tokens."""
    from burnish.studio.serving.logins import list_tokens

    output: Output = ctx.obj
    found = list_tokens(workspace=output.workspace)
    if output.json:
        return output.print_json(found)
    columns = ("name", "scope", "made", "expires")
    output.table("", columns, [tuple(row[column] or "" for column in columns) for row in found])
    return None


@tokens.command("remove", cls=Command)
def remove(ctx: typer.Context, name: Annotated[str, typer.Argument(help="The name of the token.")]) -> None:
    """Remove a token: a running server refuses it within a second."""
    from burnish.studio.serving.logins import remove_token

    output: Output = ctx.obj
    remove_token(name, workspace=output.workspace)
    if output.json:
        return output.print_json({"name": name})
    typer.echo(f"removed '{name}'")
    return None


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(tokens, name="tokens")
