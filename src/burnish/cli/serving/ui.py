"""The command `ui`: the page in a browser, and the API behind it."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from burnish.cli.command import Command
from burnish.cli.render import Output

if TYPE_CHECKING:
    from burnish.studio.serving.interface import Interface


def ui(
    ctx: typer.Context,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 for a free one.")] = 8420,
    allow_host: Annotated[list[str] | None, typer.Option(help="A further name that browsers may use.")] = None,
    trusted_proxy: Annotated[
        list[str] | None, typer.Option(help="The address of a reverse proxy whose headers are believed.")
    ] = None,
    allow_path: Annotated[
        list[str] | None, typer.Option(help="A folder outside of the workspace that recipes of the page may name.")
    ] = None,
    worker: Annotated[bool, typer.Option("--worker/--no-worker", help="Run the jobs of the queue here, too.")] = True,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open a browser.")] = True,
    token: Annotated[
        bool, typer.Option("--token", help="Print an address that logs in to the server that runs, and end.")
    ] = False,
) -> None:
    """Open the page in a browser.

    The address that it prints logs in once, within 15 minutes; --token prints another one. Ctrl-C saves the state of
    the jobs that run here.
    """
    from burnish.studio.executing.stopping import StopSignals
    from burnish.studio.serving.interface import Interface
    from burnish.studio.serving.logins import redirect_to, server_address

    output: Output = ctx.obj
    if token:
        _print_login(output, server_address(workspace=output.workspace))
        return
    running = Interface(
        host=host,
        port=port,
        allowed_hosts=allow_host or (),
        allowed_paths=allow_path or (),
        trusted_proxies=trusted_proxy or (),
        with_worker=worker,
        workspace=output.workspace,
    )
    with StopSignals().calling(_interrupt):
        try:
            address = _print_login(output, running.address)
            if open_browser and not output.json:
                typer.launch(redirect_to(address, workspace=output.workspace).as_uri())
            running.wait()
        except KeyboardInterrupt:
            _end(output, running)
        finally:
            running.stop()


def _print_login(output: Output, address: str) -> str:
    """Print a new address that logs in; returns it."""
    from burnish.studio.serving.logins import login_address, new_login

    login = login_address(address, new_login(workspace=output.workspace))
    if output.json:
        typer.echo(json.dumps({"address": address, "login": login}))  # print_json masks tokens
    else:
        output.console.print(f"burnish answers at {address}; log in with", markup=False)
        typer.echo(login)  # not the console, which masks tokens
    return login


def _end(output: Output, running: "Interface") -> None:
    """Stop after Ctrl-C; a second one does not wait for what runs to save its state."""
    running.request_stop()
    if running.is_saving and not output.json:
        output.console.print("stopping: jobs that run save their state; Ctrl-C again ends them at once", markup=False)
    try:
        running.join()
    except KeyboardInterrupt:
        running.request_stop(at_once=True)
        running.join()


def _interrupt() -> None:
    raise KeyboardInterrupt


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(cls=Command)(ui)
