"""The commands `export | import` of the registry, for one kind of artifact."""

from typing import Annotated

import typer

from burnish.cli import completion
from burnish.cli.command import Command
from burnish.cli.registry.versions import Because, Version, Who, change_options
from burnish.cli.render import Output

Base = Annotated[
    str | None,
    typer.Option(help="Where the base of the adapter is here.", autocompletion=completion.references),
]
_EXPORT = """Write a version with its record and files to one file.

Each file is compared with its hash. A name that ends in .tar, .tar.gz or .tgz is an archive, another a folder.
"""
_IMPORT = """Import what `export` wrote, as a candidate.

Each file is compared with its hash. Stage and evidence of the other workspace are shown, and count for nothing here.
"""


def add(app: typer.Typer, kind: str) -> None:
    """Add the commands to a group; `kind` is what they accept."""

    @app.command(cls=Command, help=_EXPORT)
    def export(
        ctx: typer.Context,
        version: Version,
        to: Annotated[str | None, typer.Option(help="The file or folder. [NAME-VERSION.tar]")] = None,
    ) -> None:
        from burnish.studio.registry import export as write

        output: Output = ctx.obj
        path = write(version, to, kind=kind, workspace=output.workspace)
        if output.json:
            return output.print_json({"path": str(path)})
        output.console.print(f"written to {path}", markup=False)
        return None

    @app.command("import", cls=Command, help=_IMPORT)
    def import_(
        ctx: typer.Context,
        path: Annotated[str, typer.Argument(help="The file or folder.")],
        name: Annotated[
            str | None, typer.Option(help="Another name in the registry.", autocompletion=completion.entries)
        ] = None,
        base: Base = None,
        because: Because = "",
        who: Who = None,
    ) -> None:
        from burnish.cli.stages import as_reference
        from burnish.studio.registry import import_ as read

        output: Output = ctx.obj
        where = None if base is None else as_reference(base)
        found = read(path, name=name, base=where, **change_options(output, kind, because, who))
        if output.json:
            return output.print_json(found)
        done = "imported as" if found["new"] else "is registered already:"
        output.console.print(f"{path} {done} {found['ref']} ({found['stage']})", markup=False)
        return None
