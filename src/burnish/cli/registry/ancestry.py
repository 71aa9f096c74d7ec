"""The command `lineage`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from burnish.cli import completion
from burnish.cli.command import Command
from burnish.cli.render import Output, plain

if TYPE_CHECKING:
    from rich.text import Text

_COLOURS = {"passed": "green", "failed": "red", "undecided": "yellow", "kind": "bold", "small": "dim"}


def lineage(
    ctx: typer.Context,
    ref: Annotated[
        str,
        typer.Argument(
            help="A name of the registry, name@3, or recipe.step@latest.", autocompletion=completion.references
        ),
    ],
    svg: Annotated[str | None, typer.Option(help="Also draw it in this file.")] = None,
) -> None:
    """Show what an artifact was made from, down to the files.

    Each with its hash, its versions in the registry, its licence, and whether its certificate or proof holds.
    """
    from burnish.cli.stages import as_reference
    from burnish.studio.registry import lineage as trace

    output: Output = ctx.obj
    found = trace(as_reference(ref), svg_file=svg, workspace=output.workspace)
    if output.json:
        return output.print_json(found.as_dict())
    from rich.tree import Tree

    root = Tree(_label(found))
    _grow(root, found)
    output.console.print(root)
    if svg is not None:
        output.console.print(f"drawn in {svg}", markup=False)
    return None


def _grow(branch: Any, node: Any) -> None:
    for child in node.children:
        _grow(branch.add(_label(child)), child)


def _label(node: Any) -> "Text":
    from rich.text import Text

    from burnish.core.registry.drawing import lines_of

    return Text("  ").join(Text(plain(text), _COLOURS.get(name, "")) for name, text in lines_of(node))


def register(main: typer.Typer) -> None:
    main.command(cls=Command)(lineage)
