"""The commands `runs list | show | tail | diff | stop | resume | reindex`.

`rows` and `rollouts` have files of their own.
"""

import json
import time
from typing import Annotated, Any

import typer

from burnish.cli import completion
from burnish.cli.command import Command, Commands, Most, RunName
from burnish.cli.render import Output, duration, json_text, metrics_summary
from burnish.cli.rows.rollouts import rollouts
from burnish.cli.rows.rows import rows

app = typer.Typer(
    cls=Commands, help="List, show, compare, stop and resume runs.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("list", cls=Command)
def list_(ctx: typer.Context, most: Most = None) -> None:
    """List the steps that were run, newest first."""
    from burnish.studio.runs import runs

    output: Output = ctx.obj
    everything = runs(workspace=output.workspace)
    damaged = sum(row["state"] == "damaged" for row in everything)
    if damaged:
        output.warn(f"{damaged} of {len(everything)} runs have a damaged record: see `burnish doctor`")
    rows = output.first(everything, most)
    if output.json:
        return output.print_json(rows)
    if not rows:
        output.console.print("there are no runs in this workspace; start one: burnish demo")
        return None
    output.table(
        "",
        ("run", "stage", "state", "when", "took", "measures"),
        [
            (
                row["run"],
                row["stage"],
                row["state"],
                row["created"] and time.strftime("%Y-%m-%d %H:%M", time.localtime(row["created"])),
                duration(row["seconds"]),
                metrics_summary(row["metrics"]) or (row["reason"] if row["state"] == "damaged" else row["reason"][:80]),
            )
            for row in rows
        ],
    )
    output.say_more(len(everything) - len(rows))
    return None


@app.command(cls=Command)
def show(ctx: typer.Context, name: RunName = "latest") -> None:
    """Show settings, chosen values, measures, errors and paths."""
    from burnish.studio.runs import show as look

    output: Output = ctx.obj
    shown = look(name, workspace=output.workspace)
    if output.json:
        return output.print_json(shown)
    for step in shown:
        output.table(f"{step['run']}  {step['state']}  {duration(step['seconds'])}", ("", ""), _lines(step))
    return None


@app.command(cls=Command)
def tail(
    ctx: typer.Context,
    name: RunName = "latest",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Follow until the run ends.")] = False,
) -> None:
    """Print the events of a run, one per line."""
    from burnish.studio.runs import tail as follow_events

    output: Output = ctx.obj
    for run, event in follow_events(name, follow=follow, workspace=output.workspace):
        if output.json:
            print(json_text({"run": run, **event.model_dump(mode="json")}))
        else:
            fields = event.model_dump(mode="json", exclude={"at", "kind"})
            words = "  ".join(f"{key}={value}" for key, value in fields.items() if value not in ("", None))
            output.console.print(
                f"{time.strftime('%H:%M:%S', time.localtime(event.at))} {run} {event.kind}: {words}", markup=False
            )


@app.command(cls=Command)
def diff(
    ctx: typer.Context,
    one: RunName,
    other: Annotated[str, typer.Argument(help="Another run.", autocompletion=completion.runs)],
) -> None:
    """Show what differs in settings, inputs and measures."""
    from burnish.studio.runs import diff as compare

    output: Output = ctx.obj
    found = compare(one, other, workspace=output.workspace)
    if output.json:
        return output.print_json(found)
    rows: list[tuple[Any, ...]] = []
    for step, parts in found["steps"].items():
        if "only_in" in parts:
            rows.append((step, "step", f"only in {parts['only_in']}", ""))
            continue
        rows += [(step, f"{part}: {key}", a, b) for part, changes in parts.items() for key, (a, b) in changes.items()]
    if not rows:
        output.console.print("no differences in settings, inputs or measures")
        return None
    output.table("", ("step", "name", one, other), rows)
    return None


@app.command(cls=Command)
def stop(ctx: typer.Context, name: RunName = "latest") -> None:
    """Stop a run after it saves its state.

    A second request stops it at once.
    """
    from burnish.studio.runs import stop as request

    output: Output = ctx.obj
    requested = request(name, workspace=output.workspace)
    if output.json:
        return output.print_json({"requested": requested})
    output.console.print(f"stop requested: {', '.join(requested)}")
    return None


@app.command(cls=Command)
def resume(ctx: typer.Context, name: RunName = "latest") -> None:
    """Resume a run from its newest checkpoint.

    Finished steps are reused.
    """
    from burnish.cli.progress import TerminalWatcher
    from burnish.studio.runs import resume as resume_run

    output: Output = ctx.obj
    watcher = None if output.json else TerminalWatcher(output.console)
    result = resume_run(name, workspace=output.workspace, watcher=watcher)
    if watcher is None:
        return output.print_json(result.as_dict())
    watcher.print_summary(result)
    return None


@app.command(cls=Command)
def reindex(ctx: typer.Context) -> None:
    """Make the index of runs anew from their folders.

    Lists of many runs are read from it. It is in the database of the workspace, which is made if there is none. Steps
    of submitted runs that the database lost are queued again.
    """
    from burnish.studio.queueing.reindexing import reindex_runs

    output: Output = ctx.obj
    found = reindex_runs(workspace=output.workspace)
    if output.json:
        return output.print_json(found.as_dict())
    for one in found.damaged:
        output.console.print(f"{one.subject}: {one.what}", markup=False)
    damaged = f"; {len(found.damaged)} records are damaged: see `burnish doctor`" if found.damaged else ""
    queued = f"; {found.queued} steps are queued again" if found.queued else ""
    counted = f"indexed {found.runs} runs with {found.steps} steps in {found.database}"
    output.console.print(f"{counted}{queued}{damaged}", markup=False)
    return None


def _lines(step: dict[str, Any]) -> list[tuple[str, Any]]:
    lines: list[tuple[str, Any]] = [("stage", step["stage"]), ("folder", step["folder"])]
    lines += [("input", f"{field} = {ref}") for field, ref in step["inputs"].items()]
    lines += [
        ("setting", f"{key} = {json.dumps(value, ensure_ascii=False)}") for key, value in step["settings"].items()
    ]
    # a resumed step repeats them at each attempt
    chosen = dict.fromkeys(f"{c['field']} = {c['value']} ({c['reason']})" for c in step["chosen"])
    lines += [("chosen for you", text) for text in chosen]
    lines += [("measure", f"{key} = {value}") for key, value in step["metrics"].items()]
    lines += [("check", f"{check['name']}: {check['verdict']}, {check['found']}") for check in step["checks"]]
    lines += _certificate_lines(step["certificate"])
    lines += [("note", text) for text in dict.fromkeys(step["notes"])]
    if step["error"] and step["state"] != "succeeded":
        lines += [("error", step["error"]["what"]), ("hint", step["error"]["fix"])]
    if step["path"]:
        lines.append(("output", step["path"]))
    return lines


def _certificate_lines(certificate: dict[str, Any] | None) -> list[tuple[str, str]]:
    if certificate is None:
        return []
    verdict = "holds" if certificate["holds"] else "does not hold"
    lines = [("certificate", f"{verdict}: {certificate['change']} of {certificate['parent']['ref']}")]
    for check in certificate["checks"]:
        limit = f" ({check['limit']})" if check["limit"] else ""
        lines.append(("", f"{check['name']}: {check['verdict']}, {check['found']}{limit}"))
    return lines


def register(main: typer.Typer) -> None:
    app.command(cls=Command)(rows)
    app.command(cls=Command)(rollouts)
    main.add_typer(app, name="runs")
