"""The commands `reindex` and `gc`, which keep the registry and the workspace in order."""

import sys
from typing import Annotated

import typer

from burnish.cli.command import Command
from burnish.cli.render import Output
from burnish.core.errors import AskError
from burnish.core.files import file_size


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


def gc(
    ctx: typer.Context,
    delete: Annotated[bool, typer.Option("--delete", help="Remove them, after a question.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --delete: do not ask.")] = False,
) -> None:
    """Show runs that nothing refers to, and their sizes.

    Kept are versions of the registry and their evidence, the newest run of each recipe, the newest artifact of each
    step, what is in progress, and all that those were made from.
    """
    from burnish.studio.registry import gc as collect

    output: Output = ctx.obj
    found = collect(workspace=output.workspace, say=output.warn)
    shown = [one["run"] for one in found["garbage"]]
    if not output.json and shown:
        rows = [
            (one["run"], one["kind"], one["state"], one["files"], file_size(one["bytes"])) for one in found["garbage"]
        ]
        output.table("", ("run", "kind", "state", "files", "size"), rows)
    if delete and shown:
        if not yes:
            _confirm(len(shown), found["bytes"])
        found = collect(delete=True, only=shown, workspace=output.workspace, say=output.warn)
    if output.json:
        return output.print_json(found)
    if not shown:
        output.console.print(f"nothing to remove: all {found['kept']} steps are in use")
        return None
    if delete:
        freed = file_size(found["freed_bytes"])
        output.console.print(f"removed {len(found['removed'])} of {len(shown)} steps, {freed}")
    else:
        size, kept = file_size(found["bytes"]), found["kept"]
        output.console.print(f"{size} in {len(shown)} of {len(shown) + kept} steps. Remove them: burnish gc --delete")
    return None


def _confirm(count: int, size: int) -> None:
    if not sys.stdin.isatty():
        raise AskError("ask.missing-key", "gc --delete asks first, and there is no terminal", "add --yes")
    typer.confirm(f"Remove {count} steps, {file_size(size)}?", abort=True)


def register(main: typer.Typer) -> None:
    main.command(cls=Command)(reindex)
    main.command(cls=Command)(gc)
