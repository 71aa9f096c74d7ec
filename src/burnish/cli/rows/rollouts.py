"""The command `runs rollouts`: completions of a training on rewards, with each of their rewards."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from burnish.cli.command import Full, RunName, TrainingStep
from burnish.cli.render import Output, cell, plain

if TYPE_CHECKING:
    from rich.console import Console

_INDENT = "    "
_CHARACTERS = 400
"""What is shown of a text without --full."""


def rollouts(
    ctx: typer.Context,
    name: RunName = "latest",
    at: Annotated[int | None, typer.Option(help="The optimizer step; the last one by default.")] = None,
    worst: Annotated[int | None, typer.Option(help="The number of completions with the lowest reward. [10]")] = None,
    best: Annotated[int | None, typer.Option(help="The number of completions with the highest reward.")] = None,
    step: TrainingStep = None,
    full: Full = False,
) -> None:
    """Show completions of a training with their rewards.

    By default the 10 worst of the last rollout.
    """
    from burnish.studio.rollouts import rollouts as find

    output: Output = ctx.obj
    found = find(name, step=step, at=at, worst=worst, best=best, workspace=output.workspace)
    if output.json:
        return output.print_json(found)
    print_rollouts(output.console, found, full=full)
    return None


def print_rollouts(console: "Console", found: Mapping[str, Any], *, full: bool = False) -> None:
    """Print the result of `burnish.rollouts`; texts are cut unless `full`."""
    from rich.rule import Rule
    from rich.text import Text

    requested = f" (step {found['at']} is requested)" if "at" in found else ""
    about = f"rollout {found['rollout']}, from step {found['first_step']}{requested}: "
    about += f"{found['completions']:,} completions"
    console.print(Text(plain(found["run"]), "bold") + Text(f"  {about}, mean reward {cell(found['reward'])}"))
    for kind, title in (("worst", "lowest reward"), ("best", "highest reward")):
        if not found[kind]:
            continue
        console.print(Rule(Text(title), align="left", characters="─"))
        for number, one in enumerate(found[kind], start=1):
            ended = "" if one["finish_reason"] == "stop" else ", truncated"
            unused = "" if one["learned"] else ", not learned"
            heading = f"  {plain(one['source'])}  sample {one['sample']}, {one['tokens']} tokens{ended}{unused}"
            console.print(Text(f"{number:>3} ") + Text(plain(one["id"]), "bold cyan") + Text(heading))
            numbers = f"reward {cell(one['reward'])}, advantage {cell(one['advantage'])}"
            console.print(Text(f"{_INDENT}{numbers}", "bold"), soft_wrap=True)
            for name, value in one["rewards"].items():
                why = plain(one["why"][name] or "")
                line = f"{_INDENT}{name} {'–' if value is None else cell(value)}  {why}"
                console.print(Text(line, "dim"), soft_wrap=True)
            parts = [(turn["role"], turn["content"]) for turn in one["prompt"]]
            parts += [("completion", one["text"])] + ([("reference", one["reference"])] if one["reference"] else [])
            for label, text in parts:
                shown = plain(text) if full else " ".join(plain(text).split())
                cut = not full and len(shown) > _CHARACTERS
                shown = shown[:_CHARACTERS] + " …" if cut else shown
                console.print(Text(f"{_INDENT}{plain(label)}: ", "cyan") + Text(shown), soft_wrap=True)
            console.print()
