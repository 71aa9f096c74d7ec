"""Definitions of Python: functions, classes, methods and properties that are public and documented."""

import ast
from collections import Counter
from collections.abc import Iterator

from burnish.data.synthesize.docs.extractors import docstrings
from burnish.data.synthesize.docs.extractors.python_names import (
    Definition,
    bindings,
    exported,
    is_code,
    module_of,
    parsed,
    public_name,
    statements,
)
from burnish.data.synthesize.docs.extractors.python_signatures import (
    has_plain_call,
    header,
    parameters_of,
    returns_of,
    unparsed,
)
from burnish.data.synthesize.docs.items import Example, Item
from burnish.data.synthesize.docs.project import Project, UnreadableError

_LEFT_OUT_DECORATORS = ("overload", "setter", "deleter", "typing.overload")


def extract(text: str, file: str, project: Project) -> Iterator[Item]:
    """The public definitions with a docstring. UnreadableError for a file that does not parse."""
    try:
        yield from _items(parsed(text), text.split("\n"), file, project)
    except RecursionError:
        raise UnreadableError("nested too deeply") from None


def _items(tree: ast.Module, lines: list[str], file: str, project: Project) -> Iterator[Item]:
    module = module_of(file, project.files)
    public, bound = exported(tree), bindings(tree)
    seen: set[str] = set()
    for node in statements(tree.body):
        if not isinstance(node, Definition) or node.name in seen or _has(node, _LEFT_OUT_DECORATORS):
            continue
        full = "" if _is_private(node.name, public) else public_name(module, node.name, project)
        if not full:
            project.left_out["private"] += 1
            continue
        seen.add(node.name)
        is_exact = bound[node.name] == 1 and not bound.get("*")
        place = _Place(lines, file, full.rpartition(".")[0], project)
        yield from place.item(node, full, "class" if isinstance(node, ast.ClassDef) else "function", is_exact)
        if isinstance(node, ast.ClassDef):
            yield from _methods(node, full, is_exact, place)


def _methods(owner: ast.ClassDef, full: str, is_exact: bool, place: "_Place") -> Iterator[Item]:
    names = Counter(child.name for child in statements(owner.body) if isinstance(child, Definition))
    seen: set[str] = set()
    for child in statements(owner.body):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) or child.name in seen:
            continue
        if _has(child, _LEFT_OUT_DECORATORS):
            continue
        if child.name.startswith("_"):
            place.project.left_out["private"] += 1
            continue
        seen.add(child.name)
        kind = "property" if _has(child, ("property", "cached_property", "functools.cached_property")) else "method"
        yield from place.item(child, f"{full}.{child.name}", kind, is_exact and names[child.name] == 1, owner)


def _is_private(name: str, public: set[str] | None) -> bool:
    return name.startswith("_") if public is None else name not in public


def _has(node: Definition, names: tuple[str, ...]) -> bool:
    decorators = [decorator.func if isinstance(decorator, ast.Call) else decorator for decorator in node.decorator_list]
    return any(unparsed(decorator).endswith(names) for decorator in decorators)


class _Place:
    """Makes items of the definitions of one module."""

    def __init__(self, lines: list[str], file: str, module: str, project: Project):
        self.lines, self.file, self.module, self.project = lines, file, module, project

    def item(
        self, node: Definition, full: str, kind: str, is_exact: bool, owner: ast.ClassDef | None = None
    ) -> Iterator[Item]:
        doc = ast.get_docstring(node)
        if not doc or not doc.strip():
            self.project.left_out["no documentation"] += 1
            return
        found = docstrings.blocks(doc)
        summary = docstrings.summary(found)
        if "internal use only" in doc.lower():
            self.project.left_out["private"] += 1
            return
        if len(summary.split()) < 3:
            self.project.left_out["documentation of fewer than three words"] += 1
            return
        first = node.body[0].lineno
        body, head = self._body(node)
        yield Item(
            name=full,
            kind=kind,
            language="python",
            file=self.file,
            line=node.lineno,
            doc=docstrings.markdown(found),
            summary=summary,
            signature=header(node, self.lines),
            body=body,
            head=head,
            module=self.module,
            examples=tuple(self._examples(found, first, full)),
            parameters=parameters_of(node, docstrings.parameters(doc), self.lines, is_method=owner is not None),
            returns=returns_of(node),
            has_exact_signature=is_exact and has_plain_call(node),
        )

    def _examples(self, found: list[docstrings.Block], first: int, full: str) -> Iterator[Example]:
        """Blocks of code that parse and mention the name, doctests that only prose does not part are one."""
        short = full.rpartition(".")[2]
        for block in found:
            language = block.language in ("python", "py", "python3", "pycon", "ipython", "")
            if block.kind == "text" or not language:
                continue
            try:
                code = docstrings.script(block.text) if ">>>" in block.text else block.text
            except ValueError:
                code = ""
            if not code.strip() or not is_code(code):
                self.project.left_out["example that does not parse"] += 1
            elif short in code and (block.kind != "literal" or "(" in code):
                yield Example(code, self.file, first + block.line)

    def _body(self, node: Definition) -> tuple[str, str]:
        """The definition without its outer indentation, and its lines up to the docstring's end; "" for both if the
        code cannot be shifted."""
        start = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        doc = node.body[0]
        if len(node.body) < 2 or isinstance(node, ast.ClassDef) or doc.end_lineno is None or node.end_lineno is None:
            return "", ""
        if node.body[1].lineno <= doc.end_lineno:
            return "", ""
        indent = len(self.lines[start - 1]) - len(self.lines[start - 1].lstrip())
        lines = self.lines[start - 1 : node.end_lineno]
        if any(line[:indent].strip() for line in lines):  # a text of several lines that starts further left
            return "", ""
        shifted = [line[indent:].rstrip() for line in lines]
        body = "\n".join(shifted)
        return (body, "\n".join(shifted[: doc.end_lineno - start + 1])) if is_code(body) else ("", "")
