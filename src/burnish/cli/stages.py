"""A command for each stage, built from its spec: every field is a flag, and files and `--set` work as for recipes.

burnish sft config.yaml --learning-rate 1e-4 --method.rank 8 --set schedule.kind=linear
"""

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from typer.exceptions import TyperException

from burnish.cli import completion
from burnish.cli.command import Command, split_at_dashes
from burnish.cli.render import Output, plain
from burnish.core.catalog import Stage
from burnish.core.errors import AskError
from burnish.core.paths import expanded, is_windows_path, of_reference, resolved
from burnish.core.recipes.flow import flow
from burnish.core.recipes.validation import suggestion
from burnish.core.recipes.yaml import parse_yaml
from burnish.core.registry.names import KINDS
from burnish.specs.base import SCHEMES, Operands, Spec, Takes, Trailing, choices_of, marks_of, takes_list_of_plain

_SETTINGS = (".yaml", ".yml")
_AFTER = "burnish.after-dashes"
_WIDEST = 24
"""Characters of choices that stand in place of VALUE."""
_DATA_SUFFIXES = (".json", ".jsonl", ".csv", ".tsv", ".parquet", ".arrow", ".gz", ".zst", ".txt", ".md", ".yaml")


def stage_command(stage: Stage) -> Any:
    """The command of a stage."""
    app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
    name, spec_type = stage.name, stage.spec_type()
    flags: dict[str, tuple[Any, str, str]] = {}
    operands = _operands(spec_type)
    for path, flag in _flags(spec_type):
        flags.setdefault(path, flag)  # variants that share a field share the flag

    def command(ctx: typer.Context, **given: Any) -> None:
        from burnish.core.recipes.recipe import merged, nested, parse_setting

        words = given["words"] or []
        files = [word for word in words if operands is None or word.endswith(_SETTINGS)]
        values = {path: _parsed(path, text, flags) for path, text in _given(given, flags)}
        if operands is not None and len(files) < len(words):
            others = [word for word in words if not word.endswith(_SETTINGS)]
            values[operands[0]] = _as_operands(others, *operands, values.get(operands[0]))
        if after := ctx.meta.get(_AFTER):
            field = _trailing(spec_type)
            if field in values:
                raise AskError("ask.wrong-value", f"{field} is given twice", f"use {_flag(field)} or words after --")
            values[field] = after
        settings: dict[str, Any] = {}
        for path, value in values.items():
            settings = merged(settings, nested(tuple(path.split(".")), value))
        if given.get("register") is not None:
            settings["register"] = given["register"]
        for setting in given["set"] or ():
            settings = merged(settings, nested(*parse_setting(setting)))
        run_stage(ctx.obj, name, settings, files=files, force=given["force"], dry_run=given["dry_run"])

    command.__doc__ = (spec_type.__doc__ or name).strip()
    parameters = _parameters(name, flags, operands)
    if stage.produces in KINDS:
        parameters.append(_registration())
    command.__signature__ = inspect.Signature(parameters)
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    app.command(name, cls=_command_class(spec_type))(command)
    return typer.main.get_command(app)


def _command_class(spec_type: type[Spec]) -> type[Command]:
    """The class of a stage's command: for an unknown option it suggests the flag of the same setting."""

    class StageCommand(Command):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            if _trailing(spec_type):
                args, ctx.meta[_AFTER] = split_at_dashes(args)
            try:
                return super().parse_args(ctx, args)
            except TyperException as error:
                option: Any = getattr(error, "option_name", None)
                if not isinstance(option, str) or not option.startswith("--") or ctx.resilient_parsing:
                    raise
                hint = suggestion(spec_type, (option.removeprefix("--").replace("-", "_"),))
                if hint.startswith(("known names", "did you mean")):
                    raise
                if hint.startswith(("burnish calls it ", "it is ")) and "another stage" not in hint:
                    names = r"(calls it |^it is |(?<=\w) or (?=\w+\.))([\w.]+)"
                    hint = re.sub(names, lambda found: found[1] + _flag(found[2]), hint)
                what, help_text = f"there is no option {option}", f"see `burnish {self.name} --help`"
                raise AskError("ask.unknown-key", what, f"{hint}; {help_text}") from error

    return StageCommand


def run_stage(
    output: Output,
    name: str,
    settings: Mapping[str, Any],
    *,
    files: Sequence[str] = (),
    force: bool = False,
    dry_run: bool = False,
) -> Any:
    """Run one stage and print what it does; returns its `Result`, or None after a dry run."""
    from burnish.cli.progress import TerminalWatcher
    from burnish.core.runs.workspace import Workspace
    from burnish.studio.planning import plan as make_plan
    from burnish.studio.planning import stage_recipe
    from burnish.studio.running import execute

    try:
        recipe = stage_recipe(name, files, (), settings)
    except AskError as error:
        raise AskError(error.code, error.what, _in_flags(error.fix, name)) from error
    plan = make_plan(recipe, workspace=output.workspace, force=("*",) if force else ())
    if dry_run:
        return output.print_json(plan.as_dict()) if output.json else _print_plan(output, plan)
    watcher = None if output.json else TerminalWatcher(output.console)
    result = execute(plan, Workspace.find(output.workspace), watcher)
    if watcher is None:
        output.print_json(result.as_dict())
    else:
        watcher.print_summary(result)
    return result


