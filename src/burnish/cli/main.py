"""`burnish`: the commands. Stages are commands too; they are made from their specs when asked for."""

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from burnish.cli import machine, recipes, runs, workrooms
from burnish.cli.entry import StageEntry


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

        row = stages().get(cmd_name)
        return None if row is None else StageEntry(row)


app = typer.Typer(
    cls=_Commands,
    name="burnish",
    help="From raw data to a fine-tuned, evaluated, exported language model, with proof at each step.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _print_version(asked: bool) -> None:
    if asked:
        from burnish.core.version import VERSION

        typer.echo(VERSION)
        raise typer.Exit


@app.callback()
def options(
    ctx: typer.Context,
    workspace: Annotated[str | None, typer.Option(help="The folder to work in.", envvar="BURNISH_WORKSPACE")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Options that stand before the command; most commands take --workspace and --json as well."""
    from burnish.cli.render import Face

    ctx.obj = Face(workspace=workspace, json=json, debug=debug)


for module in (recipes, runs, workrooms, machine):
    module.register(app)


def entry() -> None:
    """The console script: errors are told as `error:` and `hint:`, with an exit status that scripts can read."""
    from typer.exceptions import Abort

    from burnish.cli.render import as_burnish_error, lifted_options, open_closed_streams, print_any_text, report_error

    open_closed_streams()
    print_any_text()
    arguments, lifted = lifted_options(sys.argv[1:])
    if arguments[len(lifted) : len(lifted) + 1] == ["help"]:  # `burnish help run` is `burnish run --help`
        arguments = [*arguments[len(lifted) + 1 :], "--help"]
    try:
        status = app(args=arguments or ["--help"], prog_name="burnish", standalone_mode=False)
        sys.stdout.flush()  # a full output is reported here, not when the interpreter ends
        sys.exit(status)
    except (KeyboardInterrupt, Abort):
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # `burnish runs` alone
            print(error)
            sys.exit(2)
        sys.exit(report_error(as_burnish_error(error), error, as_json="--json" in lifted, debug="--debug" in lifted))


if __name__ == "__main__":
    entry()
