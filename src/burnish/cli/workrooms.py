"""Commands that look at rows and talk to models: `inspect` and `chat`."""

import signal
from typing import Annotated, Any

import typer

from burnish.cli import completion
from burnish.cli.command import Command
from burnish.cli.render import Face
from burnish.core.errors import AskError

_MAX_LENGTH = 8192


def inspect(
    ctx: typer.Context,
    source: Annotated[
        str, typer.Argument(help="A file, folder, dataset or hub name.", autocompletion=completion.references)
    ],
    tokenizer: Annotated[
        str | None,
        typer.Option(
            help="Render with this tokenizer or model, and colour what is learned.",
            autocompletion=completion.references,
        ),
    ] = None,
    rows: Annotated[int, typer.Option(help="How many rows to show.")] = 3,
    format: Annotated[str, typer.Option(help="The layout of the rows.")] = "auto",
    columns: Annotated[
        list[str] | None, typer.Option("--column", help="Rename a column: theirs=ours; may be repeated.")
    ] = None,
    roles: Annotated[
        list[str] | None, typer.Option("--role", help="Map a role: theirs=ours, such as agent=assistant.")
    ] = None,
    subset: Annotated[str | None, typer.Option(help="Which part of a hub dataset or dataset_info.json.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Of text files that are not UTF-8, such as gb18030.")] = None,
    train_on: Annotated[
        str | None, typer.Option(help="With --tokenizer: assistant, completion or all. [assistant]")
    ] = None,
    max_length: Annotated[
        int | None, typer.Option(help=f"With --tokenizer: the most tokens a row may have. [{_MAX_LENGTH}]")
    ] = None,
) -> None:
    """Show rows, their lengths, and which tokens are learned.

    With --tokenizer, rows are rendered, and what is learned is coloured.
    """
    from burnish.cli.stages import as_reference
    from burnish.studio.workrooms import inspect as look

    face: Face = ctx.obj
    settings: dict[str, Any] = {"rows": rows, "format": format}
    if columns:
        settings["columns"] = dict(_renaming("--column", text, "query=prompt") for text in columns)
    if roles:
        settings["roles"] = dict(_renaming("--role", text, "agent=assistant") for text in roles)
    settings |= {key: value for key, value in (("subset", subset), ("encoding", encoding)) if value is not None}
    render = {"train_on": train_on, "max_length": max_length}
    given = {key: value for key, value in render.items() if value is not None}
    if tokenizer is not None:
        settings |= {"tokenizer": as_reference(tokenizer), "render": {"max_length": _MAX_LENGTH} | given}
    elif given:
        settings["render"] = given
    found = look(as_reference(source), workspace=face.workspace, **settings)
    if face.json:
        return face.print_json(found)
    from burnish.cli.inspection import print_inspection

    print_inspection(face.console, found)
    return None


def _renaming(option: str, text: str, example: str) -> tuple[str, str]:
    theirs, sign, ours = text.partition("=")
    if not (theirs and sign and ours):
        raise AskError("ask.wrong-value", f"{option} {text}: not of the form theirs=ours", f"write {option} {example}")
    return theirs, ours


def chat(
    ctx: typer.Context,
    model: Annotated[
        str,
        typer.Argument(
            help="builtin:pocket, a folder, recipe.step@latest, or a hub name.", autocompletion=completion.references
        ),
    ],
    ask: Annotated[str | None, typer.Option(help="Ask one question, print the answer, and end.")] = None,
    system: Annotated[str | None, typer.Option(help="The system message.")] = None,
    temperature: Annotated[float, typer.Option(help="0 always takes the likeliest token.")] = 0.0,
    top_p: Annotated[float, typer.Option(help="Sample from the likeliest tokens that hold this share.")] = 1.0,
    seed: Annotated[int | None, typer.Option(help="Of sampling; another one each time when not said.")] = None,
    max_new_tokens: Annotated[int, typer.Option(help="The longest answer.")] = 512,
    date: Annotated[str, typer.Option(help="What the chat template prints as the date; auto is today.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Talk to a model or adapter in the terminal."""
    from burnish.cli.stages import as_reference
    from burnish.studio.workrooms import chat as talk

    arguments = [f"--temperature={temperature}", f"--top-p={top_p}", f"--max-new-tokens={max_new_tokens}"]
    arguments += [f"--device={device}", f"--date={date}"] + ([f"--seed={seed}"] if seed is not None else [])
    arguments += [f"--ask={ask}"] if ask is not None else []
    arguments += [f"--system={system}"] if system is not None else []
    if ctx.obj.json and ask is None:
        raise AskError("ask.wrong-value", "chat --json has no question", "give one with --ask TEXT")
    if temperature == 0 and (top_p != 1.0 or seed is not None):
        flag = "--seed" if top_p == 1.0 else "--top-p"
        raise AskError(
            "ask.wrong-value",
            f"{flag} has no effect at temperature 0, which always takes the likeliest token",
            f"set --temperature above 0, or leave out {flag}",
        )
    arguments += ["--json"] if ctx.obj.json else []
    arguments += ["--debug"] if ctx.obj.debug else []
    # Ctrl-C reaches the chat as well, and there it stops an answer. No SIG_IGN: the child would inherit that.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        status = talk(as_reference(model), workspace=ctx.obj.workspace, arguments=arguments)
    finally:
        signal.signal(signal.SIGINT, before)
    if status:
        raise typer.Exit(status)


def register(app: typer.Typer) -> None:
    app.command(cls=Command)(inspect)
    app.command(cls=Command)(chat)
