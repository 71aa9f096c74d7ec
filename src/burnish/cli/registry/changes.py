"""The commands `promote | demote | tag | untag | remove` of the registry, for one kind of artifact."""

from typing import Annotated, Any

import typer

from burnish.cli.command import Command
from burnish.cli.registry.versions import Because, Version, Who, change_options
from burnish.cli.render import Output
from burnish.core.registry.names import with_article

To = Annotated[str | None, typer.Option(help="The stage: retired, candidate, staging or production.")]
Tag = Annotated[str, typer.Argument(help="The tag.")]


def add(app: typer.Typer, kind: str) -> None:
    """Add the commands to a group; `kind` is what they accept."""
    one = with_article(kind)

    @app.command(cls=Command, help=_PROMOTE.format(one=one))
    def promote(ctx: typer.Context, version: Version, to: To = None, because: Because = "", who: Who = None) -> None:
        from burnish.studio.registry import promote as move

        _print_moved(ctx.obj, move(version, to=to, **change_options(ctx.obj, kind, because, who)))

    @app.command(cls=Command, help=f"Move a version of {one} one stage down, or to --to.")
    def demote(ctx: typer.Context, version: Version, to: To = None, because: Because = "", who: Who = None) -> None:
        from burnish.studio.registry import demote as move

        _print_moved(ctx.obj, move(version, to=to, **change_options(ctx.obj, kind, because, who)))

    @app.command(cls=Command, help="Give a version a tag, so that name@TAG means it. Another version loses it.")
    def tag(ctx: typer.Context, version: Version, tag: Tag, because: Because = "", who: Who = None) -> None:
        from burnish.studio.registry import tag as add_tag

        found = add_tag(version, tag, **change_options(ctx.obj, kind, because, who))
        _print(ctx.obj, found, f"{found['name']}@{tag} is {found['ref']}")

    @app.command(cls=Command, help="Remove a tag of a version.")
    def untag(ctx: typer.Context, version: Version, tag: Tag, because: Because = "", who: Who = None) -> None:
        from burnish.studio.registry import untag as remove_tag

        found = remove_tag(version, tag, **change_options(ctx.obj, kind, because, who))
        _print(ctx.obj, found, f"{found['ref']} has no tag {tag} any more")

    @app.command(cls=Command, help=_REMOVE)
    def remove(ctx: typer.Context, version: Version, because: Because = "", who: Who = None) -> None:
        from burnish.studio.registry import remove as remove_version

        found = remove_version(version, **change_options(ctx.obj, kind, because, who))
        path = found["artifact"]["path"]
        _print(ctx.obj, found, f"{found['ref']} is removed{f'; its files stay at {path}' if path else ''}")


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
