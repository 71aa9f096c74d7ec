"""Commands about runs: `runs list | show | tail | diff | stop | resume`."""

import json
import time
from typing import Annotated, Any

import typer

from burnish.cli import completion
from burnish.cli.command import Command
from burnish.cli.render import Face, duration, json_text, measures_in_short

app = typer.Typer(help="Look at runs, compare them, stop and resume them.", no_args_is_help=True, rich_markup_mode=None)
Name = Annotated[
    str,
    typer.Argument(help="latest, recipe, recipe/number or recipe/number/step.", autocompletion=completion.runs),
]


@app.command("list", cls=Command)
def list_(ctx: typer.Context, most: Annotated[int, typer.Option(help="How many at most.")] = 30) -> None:
    """One line per step that was run, newest first."""
    from burnish.studio.runs import runs

    face: Face = ctx.obj
    everything = runs(workspace=face.workspace)
    damaged = sum(row["state"] == "damaged" for row in everything)
    if damaged:
        face.warn(f"{damaged} of {len(everything)} runs have a damaged record: see `burnish doctor`")
    rows = everything[:most]
    if face.json:
        return face.print_json(rows)
    face.table(
        "",
        ("run", "stage", "state", "when", "took", "measures"),
        [
            (
                row["run"],
                row["stage"],
                row["state"],
                row["created"] and time.strftime("%Y-%m-%d %H:%M", time.localtime(row["created"])),
                duration(row["seconds"]),
                measures_in_short(row["metrics"])
                or (row["reason"] if row["state"] == "damaged" else row["reason"][:80]),
            )
            for row in rows
        ],
    )
    return None


@app.command(cls=Command)
def show(ctx: typer.Context, name: Name = "latest") -> None:
    """Show a run: settings, chosen values, measures, errors, paths."""
    from burnish.studio.runs import show as look

    face: Face = ctx.obj
    shown = look(name, workspace=face.workspace)
    if face.json:
        return face.print_json(shown)
    for step in shown:
        face.table(f"{step['run']}  {step['state']}  {duration(step['seconds'])}", ("", ""), _lines(step))
    return None


@app.command(cls=Command)
def tail(
    ctx: typer.Context,
    name: Name = "latest",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")] = False,
) -> None:
    """The events of a run, one a line, as the run wrote them."""
    from burnish.studio.runs import tail as listen

    face: Face = ctx.obj
    for run, event in listen(name, follow=follow, workspace=face.workspace):
        if face.json:
            print(json_text({"run": run, **event.model_dump(mode="json")}))
        else:
            said = event.model_dump(mode="json", exclude={"at", "kind"})
            words = "  ".join(f"{key}={value}" for key, value in said.items() if value not in ("", None))
            face.console.print(
                f"{time.strftime('%H:%M:%S', time.localtime(event.at))} {run} {event.kind}: {words}", markup=False
            )


@app.command(cls=Command)
def diff(
    ctx: typer.Context,
    one: Name,
    other: Annotated[str, typer.Argument(help="Another run.", autocompletion=completion.runs)],
) -> None:
    """What differs between two runs: settings, inputs and measures only."""
    from burnish.studio.runs import diff as compare

    face: Face = ctx.obj
    found = compare(one, other, workspace=face.workspace)
    if face.json:
        return face.print_json(found)
    rows: list[tuple[Any, ...]] = []
    for step, parts in found["steps"].items():
        if "only_in" in parts:
            rows.append((step, "step", f"only in {parts['only_in']}", ""))
            continue
        rows += [(step, f"{part}: {key}", a, b) for part, changes in parts.items() for key, (a, b) in changes.items()]
    if not rows:
        face.console.print("no difference in settings, inputs or measures")
        return None
    face.table("", ("step", "what", one, other), rows)
    return None


@app.command(cls=Command)
def stop(ctx: typer.Context, name: Name = "latest") -> None:
    """Ask a run in progress to save its state and end.

    Asked again, it ends at once.
    """
    from burnish.studio.runs import stop as ask

    face: Face = ctx.obj
    asked = ask(name, workspace=face.workspace)
    if face.json:
        return face.print_json({"asked": asked})
    face.console.print(f"asked to stop: {', '.join(asked)}")
    return None


@app.command(cls=Command)
def resume(ctx: typer.Context, name: Name = "latest") -> None:
    """Resume a run from its newest checkpoint.

    Finished steps are reused.
    """
    from burnish.cli.watching import TerminalWatcher
    from burnish.studio.runs import resume as go_on

    face: Face = ctx.obj
    watcher = None if face.json else TerminalWatcher(face.console)
    result = go_on(name, workspace=face.workspace, watcher=watcher)
    if watcher is None:
        return face.print_json(result.as_dict())
    watcher.closing(result)
    return None


def _lines(step: dict[str, Any]) -> list[tuple[str, Any]]:
    lines: list[tuple[str, Any]] = [("stage", step["stage"]), ("folder", step["folder"])]
    lines += [("input", f"{field} = {ref}") for field, ref in step["inputs"].items()]
    lines += [
        ("setting", f"{key} = {json.dumps(value, ensure_ascii=False)}") for key, value in step["settings"].items()
    ]
    # A resumed step chose and noted the same at each attempt: once is enough.
    chosen = dict.fromkeys(f"{c['field']} = {c['value']} ({c['reason']})" for c in step["chosen"])
    lines += [("chosen for you", text) for text in chosen]
    lines += [("measure", f"{key} = {value}") for key, value in step["metrics"].items()]
    lines += [("note", text) for text in dict.fromkeys(step["notes"])]
    if step["error"] and step["state"] != "succeeded":
        lines += [("error", step["error"]["what"]), ("hint", step["error"]["fix"])]
    if step["path"]:
        lines.append(("output", step["path"]))
    return lines


def register(main: typer.Typer) -> None:
    main.add_typer(app, name="runs")
