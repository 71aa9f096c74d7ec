"""The `burnish` command: commands written here, and one for each stage, built from its spec when it is called."""

import os
import sys
from typing import Annotated, Any

import typer

from burnish.cli import containers, exploration, jobs, machine, recipes, runs
from burnish.cli.command import Commands, in_sections
from burnish.cli.entry import StageEntry
from burnish.cli.registry import apps as registry
from burnish.cli.rows import datasets
from burnish.cli.serving import keys, tokens, ui


class _Commands(Commands):
    """The commands of the modules below, and one for each stage of the catalog."""

    def list_commands(self, ctx: Any) -> list[str]:
        from burnish.core.catalog import stages

        own = super().list_commands(ctx)
        return [*own, *(name for name in stages() if name not in own)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            return command
        from burnish.core.catalog import stages

        row = stages().get(cmd_name)
        return None if row is None else StageEntry(row)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The commands in sections, their summaries in one column."""
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        width = max(map(len, commands))
        for section, names in in_sections(commands):
            with formatter.section(section):
                texts = (commands[name].get_short_help_str(formatter.width - 6 - width) for name in names)
                formatter.write_dl([(name.ljust(width), text) for name, text in zip(names, texts, strict=True)])


app = typer.Typer(
    cls=_Commands,
    name="burnish",
    help="From raw data to a fine-tuned, evaluated, exported language model, with proof at each step.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _print_version(requested: bool) -> None:
    if requested:
        from burnish.core.version import VERSION

        typer.echo(VERSION)
        raise typer.Exit


@app.callback()
def options(
    ctx: typer.Context,
    workspace: Annotated[str | None, typer.Option(help="The workspace folder.", envvar="BURNISH_WORKSPACE")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Global options. --workspace, --json and --debug are also accepted after the command."""
    from burnish.cli.render import Output

    ctx.obj = Output(workspace=workspace, json=json, debug=debug)


for module in (recipes, runs, jobs, datasets, registry, exploration, keys, machine, containers, ui, tokens):
    module.register(app)


def entry() -> None:
    """The console script. Errors are printed as `error:` and `hint:`; the exit status tells their family."""
    from typer.exceptions import Abort

    from burnish.cli.render import (
        as_burnish_error,
        discard_output,
        move_global_options,
        reopen_closed_streams,
        replace_unencodable,
        report_error,
        show_plugin_warnings,
    )

    reopen_closed_streams()
    replace_unencodable()
    show_plugin_warnings()
    arguments, moved = move_global_options(sys.argv[1:])
    is_help = False
    while arguments[len(moved) : len(moved) + 1] == ["help"]:  # `burnish help run` is `burnish run --help`
        is_help = True
        del arguments[len(moved)]
    if is_help:
        arguments.append("--help")
    try:
        status = app(args=arguments or ["--help"], prog_name="burnish", standalone_mode=False)
        sys.stdout.flush()  # report a full output here, not at interpreter exit
        sys.exit(status)
    except (KeyboardInterrupt, Abort):
        sys.exit(130)
    except BrokenPipeError:  # as of `| head`
        discard_output()
        sys.exit(0)
    except Exception as error:
        if "_BURNISH_COMPLETE" in os.environ:  # the shell shows what is printed at its prompt
            sys.exit(1)
        if type(error).__name__ == "NoArgsIsHelpError":  # `burnish runs` without a command
            print(error)
            sys.exit(2)
        sys.exit(report_error(as_burnish_error(error), error, as_json="--json" in moved, debug="--debug" in moved))


if __name__ == "__main__":
    entry()
