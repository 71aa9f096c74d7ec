"""Two kinds of command: one that refuses an option given twice, and a stage's, made from its spec when it runs."""

from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand

from burnish.core.catalog import Stage
from burnish.core.errors import AskError


class Command(TyperCommand):
    """A command of burnish: pass it as `cls` where a command is registered."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:
            refuse_repeated(self.params, args)
        elif args and args[-1].startswith("-"):  # completing an option's value: without it, no argument is parsed
            args = args[:-1]
        return super().parse_args(ctx, args)


class StageEntry(TyperCommand):
    """A stage in the list of commands. Its spec is imported and its flags are made when it is called."""

    def __init__(self, stage: Stage):
        super().__init__(stage.name, short_help=stage.summary or _first_line(stage), rich_markup_mode=None)
        self._stage = stage

    def command(self) -> TyperCommand:
        """The stage's command, with a flag for each field of its spec."""
        from burnish.cli.stages import stage_command

        return stage_command(self._stage)

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        return self.command().make_context(info_name, args, parent, **extra)


def _first_line(stage: Stage) -> str:
    return (stage.spec_type().__doc__ or "").strip().partition("\n")[0]


def refuse_repeated(parameters: Sequence[Any], arguments: Sequence[str]) -> None:
    """AskError `ask.wrong-value` when an option that takes one value stands twice: the last one would win."""
    options = {name: parameter for parameter in parameters for name in parameter.opts if name.startswith("-")}
    seen: set[str] = set()
    words = iter(arguments)
    for word in words:
        if word == "--":
            return
        name, has_value, _ = word.partition("=")
        option = options.get(name)
        if option is None or getattr(option, "is_flag", False):
            continue
        if not has_value:
            next(words, None)
        if option.multiple:
            continue
        if option.name in seen:
            raise AskError("ask.wrong-value", f"{name} is given twice, and takes one value", f"keep one {name}")
        seen.add(option.name)