def _in_flags(fix: str, name: str) -> str:
    """Name the flag in a hint that names a key of a file."""
    hint = re.sub(r"add ([\w.]+): …", lambda key: f"add {_flag(key[1])} …", fix)
    if hint == fix:
        return hint
    separator = "\n" if "\n" in hint else "; "
    return f"{hint}{separator}see `burnish {name} --help`"


def _flag(path: str) -> str:
    return f"--{path.replace('_', '-')}"


def _print_plan(output: Output, plan: Any) -> None:
    for warning in plan.warnings:
        output.warn(warning)
    output.table("", ("step", "action", "reason"), [(s.step.name, s.action, s.reason) for s in plan.steps])
    for note in plan.notes:
        output.console.print(plain(note), markup=False)


def _flags(spec_type: type[Spec], prefix: str = "") -> Iterator[tuple[str, tuple[Any, str, str]]]:
    """(dotted path, (annotation, default as text, help)) per field; nested fields become `--method.rank`."""
    for name, info in spec_type.__pydantic_fields__.items():
        path = f"{prefix}{name}"
        inner = list(_specs(info.annotation))
        is_list = get_origin(info.annotation) in (list, dict)
        if inner and not is_list:
            if bool in get_args(info.annotation):  # true: with the defaults
                yield path, (info, _shown(info), info.description or "")
            if len(inner) > 1:
                yield f"{path}.kind", (str, "", f"{info.description or ''} One of {', '.join(map(_kind, inner))}.")
            for kind in inner:
                for key, (annotation, default, text) in _flags(kind, f"{path}."):
                    if key != f"{path}.kind" or len(inner) == 1:
                        yield key, (annotation, default, f"{text} ({_kind(kind)})" if len(inner) > 1 else text)
        else:
            marks = [m for m in marks_of(info) if isinstance(m, Takes | Operands)]
            several = " Several: '[A, B]'." if takes_list_of_plain(info.annotation) else ""
            yield path, (info, _shown(info), ("[reference] " if marks else "") + (info.description or "") + several)


def _specs(annotation: Any) -> Iterator[type[Spec]]:
    if isinstance(annotation, type) and get_origin(annotation) is None and issubclass(annotation, Spec):
        yield annotation
    for part in get_args(annotation):
        if get_origin(annotation) not in (list, dict):
            yield from _specs(part)


def _kind(spec_type: type[Spec]) -> str:
    return get_args(spec_type.__pydantic_fields__["kind"].annotation)[0]


def _shown(info: Any) -> str:
    if info.is_required():
        return "required"
    default = info.get_default(call_default_factory=True)
    return "" if default is None or isinstance(default, Spec) or default in ([], {}) else flow(default)


def _operands(spec_type: type[Spec]) -> tuple[str, Operands] | None:
    """The field that takes words that are no files of settings, and its mark: a marked one, or else `model`."""
    marked = (
        (name, mark)
        for name, info in spec_type.__pydantic_fields__.items()
        for mark in info.metadata
        if isinstance(mark, Operands)
    )
    model = spec_type.__pydantic_fields__.get("model")
    takes_a_model = model is not None and any(isinstance(mark, Takes) for mark in marks_of(model))
    return next(marked, ("model", Operands(one=True)) if takes_a_model else None)


def _trailing(spec_type: type[Spec]) -> str:
    """The field that takes the words after `--`; "" if none does."""
    fields = spec_type.__pydantic_fields__.items()
    return next((name for name, info in fields if any(isinstance(mark, Trailing) for mark in info.metadata)), "")


def _as_operands(words: list[str], field: str, mark: Operands, flagged: Any) -> Any:
    """The value of a field from the words of a command: a list, or a mapping with what its flag has."""
    if mark.one:
        if len(words) > 1 or flagged is not None:
            raise AskError("ask.wrong-value", f"{field} is given twice", f"name one {field}, with or without the flag")
        return as_reference(words[0])
    if mark.named is None:
        return [as_reference(word) for word in words]
    found: dict[str, str] = dict(flagged or {})
    for word in words:
        key, value = mark.named(word)
        if key in found:
            fix = f"write NAME={value} with another name"
            raise AskError("ask.wrong-value", f"{field}: '{key}' is given twice", fix)
        found[key] = as_reference(value)
    return found


