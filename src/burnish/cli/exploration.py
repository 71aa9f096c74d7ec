"""The commands `inspect`, `chat` and `rubrics`."""

import signal
from typing import Annotated, Any

import typer

from burnish.cli import completion
from burnish.cli.command import Command
from burnish.cli.render import Output
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
            help="Render with this tokenizer or model and colour the trained tokens.",
            autocompletion=completion.references,
        ),
    ] = None,
    rows: Annotated[int, typer.Option(help="The number of rows to show.")] = 3,
    format: Annotated[str, typer.Option(help="The format of the rows.")] = "auto",
    columns: Annotated[
        list[str] | None, typer.Option("--column", help="Rename a column: theirs=ours; repeatable.")
    ] = None,
    roles: Annotated[
        list[str] | None,
        typer.Option("--role", help="Rename a role: theirs=ours, such as agent=assistant; repeatable."),
    ] = None,
    subset: Annotated[str | None, typer.Option(help="The subset of a hub dataset or of dataset_info.json.")] = None,
    encoding: Annotated[
        str | None, typer.Option(help="The encoding of text files if not UTF-8, such as gb18030.")
    ] = None,
    train_on: Annotated[
        str | None, typer.Option(help="With --tokenizer: assistant, completion or all. [assistant]")
    ] = None,
    max_length: Annotated[
        int | None, typer.Option(help=f"With --tokenizer: the maximum tokens per row. [{_MAX_LENGTH}]")
    ] = None,
) -> None:
    """Show rows, their lengths, and which tokens are learned.

    With --tokenizer, rows are rendered and the learned tokens coloured.
    """
    from burnish.cli.stages import as_reference
    from burnish.studio.exploration import inspect as inspect_rows

    output: Output = ctx.obj
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
    found = inspect_rows(as_reference(source), workspace=output.workspace, **settings)
    if output.json:
        return output.print_json(found)
    from burnish.cli.inspection import print_inspection

    print_inspection(output.console, found)
    return None


def _renaming(option: str, text: str, example: str) -> tuple[str, str]:
    theirs, sign, ours = text.partition("=")
    if not (theirs and sign and ours):
        raise AskError("ask.wrong-value", f"{option} {text}: expected theirs=ours", f"write {option} {example}")
    return theirs, ours


def chat(
    ctx: typer.Context,
    model: Annotated[
        str,
        typer.Argument(
            help="builtin:pocket, a folder, recipe.step@latest, or a hub name.", autocompletion=completion.references
        ),
    ],
    ask: Annotated[str | None, typer.Option(help="Ask one question, print the answer and exit.")] = None,
    system: Annotated[str | None, typer.Option(help="The system message.")] = None,
    temperature: Annotated[float, typer.Option(help="0 takes the most likely token.")] = 0.0,
    top_p: Annotated[float, typer.Option(help="Sample from the most likely tokens with this total probability.")] = 1.0,
    seed: Annotated[int | None, typer.Option(help="The seed of sampling; random by default.")] = None,
    max_new_tokens: Annotated[int, typer.Option(help="The maximum length of an answer.")] = 512,
    date: Annotated[str, typer.Option(help="The date in the chat template; auto is today.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Chat with a model or adapter in the terminal."""
    from burnish.cli.stages import as_reference
    from burnish.studio.exploration import chat as start_chat

    arguments = [f"--temperature={temperature}", f"--top-p={top_p}", f"--max-new-tokens={max_new_tokens}"]
    arguments += [f"--device={device}", f"--date={date}"] + ([f"--seed={seed}"] if seed is not None else [])
    arguments += [f"--ask={ask}"] if ask is not None else []
    arguments += [f"--system={system}"] if system is not None else []
    if ctx.obj.json and ask is None:
        raise AskError("ask.wrong-value", "chat --json needs a question", "add --ask TEXT")
    if temperature == 0 and (top_p != 1.0 or seed is not None):
        flag = "--seed" if top_p == 1.0 else "--top-p"
        raise AskError(
            "ask.wrong-value",
            f"{flag} has no effect at temperature 0",
            f"set --temperature above 0, or remove {flag}",
        )
    arguments += ["--json"] if ctx.obj.json else []
    arguments += ["--debug"] if ctx.obj.debug else []
    # Ctrl-C also reaches the child, where it stops an answer. Not SIG_IGN, which the child would inherit.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        status = start_chat(as_reference(model), workspace=ctx.obj.workspace, arguments=arguments)
    finally:
        signal.signal(signal.SIGINT, before)
    if status:
        raise typer.Exit(status)


def rubrics(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(help="The rubric to print; without it, all are listed.")] = None,
    language: Annotated[str, typer.Option("--language", help="en or zh.", metavar="VALUE")] = "en",
) -> None:
    """List the built-in rubrics of `judge`, or print one as YAML.

    What is printed can be pasted into a recipe and changed.
    """
    from burnish.studio.rubrics import rubric, rubric_names

    output: Output = ctx.obj
    if name is None:
        rows = [(one, ", ".join(given["name"] for given in rubric(one, language))) for one in rubric_names()]
        return output.print_json(dict(rows)) if output.json else output.table("", ("rubric", "criteria"), rows)
    criteria = {"criteria": rubric(name, language)}
    return output.print_json(criteria) if output.json else output.console.print(_yaml(criteria), markup=False, end="")


def _yaml(value: dict[str, Any]) -> str:
    import json

    import yaml

    unshared = json.loads(json.dumps(value))  # recipes have no aliases
    return yaml.safe_dump(unshared, sort_keys=False, allow_unicode=True, width=100)


def register(app: typer.Typer) -> None:
    app.command(cls=Command)(inspect)
    app.command(cls=Command)(chat)
    app.command(cls=Command)(rubrics)
