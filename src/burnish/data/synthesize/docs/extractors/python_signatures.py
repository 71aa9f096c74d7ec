"""Signatures of Python definitions, from their syntax alone."""

import ast

from burnish.data.synthesize.docs.items import Parameter

_WIDTH = 88
_SHORT, _MOST_FIELDS = 60, 25
_KEPT_DECORATORS = ("staticmethod", "classmethod", "property", "abstractmethod", "abc.abstractmethod", "final")


def unparsed(node: ast.expr) -> str:
    return ast.unparse(node)


def header(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, lines: list[str]) -> str:
    """The definition without its body, as a stub: `def dumps(obj, *, skipkeys=False): ...`. `lines` are the file's."""
    if isinstance(node, ast.ClassDef):
        bases = [*map(unparsed, node.bases), *(f"{word.arg}={unparsed(word.value)}" for word in node.keywords)]
        start = _constructor(node)
        fields = _fields(node, lines) if start is None else []
        if start is None and not bases and not fields:
            return ""
        inner = header(start, lines) if start is not None else "\n".join(fields) or "..."
        made = [f"@{name}\n" for name in map(unparsed, node.decorator_list) if "dataclass" in name]
        named = f"({', '.join(bases)})" if bases else ""
        return f"{''.join(made)}class {node.name}{named}:\n{_indented(inner)}"
    decorators = [f"@{name}" for name in map(unparsed, node.decorator_list) if name in _KEPT_DECORATORS]
    word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    returns = f" -> {unparsed(node.returns)}" if node.returns else ""
    line = f"{word} {node.name}({', '.join(_arguments(node.args, lines))}){returns}: ..."
    if len(line) > _WIDTH:
        inside = "".join(f"    {argument},\n" for argument in _arguments(node.args, lines))
        if node.args.kwarg is not None:  # a comma may not follow it in older Pythons
            inside = inside.removesuffix(",\n") + "\n"
        line = f"{word} {node.name}(\n{inside}){returns}: ..."
    return "\n".join([*decorators, line])


def _fields(node: ast.ClassDef, lines: list[str]) -> list[str]:
    """The annotated attributes of a class, with short values."""
    found: list[str] = []
    for child in node.body:
        if isinstance(child, ast.AnnAssign) and isinstance(child.target, ast.Name) and child.target.id[0] != "_":
            value = f" = {written(child.value, lines)}" if child.value is not None else ""
            value = value if len(value) <= _SHORT else " = ..."
            found.append(f"{child.target.id}: {written(child.annotation, lines)}{value}")
    return found if len(found) <= _MOST_FIELDS else []


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.split("\n"))


def _constructor(node: ast.ClassDef) -> ast.FunctionDef | None:
    found = [child for child in node.body if isinstance(child, ast.FunctionDef) and child.name == "__init__"]
    return found[0] if len(found) == 1 else None


def _arguments(arguments: ast.arguments, lines: list[str]) -> list[str]:
    """Each argument as it is written, with the bare `/` and `*`."""
    placed = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(placed) - len(arguments.defaults))
    defaults += arguments.defaults
    found = [_argument(*pair, lines) for pair in zip(placed, defaults, strict=True)]
    if arguments.posonlyargs:
        found.insert(len(arguments.posonlyargs), "/")
    if arguments.vararg is not None:
        found.append(f"*{_argument(arguments.vararg, None, lines)}")
    elif arguments.kwonlyargs:
        found.append("*")
    found += [_argument(*pair, lines) for pair in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    if arguments.kwarg is not None:
        found.append(f"**{_argument(arguments.kwarg, None, lines)}")
    return found


def _argument(argument: ast.arg, default: ast.expr | None, lines: list[str]) -> str:
    kind = f": {written(argument.annotation, lines)}" if argument.annotation else ""
    if default is None:
        return f"{argument.arg}{kind}"
    text = written(default, lines)
    return f"{argument.arg}{kind} = {text}" if kind else f"{argument.arg}={text}"


def written(node: ast.expr, lines: list[str]) -> str:
    """An expression as its author wrote it, such as 0o666, if it stands on one line."""
    if node.lineno != node.end_lineno:
        return unparsed(node)
    return lines[node.lineno - 1].encode()[node.col_offset : node.end_col_offset].decode()


def parameters_of(
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef,
    docs: dict[str, str],
    lines: list[str],
    *,
    is_method: bool,
) -> tuple[Parameter, ...]:
    """The parameters of a call; a class has those of its `__init__`."""
    if isinstance(node, ast.ClassDef):
        start = _constructor(node)
        if start is None:
            return ()
        own = ast.get_docstring(start)
        from burnish.data.synthesize.docs.extractors.docstrings import parameters

        return parameters_of(start, {**(parameters(own) if own else {}), **docs}, lines, is_method=True)
    arguments = node.args
    placed = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(placed) - len(arguments.defaults))
    defaults += arguments.defaults
    found: list[Parameter] = []
    for number, (argument, default) in enumerate(zip(placed, defaults, strict=True)):
        by_name = number >= len(arguments.posonlyargs)
        found.append(_parameter(argument, default, docs, lines, is_keyword=by_name, is_positional=True))
    if is_method and not any(unparsed(decorator) == "staticmethod" for decorator in node.decorator_list):
        found = found[1:]
    if arguments.vararg is not None:
        found.append(_parameter(arguments.vararg, None, docs, lines, is_keyword=False, is_positional=True, stars="*"))
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        found.append(_parameter(argument, default, docs, lines, is_keyword=True, is_positional=False))
    if arguments.kwarg is not None:
        found.append(_parameter(arguments.kwarg, None, docs, lines, is_keyword=True, is_positional=False, stars="**"))
    return tuple(found)


def _parameter(
    argument: ast.arg,
    default: ast.expr | None,
    docs: dict[str, str],
    lines: list[str],
    *,
    is_keyword: bool,
    is_positional: bool,
    stars: str = "",
) -> Parameter:
    return Parameter(
        name=argument.arg,
        is_required=default is None and not stars,
        is_keyword=is_keyword,
        is_positional=is_positional,
        annotation=written(argument.annotation, lines) if argument.annotation else "",
        default=written(default, lines) if default is not None else "",
        doc=docs.get(argument.arg, ""),
        stars=stars,
    )


def returns_of(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> str:
    """The annotation of what a call returns; "" without one, or with a decorator that may return something else."""
    if isinstance(node, ast.ClassDef) or node.returns is None:
        return ""
    is_plain = all(unparsed(decorator) in _KEPT_DECORATORS for decorator in node.decorator_list)
    return unparsed(node.returns) if is_plain else ""


def has_plain_call(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    """Whether a call binds exactly these parameters: no decorator, base class or metaclass has a say in it."""
    if not isinstance(node, ast.ClassDef):
        return all(unparsed(decorator) in ("staticmethod", "classmethod") for decorator in node.decorator_list)
    has_new = any(isinstance(child, ast.FunctionDef) and child.name == "__new__" for child in node.body)
    bases = [base for base in node.bases if unparsed(base) != "object"]
    start = _constructor(node)
    return (
        not (has_new or bases or node.keywords or node.decorator_list) and start is not None and has_plain_call(start)
    )
