"""`burnish`: the commands. Stages are commands too; they are made from their specs when asked for."""

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from burnish.cli import machine, recipes, runs, workrooms


class _Commands(TyperGroup):
    """Written commands, and one more for each stage of the catalog."""

    def list_commands(self, ctx: Any) -> list[str]:
        from burnish.core.catalog import stages

        return [*super().list_commands(ctx), *stages()]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        written = super().get_command(ctx, cmd_name)
        if written is not None:
            return written
        from burnish.core.catalog import stages

        if cmd_name not in stages():
            return None
        from burnish.cli.stages import stage_command

        return stage_command(cmd_name)


app = typer.Typer(
    cls=_Commands,
    name="burnish",
    help="From raw data to a fine-tuned, evaluated, exported language model, with proof at each step.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def options(
    ctx: typer.Context,
    workspace: Annotated[str | None, typer.Option(help="The folder to work in.", envvar="BURNISH_WORKSPACE")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    """Options that stand before the command; most commands take --workspace and --json as well."""
    if version:
        import burnish

        typer.echo(burnish.__version__)
        raise typer.Exit
    from burnish.cli.render import Face

    ctx.obj = Face(workspace=workspace, json=json, debug=debug)


for module in (recipes, runs, workrooms, machine):
    module.register(app)


def entry() -> None:
    """The console script: errors are told as `error:` and `hint:`, with an exit status that scripts can read."""
    from burnish.cli.render import lifted_options, report_error, report_fault
    from burnish.core.errors import BurnishError

    arguments = lifted_options(sys.argv[1:])
    try:
        app(args=arguments, prog_name="burnish")
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except BurnishError as error:
        sys.exit(report_error(error, as_json="--json" in arguments, debug="--debug" in arguments))
    except Exception as error:
        sys.exit(report_fault(error, debug="--debug" in arguments))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    entry()
