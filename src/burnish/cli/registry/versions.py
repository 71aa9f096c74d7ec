"""The commands `register | list | show` of the registry, for one kind of artifact."""

import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from burnish.cli import completion
from burnish.cli.command import Command
from burnish.cli.render import Output, cell, json_text, metrics_summary
from burnish.core.printable import one_line
from burnish.core.registry.names import with_article

Version = Annotated[
    str,
    typer.Argument(help="name@3, name@latest, name@production or name@TAG.", autocompletion=completion.versions),
]
Because = Annotated[str, typer.Option(help="Why; it is kept in the history.")]
Who = Annotated[str | None, typer.Option(help="Who does it. [BURNISH_AUTHOR, the author in Git, the system's user]")]


def change_options(output: Output, kind: str, because: str, who: str | None) -> dict[str, Any]:
    """The arguments that every change of the registry takes."""
    return {"kind": kind, "because": because, "who": who, "workspace": output.workspace, "say": output.warn}


def when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def add(app: typer.Typer, kind: str) -> None:
    """Add the commands to a group; `kind` is what they accept."""
    one = with_article(kind)

    @app.command(cls=Command, help=f"Register {one} as the next version of a name.")
    def register(
        ctx: typer.Context,
        ref: Annotated[
            str,
            typer.Argument(
                help="recipe.step@latest, a folder, or a hub name.",
                autocompletion=completion.references,
            ),
        ],
        name: Annotated[str, typer.Option(help="The name in the registry.", autocompletion=completion.entries)],
        because: Because = "",
        who: Who = None,
    ) -> None:
        from burnish.cli.stages import as_reference
        from burnish.studio.registry import register as add_version

        output: Output = ctx.obj
        found = add_version(as_reference(ref), name=name, **change_options(output, kind, because, who))
        if output.json:
            return output.print_json(found)
        done = "registered as" if found["new"] else "is registered already:"
        output.console.print(f"{ref} {done} {found['name']}@{found['version']} ({found['stage']})", markup=False)
        return None

    @app.command("list", cls=Command, help=f"List the versions of {kind}s, the newest of each name first.")
    def list_(
        ctx: typer.Context,
        name: Annotated[
            str | None,
            typer.Argument(
                help="Only this name, with the versions that were removed.", autocompletion=completion.entries
            ),
        ] = None,
    ) -> None:
        from burnish.studio.registry import listing

        output: Output = ctx.obj
        rows = listing(name, kind=kind, workspace=output.workspace, say=output.warn)
        for row in rows:
            if row.get("damage"):
                output.warn(f"the artifact of {row['ref']} ({row['path']}) is damaged: {row['damage']}")
        if output.json:
            return output.print_json(rows)
        if not rows:
            text = f"there are no {kind}s in the registry; register one: burnish {kind}s register REF --name NAME"
            output.console.print(text)
            return None
        output.table("", ("version", "stage", "tags", "when", "who", "made by", "measures"), map(_row, rows))
        return None

    @app.command(cls=Command, help=f"Show a version of {one}, its evidence and its history.")
    def show(ctx: typer.Context, version: Version) -> None:
        from burnish.studio.registry import show as look

        output: Output = ctx.obj
        found = look(version, kind=kind, workspace=output.workspace)
        if output.json:
            return output.print_json(found)
        output.table(f"{found['ref']}  {found['stage']}", ("", ""), list(_lines(found)))
        return None

    @app.command(cls=Command, help="Show what differs between two versions: settings, data, files.")
    def diff(
        ctx: typer.Context,
        one: Version,
        other: Annotated[str, typer.Argument(help="Another version.", autocompletion=completion.versions)],
    ) -> None:
        from burnish.studio.registry import diff as compare

        output: Output = ctx.obj
        found = compare(one, other, kind=kind, workspace=output.workspace)
        if output.json:
            return output.print_json(found)
        rows = [(part, name, a, b) for part, changes in found.items() for name, (a, b) in changes.items()]
        output.table("", ("part", "name", one, other), rows)
        return None


