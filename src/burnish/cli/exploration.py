"""The commands `inspect`, `chat`, `smoke-test` and `rubrics`."""

import signal
from typing import Annotated, Any

import typer

from burnish.cli import completion
from burnish.cli.command import Command
from burnish.cli.render import Output, plain
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
    from burnish.cli.rows.inspection import print_inspection

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
        str | None,
        typer.Argument(
            help="builtin:pocket, a folder, recipe.step@latest, a hub name, or URL#NAME.",
            autocompletion=completion.references,
        ),
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="In place of a model: an OpenAI-compatible URL, such as http://host:8001/v1.")
    ] = None,
    served: Annotated[
        str | None,
        typer.Option("--model", help="With --endpoint: the model's name there; the first that is listed."),
    ] = None,
    key_env: Annotated[
        str | None, typer.Option(help="With --endpoint: the environment variable that holds the API key.")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(help="With --endpoint: the seconds until the next piece of an answer. [60]")
    ] = None,
    ask: Annotated[str | None, typer.Option(help="Ask one question, print the answer and exit.")] = None,
    system: Annotated[str | None, typer.Option(help="The system message.")] = None,
    temperature: Annotated[float, typer.Option(help="0 takes the most likely token.")] = 0.0,
    top_p: Annotated[float, typer.Option(help="Sample from the most likely tokens with this total probability.")] = 1.0,
    seed: Annotated[int | None, typer.Option(help="The seed of sampling; random by default.")] = None,
    max_new_tokens: Annotated[int, typer.Option(help="The maximum length of an answer.")] = 512,
    date: Annotated[
        str | None, typer.Option(help="The date in the chat template; auto, the default, is today.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps. [auto]")] = None,
) -> None:
    """Chat with a model, an adapter or an endpoint in the terminal."""
    from burnish.cli.stages import as_reference
    from burnish.studio.exploration import chat as start_chat
    from burnish.studio.exploration import chat_with_endpoint

    arguments = [f"--temperature={temperature}", f"--top-p={top_p}", f"--max-new-tokens={max_new_tokens}"]
    arguments += [f"--seed={seed}"] if seed is not None else []
    arguments += [f"--{name}={value}" for name, value in (("device", device), ("date", date)) if value is not None]
    url, served = _asked(model, endpoint, served)
    here, there = {"--device": device, "--date": date}, {"--model": served, "--key-env": key_env, "--timeout": timeout}
    for flag, value in (here if url is not None else there).items():
        if value is not None:
            what = f"{flag} has no effect on {'an endpoint' if url is not None else 'a model that is loaded here'}"
            raise AskError("ask.wrong-value", what, f"remove {flag}" + ("" if url else ", or add --endpoint URL"))
    arguments += [f"--timeout={timeout}"] if timeout is not None else []
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
        if url is not None:
            status = chat_with_endpoint(url, model=served, key_env=key_env, arguments=arguments)
        else:
            status = start_chat(as_reference(model or ""), workspace=ctx.obj.workspace, arguments=arguments)
    finally:
        signal.signal(signal.SIGINT, before)
    if status:
        raise typer.Exit(status)


def _asked(model: str | None, endpoint: str | None, served: str | None) -> tuple[str | None, str | None]:
    """(address, name there) of an endpoint; the address is None for a model that is loaded here."""
    if (model is None) == (endpoint is None):
        what = "chat needs a model, or --endpoint URL" if model is None else "chat takes a model or --endpoint"
        raise AskError("ask.missing-key" if model is None else "ask.wrong-value", what, "see `burnish chat --help`")
    if model is None or not model.startswith(("http://", "https://")):
        return endpoint, served
    url, _, name = model.partition("#")
    if name and served is not None:
        raise AskError("ask.wrong-value", "the model's name is given twice", f"remove --model, or #{name}")
    return url, name or served


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


def smoke_test(
    ctx: typer.Context,
    url: Annotated[str, typer.Argument(help="The address of an OpenAI-compatible API: http://127.0.0.1:8001/v1.")],
    model: Annotated[
        str | None, typer.Option(help="The model's name there; the only one, or the first listed, by default.")
    ] = None,
    key_env: Annotated[str | None, typer.Option(help="The environment variable that holds the API key.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds for each request.")] = 60.0,
    wait: Annotated[float, typer.Option(help="Seconds to wait until the endpoint is ready.")] = 0.0,
    require: Annotated[
        str | None,
        typer.Option(help="Checks that must hold too, such as tools,logprobs. Always: models, chat, stream."),
    ] = None,
    prompt: Annotated[str | None, typer.Option(help="The question of the chat.")] = None,
    expect: Annotated[str | None, typer.Option(help="With --prompt: a text that the answer contains.")] = None,
) -> None:
    """Ask a running endpoint what its clients rely on.

    Models, chat, stream, plain completions, log-probabilities, tools, JSON schema, an unknown model, a wrong key. The
    exit status is 0 if all required checks hold, 5 if the endpoint is not reached, 6 if a check does not hold. With
    --model, the endpoint need not list its models.
    """
    from burnish.studio.exploration import refuse_failed
    from burnish.studio.exploration import smoke_test as ask

    output: Output = ctx.obj
    for name, value, least in (("--timeout", timeout, 0.1), ("--wait", wait, 0.0)):
        if not least <= value <= 86_400:
            raise AskError("ask.wrong-value", f"{name} {value:g} is out of bounds", f"give seconds, {least:g} to 86400")
    if expect is not None and prompt is None:
        raise AskError("ask.missing-key", "--expect needs --prompt", "add --prompt TEXT, the question it answers")
    names = [name.strip().replace("-", "_") for name in (require or "").split(",") if name.strip()]
    settings: dict[str, Any] = {"model": model, "key_env": key_env, "timeout": timeout, "wait": wait}
    found = ask(url, **settings, require=names, prompt=prompt, expect=expect)
    if not output.json:
        rows = [
            (check["name"] + "*" * check["required"], check["verdict"], check["found"], f"{check['seconds']:.2f}")
            for check in found["checks"]
        ]
        output.table(f"{found['model']} at {found['url']}", ("check", "verdict", "found", "s"), rows)
        for note in found["notes"]:
            output.console.print(plain(note), markup=False)
        output.console.print("* required", style="dim")
    refuse_failed(found)
    if output.json:
        output.print_json(found)


def register(app: typer.Typer) -> None:
    app.command(cls=Command)(inspect)
    app.command(cls=Command)(chat)
    app.command("smoke-test", cls=Command)(smoke_test)
    app.command(cls=Command)(rubrics)