def _parameters(
    name: str, flags: dict[str, tuple[Any, str, str]], operands: tuple[str, Operands] | None
) -> list[inspect.Parameter]:
    kind = inspect.Parameter.KEYWORD_ONLY
    words = "Files with settings, later ones override earlier ones."
    if operands is not None:
        what = "a reference" if operands[1].one else "references, or NAME=REFERENCE"
        words = f"The {operands[0]}: {what}. {words}"
    made = [
        inspect.Parameter("ctx", kind, annotation=typer.Context),
        inspect.Parameter(
            "words",
            kind,
            default=None,
            annotation=Annotated[
                list[str] | None,
                typer.Argument(help=words, metavar="[FILES]...", autocompletion=completion.files),
            ],
        ),
    ]
    for path, (info, default, text) in flags.items():
        complete, pairs = completion.references if "[reference]" in text else None, _takes_pairs(info)
        choices = () if info is str else choices_of(info.annotation)
        few = "|".join(choices)
        metavar = "NAME=VALUE" if pairs else few if 0 < len(few) <= _WIDEST else "VALUE"
        if few and metavar == "VALUE":
            text = f"{text} One of {', '.join(choices)}."
        shown = f"{text} [{default}]" if default else text
        option = typer.Option(_flag(path), help=shown, metavar=metavar, show_default=False, autocompletion=complete)
        takes: Any = list[str] | None if pairs else str | None
        made.append(inspect.Parameter(_identifier(path), kind, default=None, annotation=Annotated[takes, option]))
    for field, flag, text in (
        ("force", "--force", "Rerun even if the result exists."),
        ("dry_run", "--dry-run", "Show the plan, run nothing."),
    ):
        made.append(
            inspect.Parameter(field, kind, default=False, annotation=Annotated[bool, typer.Option(flag, help=text)])
        )
    option = typer.Option(
        "--set",
        help="key=value; repeatable.",
        metavar="KEY=VALUE",
        autocompletion=completion.settings_of(name),
    )
    made.append(inspect.Parameter("set", kind, default=None, annotation=Annotated[list[str] | None, option]))
    return made


def _registration() -> inspect.Parameter:
    """The flag of a stage whose result the registry holds."""
    text = "Register the result under this name, as its next version."
    option = typer.Option("--register", help=text, metavar="NAME", autocompletion=completion.entries)
    annotation = Annotated[str | None, option]
    return inspect.Parameter("register", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _identifier(path: str) -> str:
    return f"flag_{path.replace('.', '__')}"


def _given(given: dict[str, Any], flags: dict[str, Any]) -> Iterator[tuple[str, str | list[str]]]:
    for path in flags:
        text = given.get(_identifier(path))
        if text is not None and text != []:
            yield path, text


def _takes_pairs(info: Any) -> bool:
    """Whether a field is a mapping: its flag is `--regressions NAME=VALUE`, repeatable, or a mapping in YAML."""
    return info is not str and get_origin(info.annotation) is dict


def _pairs(path: str, texts: list[str], *, of_references: bool) -> dict[str, Any]:
    """The mapping of a repeated `NAME=VALUE`. AskError `ask.wrong-value` for another form, or a name given twice."""
    found: dict[str, Any] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if text.lstrip().startswith("{"):
            given = parse_yaml(text.encode(), _flag(path)).value
        elif sign and name.strip() and value.strip():
            given = {name.strip(): value if of_references else parse_yaml(value.encode(), _flag(path)).value}
        else:
            raise AskError("ask.wrong-value", f"{_flag(path)} {text}: expected NAME=VALUE", "write NAME=VALUE")
        for key, member in given.items():
            if key in found:
                raise AskError("ask.wrong-value", f"{_flag(path)}: '{key}' is given twice", "keep one of them")
            found[key] = as_reference(member) if of_references and isinstance(member, str) else member
    return found


def _parsed(path: str, text: str | list[str], flags: dict[str, Any]) -> Any:
    """The value of a flag: references and words as they are, anything else parsed as YAML."""
    info = flags[path][0]
    if isinstance(text, list):
        return _pairs(path, text, of_references="[reference]" in flags[path][2])
    if info is str or _takes_words_only(info.annotation):
        return as_reference(text) if "[reference]" in flags[path][2] else text
    value = parse_yaml(text.encode(), _flag(path)).value
    return as_reference(value) if isinstance(value, str) and "[reference]" in flags[path][2] else value


def _takes_words_only(annotation: Any) -> bool:
    parts = [part for part in get_args(annotation) if part is not type(None)]
    if get_origin(annotation) is Literal:
        return all(isinstance(part, str) for part in parts)
    if get_origin(annotation) is Annotated:
        return _takes_words_only(parts[0])
    if get_origin(annotation) in (list, dict):
        return False
    return annotation is str or (bool(parts) and all(_takes_words_only(part) for part in parts))


def as_reference(text: str) -> str:
    """A reference from the command line: paths, relative to the current folder, become `file:` references."""
    if is_windows_path(text):
        return f"file:{resolved(expanded(text))}"
    scheme, colon, rest = text.partition(":")
    if rest.startswith("//") and scheme != "file":  # the address of an endpoint
        return text
    path = of_reference(rest) if colon and scheme == "file" else expanded(text)
    looks_like_a_path = path.exists() or text.startswith((".", "/", "~")) or path.suffix in _DATA_SUFFIXES
    if (scheme == "file" and colon) or (scheme not in SCHEMES and looks_like_a_path):
        return f"file:{resolved(path)}"
    return text