def _row(row: dict[str, Any]) -> tuple[Any, ...]:
    if "removed" in row:
        removed = row["removed"]
        return row["ref"], "removed", "", when(removed["at"]), _short_name(removed["who"]), "", one_line(removed["why"])
    made = row["made_by"]
    return (
        row["ref"],
        row["stage"],
        ", ".join(row["tags"]),
        when(row["at"]),
        _short_name(row["who"]),
        "" if made is None else f"{made['recipe']}/{made['number']}/{made['step']}",
        f"damaged: {row['damage']}" if row["damage"] else metrics_summary(row["measures"]),
    )


def _lines(found: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What `show` prints, as (subject, text)."""
    from burnish.core.registry.drawing import MARKS

    yield "kind", found["kind"]
    if found["tags"]:
        yield "tags", ", ".join(found["tags"])
    yield "registered", f"{when(found['at'])} by {one_line(found['who'])}{_reason(found['why'])}"
    made = found.get("made_by")
    if made:
        yield "made by", f"{made['recipe']}/{made['number']}/{made['step']}, stage {made['stage']}"
    there = found.get("imported")
    if there:
        seen = "; ".join(f"{one['kind']} {one['state']}: {one['found']}" for one in there["evidence"] or ())
        tags = f", tagged {', '.join(map(str, there['tags']))}" if there.get("tags") else ""
        yield "imported", f"from {there['name']}@{there['version']}, in {there['stage']}{tags} there{_reason(seen)}"
    yield "artifact", found["path"] or found["artifact"]["ref"]
    if found["damage"]:
        yield "damaged", found["damage"]
    yield "fingerprint", found["fingerprint"]
    yield "files", _files(found["files"], found["digest"])
    base = found.get("base")
    if base:
        yield "base", f"{base['ref']} {base['revision']} ({_short(base['fingerprint'])})".replace("  ", " ")
    for name in ("tokenizer", "template"):
        if found.get(name):
            yield name, found[name]
    for source in found.get("data", ()):
        yield "data", f"{source['ref']} ({source['kind']}, {_short(source['fingerprint'])})"
    for one in found.get("licences", ()):
        stated = f" ({one['stated_in']})" if one["stated_in"] else ""
        yield "licence", f"{one['of']} {one['ref']}: {one['licence']}{stated}"
    yield from (("licence", text) for text in found["licence"])
    for key, value in found.get("settings", {}).items():
        yield "setting", f"{key} = {json_text(value)}"
    for key, value in found.get("measures", {}).items():
        yield "measure", f"{key} = {cell(value) if isinstance(value, float) else json_text(value)}"
    for one in found["evidence"]:
        yield one["kind"], f"{MARKS[one['state']]} {one['run']}: {one['found']}"
    yield from (("left out", text) for text in found["left_out"])
    if found["missing"] and found["stage"] != "retired":
        yield "missing", "; ".join(found["missing"])
    for change in found["history"]:
        done = f"{_change(change, found['version'], is_imported=bool(there))} by {one_line(change['who'])}"
        yield "history", f"{when(change['at'])} {done}{_reason(change['why'])}"


def _change(change: dict[str, Any], number: int, *, is_imported: bool) -> str:
    match change["change"]:
        case "promote" | "demote" if change["version"] != number:
            return f"retired: version {change['version']} replaced it in {change['to']}"
        case "promote" | "demote":
            return f"{change['change']}d from {change['from']} to {change['to']}"
        case "tag" | "untag":
            return f"{'tagged' if change['change'] == 'tag' else 'tag removed:'} {change['tag']}"
        case "register":
            return "imported" if is_imported else "registered"
        case kind:
            return kind


def _reason(why: str) -> str:
    return f": {one_line(why)}" if why else ""


def _short_name(who: str) -> str:
    """`Ada` of `Ada <ada@example.org>`: `show` has the whole."""
    return one_line(who.partition(" <")[0].partition("@")[0] or who)


def _short(fingerprint: str) -> str:
    return fingerprint[:12] or "no hash"


def _files(files: dict[str, Any] | None, digest: str) -> str:
    from burnish.core.files import file_size

    if files is None:
        return "on a hub"
    size = sum(file["size"] for file in files.values())
    return f"{len(files)} files, {file_size(size)}, manifest {digest[:12]}"
