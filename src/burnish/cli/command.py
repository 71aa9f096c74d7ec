"""A command that refuses an option given twice, a group of commands that suggests the nearest name, and sections."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from burnish.cli import completion
from burnish.core.errors import AskError
from burnish.core.naming import nearest

RunName = Annotated[
    str,
    typer.Argument(help="latest, recipe, recipe/number or recipe/number/step.", autocompletion=completion.runs),
]
"""The argument that names a run."""
Full = Annotated[bool, typer.Option("--full", help="Show whole texts.")]
Most = Annotated[
    int | None, typer.Option("--most", min=1, help="The maximum number of rows. Default: 30, and all with --json.")
]
TrainingStep = Annotated[str | None, typer.Option("--step", help="The step, if the run has several training steps.")]


_SYNONYMS = {"delete": "remove", "rm": "remove", "ls": "list", "info": "show", "describe": "show"}
"""Names of other tools for commands here."""

SECTIONS: dict[str, tuple[str, ...]] = {
    "Commands": ("init", "inspect", "plan", "run", "runs", "chat", "demo", "doctor", "env", "settings", "schema"),
    "Data": ("datasets", "fetch", "synthesize", "clean", "prepare", "profile", "tokenizer"),
    "Training": (
        *("sft", "pretrain", "dpo", "kto", "orpo", "simpo", "reward", "reference", "grpo", "ppo"),
        *("prove", "replay", "merge", "combine"),
    ),
    "Evaluation": ("generate", "evaluate", "compare", "judge", "rubrics", "certify"),
    "Export and serving": ("export", "gguf", "quantize", "serve", "keys", "smoke-test"),
    "Containers": ("up", "down", "bash", "logs"),
    "Page and queue": ("ui", "tokens", "submit", "jobs", "worker"),
    "Registry": ("models", "adapters", "lineage", "gc", "reindex"),
}
"""Those of `burnish --help`, in the order of the work."""


class Command(TyperCommand):
    """The class of burnish's commands: pass it as `cls` to `app.command`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:
            refuse_repeated(self.params, args)
        elif args and args[-1].startswith("-"):  # completion of an option's value: parse without it
            args = args[:-1]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command, with the variables of the workspace's `.env`."""
        from burnish.studio.settings.environment import load_env_file_of

        output = ctx.obj
        for fault in load_env_file_of(output.workspace):
            output.warn(fault)
        return super().invoke(ctx)


class Commands(TyperGroup):
    """The class of burnish's groups of commands: pass it as `cls` to `typer.Typer`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command of the first word. AskError `ask.wrong-value` that suggests the nearest name of all commands."""
        name = args[0]
        if not ctx.resilient_parsing and not name.startswith("-") and self.get_command(ctx, name) is None:
            called = f"{ctx.command_path} --help"
            known = [*self.list_commands(ctx), "help"]
            same = _SYNONYMS.get(name)
            near = f"did you mean '{same}'?" if same in known else nearest(name, known)
            hint = f"{near}; see `{called}`"
            if name.endswith((".yaml", ".yml")):
                hint = f"run a recipe with `burnish run {name}`"
            raise AskError("ask.wrong-value", f"there is no command '{ctx.command_path} {name}'", hint)
        return super().resolve_command(ctx, args)


def in_sections(names: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Each section with the commands of it that there are; those of other packages come last."""
    left = dict.fromkeys(names)
    for section, members in SECTIONS.items():
        found = [name for name in members if name in left]
        for name in found:
            del left[name]
        if found:
            yield section, found
    if left:
        yield "Others", list(left)


def split_at_dashes(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words before and after the first `--`."""
    words = list(arguments)
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :]


def refuse_repeated(parameters: Sequence[Any], arguments: Sequence[str]) -> None:
    """Raise AskError `ask.wrong-value` if an option that takes one value is given twice: click keeps the last."""
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
            raise AskError("ask.wrong-value", f"{name} is given twice but takes one value", f"keep one {name}")
        seen.add(option.name)
