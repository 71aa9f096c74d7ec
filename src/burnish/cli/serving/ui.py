"""The command `ui`: the page in a browser, and the API behind it."""

from typing import Annotated

import typer

from burnish.cli.command import Command
from burnish.cli.render import Output


def ui(
    ctx: typer.Context,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 for a free one.")] = 8420,
    allow_host: Annotated[list[str] | None, typer.Option(help="A further name that browsers may use.")] = None,
    trusted_proxy: Annotated[
        list[str] | None, typer.Option(help="The address of a reverse proxy whose headers are believed.")
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open a browser.")] = True,
) -> None:
    """Open the page in a browser.

    The address that it prints logs in once, within 15 minutes.
    """
    from burnish.studio.serving.interface import Interface
    from burnish.studio.serving.logins import login_address, new_login

    output: Output = ctx.obj
    running = Interface(
        host=host,
        port=port,
        allowed_hosts=allow_host or (),
        trusted_proxies=trusted_proxy or (),
        workspace=output.workspace,
    )
    try:
        address = login_address(running.address, new_login(workspace=output.workspace))
        if output.json:
            output.print_json({"address": running.address, "login": address})
        else:
            output.console.print(f"burnish answers at {running.address}; log in with", markup=False)
            typer.echo(address)  # not the console, which masks tokens
        if open_browser and not output.json:
            typer.launch(address)
        status = running.wait()
    except KeyboardInterrupt:
        status = running.stop()
    finally:
        running.stop()
    if status:
        raise typer.Exit(status)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(cls=Command)(ui)
