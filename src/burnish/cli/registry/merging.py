"""The command `adapters merge`: the stage `combine`, with adapters and weights as arguments."""

from pathlib import Path
from typing import Annotated, Any

import typer

from burnish.cli import completion
from burnish.cli.command import Command
from burnish.cli.render import Output
from burnish.core.errors import AskError
from burnish.core.paths import expanded

Adapters = Annotated[
    list[str],
    typer.Argument(help="Folders, recipe.step@latest, name@3 or hub names.", autocompletion=completion.references),
]


def add(app: typer.Typer) -> None:
    """Add the command to the group of adapters."""
    app.command(cls=Command)(merge)


def merge(
    ctx: typer.Context,
    adapters: Adapters,
    weights: Annotated[str, typer.Option(help="One for each adapter, such as 0.7,0.3; they are not normalised.")],
    method: Annotated[str | None, typer.Option(help="linear, cat, svd, ties, dare_ties, … [linear]")] = None,
    names: Annotated[str | None, typer.Option(help="Names of the adapters in the report, such as a,b.")] = None,
    density: Annotated[float | None, typer.Option(help="The share of values that ties, dare, … keep. [0.5]")] = None,
    majority_sign: Annotated[str | None, typer.Option(help="For ties: total or frequency. [total]")] = None,
    rank: Annotated[int | None, typer.Option(help="The rank of the result of an svd method.")] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed of the dare methods. [0]")] = None,
    base: Annotated[
        str | None, typer.Option(help="The base, if the adapters do not name it.", autocompletion=completion.references)
    ] = None,
    into: Annotated[str | None, typer.Option(help="Write an adapter, or a plain model: base. [adapter]")] = None,
    dtype: Annotated[str | None, typer.Option(help="With --into base, the dtype of the merged weights.")] = None,
    out: Annotated[Path | None, typer.Option(help="A new folder that gets a copy of the result.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Rerun even if the result exists.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan, run nothing.")] = False,
) -> None:
    """Combine several adapters of one base into one (stage combine)."""
    from burnish.cli.stages import as_reference, run_stage

    output: Output = ctx.obj
    entries: list[dict[str, Any]] = [{"adapter": as_reference(adapter)} for adapter in adapters]
    for key, texts in (("weight", weights), ("name", names)):
        if texts is not None:
            for entry, text in zip(entries, _listed(texts, f"--{key}s", len(entries)), strict=True):
                entry[key] = _number(text) if key == "weight" else text
    given = {
        "method": method,
        "density": density,
        "majority_sign": majority_sign,
        "rank": rank,
        "seed": seed,
        "base": base and as_reference(base),
        "into": into,
        "dtype": dtype,
    }
    settings = {"adapters": entries, **{key: value for key, value in given.items() if value is not None}}
    folder = None if out is None else expanded(str(out))
    if folder is not None and folder.exists():  # before the work
        raise AskError("ask.wrong-value", f"{folder} exists", "name a new folder in --out, or remove it")
    result = run_stage(output, "combine", settings, force=force, dry_run=dry_run)
    if folder is not None and result is not None:
        from burnish.studio.artifacts import copy_artifact

        copy_artifact(result["combine"], folder)
        output.console.print(f"copied to {folder}", markup=False)


def _listed(text: str, option: str, count: int) -> list[str]:
    """The parts of a list with commas, one for each adapter."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != count:
        what = f"{option} has {len(parts)} values for {count} adapters: {text}"
        raise AskError("ask.wrong-value", what, f"give one for each adapter, such as {option} a,b")
    return parts


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        what = f"--weights: '{text}' is not a number"
        raise AskError("ask.wrong-value", what, "write numbers with commas, such as 0.7,0.3") from None
