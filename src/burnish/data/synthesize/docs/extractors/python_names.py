"""The names by which a Python definition is imported: its module, or the package above it that re-exports it."""

import ast
import warnings
from collections.abc import Iterator

from burnish.data.synthesize.docs.project import Project, UnreadableError

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def parsed(text: str) -> ast.Module:
    """The syntax tree. UnreadableError for a syntax error, or code that is nested too deeply."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError):
        raise UnreadableError("syntax error") from None
    except (RecursionError, MemoryError):
        raise UnreadableError("nested too deeply") from None


def is_code(text: str) -> bool:
    """Whether it is Python that does something: at least one statement that parses."""
    try:
        return bool(parsed(text).body)
    except UnreadableError:
        return False


def module_of(file: str, files: frozenset[str]) -> str:
    """`json.decoder` for json/decoder.py: the folders above belong to it as far as they have an `__init__.py`."""
    *folders, name = file.split("/")
    parts = [] if name == "__init__.py" else [name.rpartition(".")[0]]
    while folders and "/".join([*folders, "__init__.py"]) in files:
        parts.insert(0, folders.pop())
    return ".".join(parts)


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module or class, those below `if` and `try` included."""
    for node in body:
        yield node
        if isinstance(node, ast.If):
            yield from statements([*node.body, *node.orelse])
        elif isinstance(node, ast.Try):
            handlers = [child for handler in node.handlers for child in handler.body]
            yield from statements([*node.body, *handlers, *node.orelse, *node.finalbody])


def exported(tree: ast.Module) -> set[str] | None:
    """The names in `__all__`, or None where the module has none that can be read."""
    found: set[str] | None = None
    for node in statements(tree.body):
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets = [node.target] if isinstance(node, ast.AnnAssign | ast.AugAssign) else targets
        value = node.value if any(map(_is_all, targets)) else None  # pyright: ignore
        if isinstance(value, ast.List | ast.Tuple):
            found = (found or set()) | {item.value for item in value.elts if _is_text(item)}  # pyright: ignore
    return found


def _is_all(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "__all__"


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def bindings(tree: ast.Module) -> dict[str, int]:
    """How often each name of a module is bound; "*" counts imports of everything."""
    found: dict[str, int] = {}
    for node in statements(tree.body):
        names: list[str] = []
        if isinstance(node, Definition):
            names = [node.name]
        elif isinstance(node, ast.Assign):
            names = [name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)]
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.asname or alias.name.partition(".")[0] for alias in node.names]
        elif isinstance(node, ast.Delete):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        for name in names:
            found[name] = found.get(name, 0) + 1
    return found


def public_name(module: str, name: str, project: Project) -> str:
    """The shortest name without a leading underscore in any part, through re-exports of packages; "" without one."""
    seen, waiting, found = set[str](), [module], list[str]()
    while waiting:
        at = waiting.pop()
        if at in seen:
            continue
        seen.add(at)
        if not any(part.startswith("_") for part in at.split(".")):
            found.append(f"{at}.{name}" if at else name)
        table = _reexports(project)
        waiting += [*table.get((at, name), ()), *table.get((at, "*"), ())]
    return min(found, key=lambda full: (full.count("."), full), default="")


def _reexports(project: Project) -> dict[tuple[str, str], list[str]]:
    """(module, name or *) → the modules that import it from there and stand above it, or replace a private one."""
    if "reexports" not in project.memory:
        table: dict[tuple[str, str], list[str]] = {}
        for file in sorted(project.files):
            if file.endswith(".py"):
                for source, name, is_renamed in _imports(file, project):
                    importer = module_of(file, project.files)
                    is_above = source.startswith(f"{importer}.")
                    is_face = name == "*" and source.startswith("_")  # collections.abc of _collections_abc
                    if (is_above or is_face) and not is_renamed:
                        table.setdefault((source, name), []).append(importer)
        project.memory["reexports"] = table
    return project.memory["reexports"]


def _imports(file: str, project: Project) -> Iterator[tuple[str, str, bool]]:
    """(module, name, whether it gets another name) of each `from module import name` of a file."""
    text = project.text(file)
    if "import *" not in text and not (file.endswith("__init__.py") and "import" in text):
        return
    try:
        tree = parsed(text)
    except UnreadableError:
        return
    package = module_of(file, project.files)
    if not file.endswith("__init__.py"):
        package = package.rpartition(".")[0]
    for node in statements(tree.body):
        if isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield module, alias.name, alias.asname not in (None, alias.name)
