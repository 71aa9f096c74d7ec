"""Write the reference pages from the code: commands, settings, errors. `make docs`; a test holds them true."""

from pathlib import Path
from typing import Any, get_args, get_origin

import typer

from burnish.cli.entry import StageEntry
from burnish.cli.main import app
from burnish.core.catalog import stages
from burnish.core.errors import CODES, family_of
from burnish.core.recipes.aliases import ALIASES, DIFFERS, NOT_NEEDED, ON_REWARDS, elsewhere
from burnish.core.recipes.flow import flow
from burnish.core.registry.names import KINDS
from burnish.evals.certificates.limits import LIMITS
from burnish.server.app import make_app
from burnish.server.openapi import schema_of
from burnish.server.settings import Settings
from burnish.specs.base import Runtime, Spec, Takes, marks_of
from burnish.studio.settings.variables import variables

REFERENCE = Path(__file__).parent / "reference"
_MADE = "<!-- Made by docs/generate.py; change the code, then run `make docs`. -->\n"


def environment_page() -> str:
    """The variables of the environment, and of the `.env` of a workspace."""
    lines = [_MADE, "# Variables of the environment", ""]
    lines += [
        "Set them in the shell, or in the file `.env` of the workspace: `burnish settings set NAME` edits it, and",
        "keeps all else in it. Those of the shell come first. In the file, a key of yours may have any name that ends",
        "in `_API_KEY`, `_KEY`, `_TOKEN`, `_SECRET` or `_PASSWORD`. `burnish env` says what came from the file.",
        "",
    ]
    for group, title in _GROUPS_OF_VARIABLES.items():
        lines += [f"## {title}", "", "| variable | kind | |", "| --- | --- | --- |"]
        lines += [f"| `{one.name}` | {one.kind} | {one.help} |" for one in variables().values() if one.group == group]
        lines.append("")
    return "\n".join(lines)


_GROUPS_OF_VARIABLES = {
    "keys": "Keys of endpoints",
    "hub": "The hub",
    "network": "The network",
    "machine": "The machine",
    "trackers": "Trackers",
    "burnish": "burnish",
    "containers": "Containers (`burnish up`)",
}


_SAME_NAME = (
    ("`completions/mean_length`", "the metric `answer_tokens`", "without the token that ended the answer"),
    ("`label_smoothing` in DPO", "`label_smoothing`", "with sigmoid, TRL 1.16 ignores it; burnish smooths"),
    ("ORPO's loss", "`stage: orpo`", "the cross-entropy is of the answer only; TRL's includes the prompt"),
    ("rows of plain strings", "`data`", "are rendered by the chat template; TRL joins them without one"),
)
"""What differs from TRL without another name: elsewhere, in burnish, how."""


def names_page() -> str:
    """Names of settings in other tools: what burnish calls them, or why it has none."""
    lines = [_MADE, "# Names in other tools", ""]
    lines += [
        "Settings of TRL and transformers, PEFT, LLaMA-Factory and Axolotl, and their names in burnish. A recipe that"
    ]
    lines += [
        "uses one of them is refused with this hint. Values may have another form: see [the settings](settings.md).",
        "",
    ]
    lines += ["| in burnish | elsewhere |", "| --- | --- |"]
    lines += [
        f"| `{ours}` | {', '.join(f'`{name}`' for name in theirs)} |" for ours, theirs in sorted(elsewhere().items())
    ]
    lines += ["", "## The same setting, another meaning", "", "| elsewhere | in burnish | |", "| --- | --- | --- |"]
    meanings = [(name, ALIASES[name], how) for name, how in DIFFERS.items()]
    meanings += [(name, ours, how) for name, (ours, how) in ON_REWARDS.items()]
    lines += [f"| `{name}` | `{ours}` | {how} |" for name, ours, how in sorted(meanings)]
    lines += [f"| {name} | {ours} | {how} |" for name, ours, how in _SAME_NAME]
    lines += ["", "## Not needed", "", "| elsewhere | |", "| --- | --- |"]
    lines += [f"| `{name}` | {why} |" for name, why in sorted(NOT_NEEDED.items())]
    return "\n".join([*lines, ""])


