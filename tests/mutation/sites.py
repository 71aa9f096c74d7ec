"""Where a source text can be changed: each `Mutation` is one span of bytes and what replaces it.

Messages, annotations, decorators, docstrings, logging and `if TYPE_CHECKING` are left alone: a wrong word in a message
is not a wrong result.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from mutation.swaps import (
    AUGMENTED,
    BINARY,
    BUILTIN_SWAPS,
    COMPARED,
    KEPT_KEYWORDS,
    KEYED_METHODS,
    QUIET_CALLS,
    QUIET_OWNERS,
    SWAPPED_NAMES,
    UNWRAPPED_METHODS,
    UNWRAPPED_NAMES,
    constant,
)

_TYPE_FACTORIES = {"TypeVar", "ParamSpec", "NewType", "cast", "overload", "TypeAliasType"}
_GENERIC = re.compile(r"^(dict|list|tuple|set|frozenset|type|[A-Z]\w*)$")


@dataclass(frozen=True)
class Mutation:
    """One change: bytes `start` to `end` of the source become `new`."""

    start: int
    end: int
    old: str
    new: str
    operator: str
    line: int
    function: str
    """The dotted name of the function or class around it; empty at the level of the module."""
    text: str
    """The line of the source that it begins in, stripped."""

    def applied(self, source: bytes) -> bytes:
        return source[: self.start] + self.new.encode() + source[self.end :]


def mutations(source: bytes) -> list[Mutation]:
    """All mutations of a module, in the order of the text."""
    finder = _Finder(source)
    finder.visit(ast.parse(source))
    return sorted(set(finder.found), key=lambda m: (m.start, m.end, m.new))


def is_another_program(source: bytes, mutation: Mutation) -> bool:
    """Whether the changed text compiles, to something else than the source."""
    try:
        tree = ast.parse(mutation.applied(source))
        compile(tree, "mutant", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return ast.dump(tree) != ast.dump(ast.parse(source))


class _Finder(ast.NodeVisitor):
    def __init__(self, source: bytes):
        self.source = source
        self.lines = source.splitlines()
        self.starts = [0]
        for line in source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.found: list[Mutation] = []
        self.scope: list[str] = []
        self.returns: list[ast.expr | None] = []

    # -- places

    def at(self, node: ast.AST) -> tuple[int, int]:
        start = self.starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
        return start, self.starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]

    def text(self, node: ast.AST) -> str:
        start, end = self.at(node)
        return self.source[start:end].decode()

    def add(self, start: int, end: int, new: str, operator: str) -> None:
        line = self.source.count(b"\n", 0, start) + 1
        old = self.source[start:end].decode()
        text = self.lines[line - 1].decode().strip()
        self.found.append(Mutation(start, end, old, new, operator, line, ".".join(self.scope), text))

    def replace(self, node: ast.AST, new: str, operator: str) -> None:
        self.add(*self.at(node), new, operator)

    def between(self, left: ast.AST, right: ast.AST, old: str, new: str, operator: str) -> None:
        """Replace the sign that stands between two operands."""
        start, end = self.at(left)[1], self.at(right)[0]
        words = old.split()
        pattern = r"\s+".join(re.escape(word) for word in words)
        if old[0].isalpha():
            pattern = rf"\b{pattern}\b"
        if found := re.search(pattern.encode(), self.source[start:end]):
            self.add(start + found.start(), start + found.end(), new, operator)

    # -- what is left alone

    def visit_Raise(self, node: ast.Raise) -> None:
        self.replace(node, "pass", "remove raise")

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        pass

    def visit_Assert(self, node: ast.Assert) -> None:
        pass

    def visit_Import(self, node: ast.Import) -> None:
        pass

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        pass

    def visit_arg(self, node: ast.arg) -> None:
        pass

    # -- definitions

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        if any(_name(base) in ("Protocol", "TypedDict") for base in node.bases):
            return
        self.scope.append(node.name)
        for statement in node.body:
            self.visit(statement)
        self.scope.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.scope.append(node.name)
        self.returns.append(node.returns)
        for default in (*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)):
            self.visit(default)
        for statement in node.body:
            self.visit(statement)
        self.returns.pop()
        self.scope.pop()

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.visit_FunctionDef(node)

    # -- statements

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None and _name(node.annotation) != "TypeAlias":
            self.visit(node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        names = {target.id for target in node.targets if isinstance(target, ast.Name)}
        if names & {"__all__", "__slots__", "_log", "log", "logger"} or _is_type(node.value):
            return
        if names & {child.id for child in ast.walk(node.value) if isinstance(child, ast.Name)} and self.returns:
            self.replace(node, "pass", "remove assignment")
        for target in node.targets:
            self.visit(target)
        self.visit(node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if _is_text(node.value):
            return
        sign, new = AUGMENTED.get(type(node.op), ("", ""))
        if new:
            self.between(node.target, node.value, sign, new, "arithmetic")
        self.replace(node, "pass", "remove statement")
        self.visit(node.target)
        self.visit(node.value)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Constant):
            return
        if isinstance(node.value, ast.Call):
            if _is_quiet(node.value):
                return
            self.replace(node, "pass", "remove call")
        self.visit(node.value)

    def visit_Continue(self, node: ast.Continue) -> None:
        self.replace(node, "break", "loop")

    def visit_Break(self, node: ast.Break) -> None:
        self.replace(node, "continue", "loop")

    def visit_Return(self, node: ast.Return) -> None:
        value = node.value
        if value is None:
            return
        is_constant = isinstance(value, ast.Constant)
        if not is_constant and (self._is_bool(value) or _name(self.returns[-1]) == "bool"):
            self.replace(value, f"not ({self.text(value)})", "return")
        elif not (is_constant and value.value in (None, True, False)):
            self.replace(value, "None", "return")
        self.visit(value)

    @staticmethod
    def _is_bool(value: ast.expr) -> bool:
        return isinstance(value, ast.Compare) or (isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.Not))

    def visit_If(self, node: ast.If) -> None:
        if _name(node.test) == "TYPE_CHECKING" or "__name__" in self.text(node.test):
            return
        self._negate(node.test)
        self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        self._negate(node.test)
        self.generic_visit(node)

    # -- expressions

    def visit_IfExp(self, node: ast.IfExp) -> None:
        if _is_text(node.body) and _is_text(node.orelse):
            return
        self._negate(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self._negate(test)
        self.generic_visit(node)

    def _negate(self, test: ast.expr) -> None:
        if isinstance(test, ast.Constant):
            return
        if not (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)):  # that one loses its `not`
            self.replace(test, f"not ({self.text(test)})", "condition")

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if _is_text(node.left) or _is_text(node.right) or _is_type(node):
            return
        if isinstance(node.op, ast.BitOr | ast.BitAnd):
            self.replace(node, f"({self.text(node.left)})", "operand")
        else:
            sign, new = BINARY.get(type(node.op), ("", ""))
            if new:
                self.between(node.left, node.right, sign, new, "arithmetic")
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        operands = [node.left, *node.comparators]
        for left, op, right in zip(operands, node.ops, operands[1:], strict=False):
            sign, new = COMPARED[type(op)]
            self.between(left, right, sign, new, "comparison")
        for operand in operands:
            for literal in operand.elts if isinstance(operand, ast.Tuple | ast.List | ast.Set) else [operand]:
                self._string(literal)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            self.between(left, right, old, new, "boolean")
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not | ast.USub | ast.Invert):
            self.replace(node, f"({self.text(node.operand)})", "unary")
        self.visit(node.operand)

    def visit_Constant(self, node: ast.Constant) -> None:
        if (new := constant(node.value)) is not None:
            self.replace(node, new, "constant")

    def _string(self, node: ast.expr | None) -> None:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            self.replace(node, repr(f"{node.value}~"), "string")

    def visit_Dict(self, node: ast.Dict) -> None:
        for key in node.keys:
            self._string(key)
        self.generic_visit(node)

    def visit_MatchValue(self, node: ast.MatchValue) -> None:
        self._string(node.value)
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if _is_type(node):
            return
        if isinstance(node.slice, ast.Slice):
            for bound in (node.slice.lower, node.slice.upper):
                if bound is not None and not isinstance(bound, ast.Constant):
                    self.replace(bound, "", "slice")
        self._string(node.slice)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if _is_quiet(node):
            return
        name, own = _name(node.func), isinstance(node.func, ast.Attribute)
        if own and name in KEYED_METHODS and node.args:
            self._string(node.args[0])
        if (new := SWAPPED_NAMES.get(name)) and (own or name in BUILTIN_SWAPS):
            end = self.at(node.func)[1]
            self.add(end - len(name.encode()), end, new, "call")
        if not own and name in UNWRAPPED_NAMES and len(node.args) == 1:
            self.replace(node, f"{UNWRAPPED_NAMES[name]}({self.text(node.args[0])})", "call")
        if own and name in UNWRAPPED_METHODS and not node.args and not node.keywords:
            self.replace(node, f"({self.text(node.func.value)})", "call")  # type: ignore[attr-defined]
        self._keywords(node)
        self.visit(node.func)
        for argument in node.args:
            self.visit(argument)
        for keyword in node.keywords:
            if keyword.arg != "strict" or name != "zip":
                self.visit(keyword.value)

    def _keywords(self, node: ast.Call) -> None:
        """A keyword whose argument is not passed on."""
        for keyword in node.keywords:
            value = keyword.value
            is_default = isinstance(value, ast.Constant) and value.value in (None, True, False)
            if keyword.arg is None or keyword.arg in KEPT_KEYWORDS or is_default or _is_text(value):
                continue
            start, end = self.at(keyword)
            comma = re.match(rb"\s*,", self.source[end:])
            self.add(start, end + (comma.end() if comma else 0), "", "keyword")


def _name(node: ast.AST | None) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return node.id if isinstance(node, ast.Name) else ""


def _is_text(node: ast.AST) -> bool:
    """A literal text, or texts put together."""
    if isinstance(node, ast.BinOp):
        return _is_text(node.left) or _is_text(node.right)
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _is_type(node: ast.AST) -> bool:
    """An expression that names a type, as far as its form says."""
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.BitOr) and all(_is_type(x) or _is_none(x) for x in (node.left, node.right))
    if isinstance(node, ast.Subscript):
        return bool(_GENERIC.match(_name(node.value))) and not _name(node.value).isupper()
    if isinstance(node, ast.Call):
        return _name(node.func) in _TYPE_FACTORIES and _name(node.func) != "cast"
    if isinstance(node, ast.Attribute | ast.Name):
        return bool(_GENERIC.match(_name(node))) and not _name(node).isupper()
    return False


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_quiet(node: ast.Call) -> bool:
    name = _name(node.func)
    owner = _name(node.func.value) if isinstance(node.func, ast.Attribute) else ""
    return name in QUIET_CALLS or name.endswith(("Error", "Warning")) or owner in QUIET_OWNERS


def statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """The statements inside functions, in the order of the text; docstrings are none."""
    for node in tree.body:
        yield from _inside(node, within=False)


def _inside(node: ast.AST, *, within: bool) -> Iterator[ast.stmt]:
    if within and isinstance(node, ast.stmt):
        yield node
    is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    for name in ("body", "orelse", "handlers", "finalbody", "cases"):
        children = getattr(node, name, None)
        if not isinstance(children, list):
            continue  # a lambda's body is an expression
        for place, child in enumerate(children):
            is_docstring = is_function and place == 0 and isinstance(child, ast.Expr)
            if not (is_docstring and isinstance(child.value, ast.Constant)):
                yield from _inside(child, within=within or (is_function and name == "body"))
