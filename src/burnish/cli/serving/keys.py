"""The commands `keys add`, `keys list` and `keys remove`: who may ask a server."""

from typing import Annotated

import typer

from burnish.cli.command import Command, Commands
from burnish.cli.render import Output

_FILE = Annotated[str | None, typer.Option("--file", help="The file of keys. Default: .burnish/keys.json.")]
keys = typer.Typer(cls=Commands, help="Manage the API keys of `burnish serve`.", no_args_is_help=True)


@keys.command("add", cls=Command)
def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Whose key it is, as the access log names it.")],
    file: _FILE = None,
    models: Annotated[list[str] | None, typer.Option("--model", help="A model it may ask; may be repeated.")] = None,
    requests: Annotated[int | None, typer.Option("--requests-per-minute", min=0, help="Most requests.")] = None,
    tokens: Annotated[int | None, typer.Option("--tokens-per-minute", min=0, help="Most tokens.")] = None,
    days: Annotated[float | None, typer.Option("--days", min=0, help="Days until it expires.")] = None,
    admin: Annotated[bool, typer.Option("--admin", help="It may load and unload adapters.")] = False,
) -> None:
    """Make a key and print it, this once: the file has its hash only."""
    from burnish.studio.serving.keys import add_key

    output: Output = ctx.obj
    key, path = add_key(
        name,
        file=file,
        models=models or None,
        requests_per_minute=requests,
        tokens_per_minute=tokens,
        days=days,
        admin=admin,
        workspace=output.workspace,
    )
    if output.json:
        return output.print_json({"name": name, "key": key, "file": path})
    typer.echo(key)
    typer.echo(f"It is shown this once. burnish serve MODEL --keys-file {path} accepts it.", err=True)
    return None


@keys.command("list", cls=Command)
def list_(ctx: typer.Context, file: _FILE = None) -> None:
    """List the keys with their limits."""
    from burnish.studio.serving.keys import list_keys

    output: Output = ctx.obj
    found = list_keys(file=file, workspace=output.workspace)
    if output.json:
        return output.print_json(found)
    columns = ("name", "made", "expires", "models", "requests_per_minute", "tokens_per_minute", "admin")
    rows = [tuple("" if row[column] is None else _shown(row[column]) for column in columns) for row in found]
    output.table("", columns, rows)
    return None


@keys.command("remove", cls=Command)
def remove(
    ctx: typer.Context, name: Annotated[str, typer.Argument(help="The name of the key.")], file: _FILE = None
) -> None:
    """Remove a key: a running server refuses it within a second."""
    from burnish.studio.serving.keys import remove_key

    output: Output = ctx.obj
    path = remove_key(name, file=file, workspace=output.workspace)
    if output.json:
        return output.print_json({"name": name, "file": path})
    typer.echo(f"removed '{name}' from {path}")
    return None


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(keys, name="keys")


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
