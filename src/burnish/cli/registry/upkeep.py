"""The commands `reindex` and `gc`, which keep the registry and the workspace in order."""

import typer

from burnish.cli.command import Command
from burnish.cli.render import Output


def reindex(ctx: typer.Context) -> None:
    """Repair the files of the registry.

    Damaged files are renamed, and written again from what can be read. Artifacts are checked by `burnish doctor`.
    """
    from dataclasses import asdict

    from burnish.studio.registry import reindex as repair

    output: Output = ctx.obj
    found = repair(workspace=output.workspace)
    if output.json:
        return output.print_json([asdict(one) for one in found])
    for one in found:
        output.console.print(f"{one.subject}: {one.what}", markup=False)
    if not found:
        output.console.print("the registry is in order")
    return None


def register(main: typer.Typer) -> None:
    main.command(cls=Command)(reindex)
