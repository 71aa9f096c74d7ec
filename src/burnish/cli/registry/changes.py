"""The commands `promote | demote | tag | untag | remove` of the registry, for one kind of artifact."""

from typing import Annotated, Any

import typer

from burnish.cli.command import Command
from burnish.cli.registry.versions import Because, Version, Who
from burnish.cli.render import Output

To = Annotated[str | None, typer.Option(help="The stage: retired, candidate, staging or production.")]
Tag = Annotated[str, typer.Argument(help="The tag.")]


def add(app: typer.Typer, kind: str) -> None:
    """Add the commands to a group; `kind` is what they accept."""
    one = f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"

    @app.command(cls=Command, help=_PROMOTE.format(one=one))
    def promote(ctx: typer.Context, version: Version, to: To = None, because: Because = "", who: Who = None) -> None:
        from burnish.studio.registry import promote as move

        output: Output = ctx.obj
        options = {"kind": kind, "who": who, "workspace": output.workspace, "say": output.warn}
        _print_moved(output, move(version, to=to, because=because, **options))

    @app.command(cls=Command, help=f"Move a version of {one} one stage down, or to --to.")
    def demote(ctx: typer.Context, version: Version, to: To = None, because: Because = "", who: Who = None) -> None:
        from burnish.studio.registry import demote as move

        output: Output = ctx.obj
        options = {"kind": kind, "who": who, "workspace": output.workspace, "say": output.warn}
        _print_moved(output, move(version, to=to, because=because, **options))

    @app.command(cls=Command, help="Give a version a tag, so that name@TAG means it; another version loses it.")
    def tag(ctx: typer.Context, version: Version, tag: Tag, because: Because = "", who: Who = None) -> None:
        from burnish.studio.registry import tag as add_tag

        output: Output = ctx.obj
        options = {"kind": kind, "who": who, "workspace": output.workspace, "say": output.warn}
        found = add_tag(version, tag, because=because, **options)
        _print(output, found, f"{found['name']}@{tag} is {found['ref']}")

    @app.command(cls=Command, help="Remove a tag of a version.")
    def untag(ctx: typer.Context, version: Version, tag: Tag, because: Because = "", who: Who = None) -> None:
        from burnish.studio.registry import untag as remove_tag

        output: Output = ctx.obj
        options = {"kind": kind, "who": who, "workspace": output.workspace, "say": output.warn}
        found = remove_tag(version, tag, because=because, **options)
        _print(output, found, f"{found['ref']} has no tag {tag} any more")

    @app.command(cls=Command, help=_REMOVE)
    def remove(ctx: typer.Context, version: Version, because: Because = "", who: Who = None) -> None:
        from burnish.studio.registry import remove as remove_version

        output: Output = ctx.obj
        options = {"kind": kind, "who": who, "workspace": output.workspace, "say": output.warn}
        found = remove_version(version, because=because, **options)
        path = found["artifact"]["path"]
        _print(output, found, f"{found['ref']} is removed{f'; its files stay at {path}' if path else ''}")


_PROMOTE = """Move a version of {one} one stage up, or to --to.

To staging and production it needs a certificate (or the proof of its training) and a verdict, or --because. The
version that was in production becomes retired.
"""
_REMOVE = """Remove a version from the registry.

Its files stay, and its number is not used again. A version in production needs --because.
"""


def _print_moved(output: Output, found: dict[str, Any]) -> None:
    replaced = f"; {', '.join(found['replaced'])} is retired" if found["replaced"] else ""
    _print(output, found, f"{found['ref']} is in {found['stage']}{replaced}")


def _print(output: Output, found: dict[str, Any], text: str) -> None:
    if output.json:
        output.print_json(found)
    else:
        output.console.print(text, markup=False)
