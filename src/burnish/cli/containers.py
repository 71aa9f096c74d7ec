"""The commands `up`, `down`, `bash` and `logs`: containers, through docker compose."""

from typing import Annotated, Any

import typer

from burnish.cli.command import Command, split_at_dashes
from burnish.cli.render import Output

_ARGUMENTS = "burnish.compose"
Profiles = Annotated[list[str], typer.Argument(help="train, quantize, serve, webui, logs, tensorboard.")]
Service = Annotated[str, typer.Argument(help="train, quantize, serve, webui, logs or tensorboard.")]


class ComposeCommand(Command):
    """A command whose words after `--` are for docker compose."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ours, ctx.meta[_ARGUMENTS] = split_at_dashes(args)
        return super().parse_args(ctx, ours)


def up(
    ctx: typer.Context,
    profiles: Profiles,
    recipe: Annotated[str | None, typer.Option(help="For train: a file of the workspace, or a shipped recipe.")] = None,
    then: Annotated[str | None, typer.Option(help="Stages after the training, such as merge,quantize,serve.")] = None,
    step: Annotated[str | None, typer.Option(help="The step that --then follows, if there are several.")] = None,
    model: Annotated[str | None, typer.Option(help="For serve, quantize: which. [the newest in production]")] = None,
    set: Annotated[list[str] | None, typer.Option(help="For train and quantize: a setting, KEY=VALUE.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the commands, run nothing.")] = False,
) -> None:
    """Start containers: a training, servers, or both.

    Words after -- go to the last docker compose command.
    """
    from burnish.cli.stages import as_reference
    from burnish.studio.containers import up as start
    from burnish.studio.containers.verbs import shown

    output: Output = ctx.obj
    names = [name for name in (then or "").split(",") if name.strip()]
    found = start(
        profiles,
        recipe=recipe,
        then=names,
        step=step,
        model=model and as_reference(model),
        settings=set or (),
        device=device,
        dry_run=dry_run,
        arguments=ctx.meta[_ARGUMENTS],
        workspace=output.workspace,
        say=_say(output),
        echo=lambda text: typer.echo(text, nl=False, err=output.json),
    )
    if output.json:
        output.print_json(found.as_dict())
    elif dry_run:
        output.console.print(f"# {found.device}: {found.why}", markup=False)
        for name, value in found.variables.items():
            output.console.print(f"export {shown([f'{name}={value}'])}", markup=False)
        for command in found.commands:
            output.console.print(shown(command), markup=False)
    else:
        for service, address in found.addresses.items():
            output.console.print(f"{service}: {address}", markup=False)
        if found.failed is not None:
            left = f"; not started: {', '.join(found.skipped)}" if found.skipped else ""
            output.warn(f"{found.failed} ended with status {found.status}{left}")
        output.console.print(f"logs: {found.folder}", markup=False)
    if found.status:
        raise typer.Exit(found.status)


def down(ctx: typer.Context) -> None:
    """Stop and remove the containers; their logs are kept.

    Volumes stay. Words after -- go to docker compose down, such as --volumes.
    """
    from burnish.studio.containers import down as stop

    output: Output = ctx.obj
    _exit(stop(arguments=ctx.meta[_ARGUMENTS], workspace=output.workspace, say=_say(output)))


def bash(ctx: typer.Context, service: Service) -> None:
    """Open a shell in the container of a service.

    Words after -- go to docker compose exec, or run where the service is not running.
    """
    from burnish.studio.containers import bash as enter

    output: Output = ctx.obj
    _exit(enter(service, arguments=ctx.meta[_ARGUMENTS], workspace=output.workspace))


def logs(
    ctx: typer.Context,
    services: Annotated[list[str] | None, typer.Argument(help="The services; all by default.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Follow until Ctrl-C.")] = False,
) -> None:
    """Print the logs of containers, and keep them.

    Words after -- go to docker compose logs, such as --tail 100.
    """
    from burnish.studio.containers import logs as show

    output: Output = ctx.obj
    status = show(
        services or (), follow=follow, arguments=ctx.meta[_ARGUMENTS], workspace=output.workspace, say=_say(output)
    )
    _exit(status)


def _say(output: Output) -> Any:
    """Notes go to stderr where stdout has JSON."""
    if output.json:
        return lambda text: typer.echo(text, err=True)
    return lambda text: output.console.print(text, markup=False)


def _exit(status: int) -> None:
    if status:
        raise typer.Exit(status)


def register(app: typer.Typer) -> None:
    for command in (up, down, bash, logs):
        app.command(cls=ComposeCommand)(command)