def api_page() -> str:
    """The routes of the server: who may ask them, what they take and give."""
    schema = schema_of(make_app(Settings(Path())))
    lines = [_MADE, "# The API", ""]
    lines += ["`burnish ui` serves it. Programs send a token, which `burnish tokens add NAME --scope SCOPE` makes, as"]
    lines += [
        "`Authorization: Bearer TOKEN`. The scope `run` includes `read`, and `admin` both. Errors are problem+json:"
    ]
    lines += [
        "`code` is one of [the codes](errors.md), `fix` is the next step. `python -m burnish.server.schema` prints the"
    ]
    lines += ["OpenAPI schema.", "", "| | scope | |", "| --- | --- | --- |"]
    for path, methods in sorted(schema["paths"].items()):
        for method, operation in sorted(methods.items()):
            said = (operation.get("description") or operation["summary"]).partition("\n")[0].replace("|", "\\|")
            lines.append(f"| `{method.upper()} {path}` | {operation['x-scope']} | {said} |")
    return "\n".join([*lines, ""])


def certificates_page() -> str:
    """The limits of a certificate for each kind of change."""
    lines = [_MADE, "# Limits of certificates", ""]
    lines += [
        "For each kind of change, what a child may differ by from its parent ([the guide](../guides/certificates.md))."
    ]
    lines += ["Divergences are in nats per token. Measured limits are of"]
    lines += ["[decision 52](../decisions/0052-limits-of-certificates-are-measured.md).", ""]
    columns = ("kl", "kl tail", "top-1", "perplexity", "near-tie", "weights", "status", "source")
    lines += [f"| change | {' | '.join(columns)} |", "| --- " * (len(columns) + 1) + "|"]
    for change, limits in LIMITS.items():
        weight = "–" if limits.weight is None else f"{limits.weight:.2g}"
        numbers = (limits.kl, limits.kl_tail, limits.top1, limits.perplexity, limits.near_tie)
        cells = [*(f"{number:.4g}" for number in numbers), weight, limits.status, limits.source]
        lines.append(f"| `{change}` | {' | '.join(cells)} |")
    lines += ["", "- **kl**: the mean KL divergence of the next token; **kl tail**: its 99.9th percentile over tokens."]
    lines += ["- **top-1**: the least share of tokens for which both find the same next token most likely."]
    lines += ["- **perplexity**: its relative change; the whole 95 % interval lies within plus or minus this."]
    lines += ["- **near-tie**: greedy answers may part where the parent's preference is no larger, in nats."]
    lines += [
        "- **weights**: the largest change of a weight relative to the parent's; –: they are stored in another form."
    ]
    return "\n".join([*lines, ""])


def commands_page() -> str:
    """One section for each command, with its arguments and options."""
    lines = [_MADE, "# Commands", ""]
    lines += ["`--workspace`, `--json` and `--debug` may stand anywhere on the line.", ""]
    for path, command in _walk(typer.main.get_command(app), "burnish"):
        name = path.removeprefix("burnish ")
        lines += [f"## burnish {name}", "", (command.help or "").strip().replace("\n\n", "\n"), ""]
        if name in stages():
            flag = _example_flag(name)
            lines += [f"Every field of [its settings](settings.md#{name}) is a flag: `{flag}`.", ""]
            register = "`--register NAME`, " if stages()[name].produces in KINDS else ""
            lines += [f"Also: `FILES…`, `--set KEY=VALUE`, {register}`--force`, `--dry-run`.", ""]
            continue
        rows = [_option(parameter) for parameter in command.params if parameter.name != "help"]
        if rows:
            lines += ["| | |", "| --- | --- |", *rows, ""]
    return "\n".join(lines)


def _walk(command: Any, path: str) -> Any:
    context = command.make_context(path, [], resilient_parsing=True) if hasattr(command, "list_commands") else None
    if context is None:
        yield path, command
        return
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        yield from _walk(found.command() if isinstance(found, StageEntry) else found, f"{path} {name}")


def _option(parameter: Any) -> str:
    names = ", ".join(parameter.opts) if parameter.param_type_name == "option" else parameter.name.upper()
    return f"| `{names}` | {getattr(parameter, 'help', '') or ''} |"


def _example_flag(name: str) -> str:
    field = next(iter(stages()[name].spec_type().__pydantic_fields__))
    return f"--{field.replace('_', '-')} …"


