"""A stage in the list of commands. Its spec is imported when the command is called."""

from typing import Any

from typer.core import TyperCommand

from burnish.core.catalog import Stage
from burnish.core.errors import MachineError


class StageEntry(TyperCommand):
    """The entry of a stage in the list of commands; `command()` builds its flags from the spec."""

    def __init__(self, stage: Stage):
        super().__init__(stage.name, short_help=stage.summary or _first_line(stage), rich_markup_mode=None)
        self._stage = stage

    def command(self) -> TyperCommand:
        """The command of the stage, with a flag for each field of its spec."""
        from burnish.cli.stages import stage_command

        return stage_command(self._stage)

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        return self.command().make_context(info_name, args, parent, **extra)


def _first_line(stage: Stage) -> str:
    try:
        return (stage.spec_type().__doc__ or "").strip().partition("\n")[0]
    except MachineError as error:  # of a plugin; the other commands are listed
        return error.what
