"""The groups `adapters` and `models`: the same commands, each for one kind of artifact."""

import typer

from burnish.cli.command import Commands
from burnish.cli.registry import ancestry, changes, merging, transfer, upkeep, versions


def _group(kind: str) -> typer.Typer:
    app = typer.Typer(
        cls=Commands,
        help=f"Register, compare, promote and exchange versions of {kind}s.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    versions.add(app, kind)
    changes.add(app, kind)
    transfer.add(app, kind)
    if kind == "adapter":
        merging.add(app)
    return app


adapters, models = _group("adapter"), _group("model")


def register(main: typer.Typer) -> None:
    main.add_typer(adapters, name="adapters")
    main.add_typer(models, name="models")
    ancestry.register(main)
    upkeep.register(main)