def settings_page() -> str:
    """One table for each stage's spec, and one for each spec within it."""
    lines = [_MADE, "# Settings", "", "Of each stage, as written in a recipe. *runtime* marks a setting that affects"]
    lines += ["where or how fast a step runs; it is no part of the step's fingerprint.", ""]
    lines += [
        "On the command line a setting is a flag with dashes and dots: `weight_decay` of `optimizer` in a recipe is"
    ]
    lines += ["`--optimizer.weight-decay` there.", ""]
    done: set[type[Spec]] = set()
    for row in stages().values():
        lines += [f"## {row.name}", "", (row.spec_type().__doc__ or "").strip(), ""]
        lines += [f"Produces: {row.produces}.{f' Needs: `burnish[{row.extra}]`.' if row.extra else ''}", ""]
        lines += _fields(row.spec_type())
        for inner in _within(row.spec_type()):
            if inner not in done:
                done.add(inner)
                lines += [f"### {_title(inner)}", "", (inner.__doc__ or "").strip(), "", *_fields(inner)]
    return "\n".join(lines)


def _fields(spec_type: type[Spec]) -> list[str]:
    lines = ["| setting | type | default | |", "| --- | --- | --- | --- |"]
    for name, info in spec_type.__pydantic_fields__.items():
        default = "required" if info.is_required() else _default(info.get_default(call_default_factory=True))
        marks = [mark for mark in marks_of(info) if isinstance(mark, Runtime)]
        note = " *runtime*" if marks else ""
        text = " ".join((info.description or "").split()).replace("|", "\\|")
        lines.append(f"| `{name}` | {_type(info.annotation, info.metadata)} | {default} | {text}{note} |")
    return [*lines, ""]


def _default(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, Spec):
        return f"[{_title(type(value))}](#{_title(type(value)).lower().replace(' ', '-')})"
    return f"`{flow(value)}`".replace("|", "\\|")


def _type(annotation: Any, metadata: Any = ()) -> str:
    if any(isinstance(mark, Takes) for mark in metadata):
        return "reference"
    if annotation is type(None):
        return "null"
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return _title(annotation) if issubclass(annotation, Spec) else annotation.__name__
    arguments = get_args(annotation)
    if get_origin(annotation) in (list, dict):
        inner = ", ".join(_type(argument) for argument in arguments)
        return f"{'list' if get_origin(annotation) is list else 'mapping'} of {inner}"
    if hasattr(annotation, "__metadata__"):
        return _type(arguments[0], annotation.__metadata__)
    if all(isinstance(argument, str) for argument in arguments):
        return " \\| ".join(f"`{argument}`" for argument in arguments)
    return " or ".join(_type(argument) if not isinstance(argument, str) else f"`{argument}`" for argument in arguments)


def _title(spec_type: type[Spec]) -> str:
    kind = spec_type.__pydantic_fields__.get("kind")
    name = get_args(kind.annotation)[0] if kind is not None and len(get_args(kind.annotation)) == 1 else None
    return f"kind {name}" if name else spec_type.__name__.removesuffix("Spec")


def _within(spec_type: type[Spec]) -> Any:
    for info in spec_type.__pydantic_fields__.values():
        for inner in _specs(info.annotation):
            yield inner
            yield from _within(inner)


def _specs(annotation: Any) -> Any:
    if isinstance(annotation, type) and get_origin(annotation) is None and issubclass(annotation, Spec):
        yield annotation
    for part in get_args(annotation):
        yield from _specs(part)


def errors_page() -> str:
    """Every code, with its exit status."""
    lines = [_MADE, "# Errors", "", "Each error prints `error:` (what happened, and where) and `hint:` (what to do)."]
    lines += ["The exit status tells the family; with `--json` the error is JSON on stderr.", ""]
    lines += ["| code | exit status | meaning |", "| --- | --- | --- |"]
    lines += [f"| `{code}` | {family_of(code).exit_status} | {text} |" for code, text in CODES.items()]
    return "\n".join([*lines, ""])


PAGES = {
    "commands.md": commands_page,
    "settings.md": settings_page,
    "errors.md": errors_page,
    "names.md": names_page,
    "certificates.md": certificates_page,
    "api.md": api_page,
    "environment.md": environment_page,
}
"""What makes each generated page."""

if __name__ == "__main__":
    for name, made in PAGES.items():
        (REFERENCE / name).write_text(made(), encoding="utf-8")
        print(f"wrote docs/reference/{name}")
