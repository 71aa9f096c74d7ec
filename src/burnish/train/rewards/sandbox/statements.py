"""Which statements of a text are tests; used where they are counted and where they run."""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DEFINITIONS = (*_FUNCTIONS, ast.ClassDef)
_MADE_BY = ("__init__", "__post_init__", "__call__")


@dataclass(frozen=True)
class Called:
    """Functions that run when they are called (`now`), and coroutines and generators, which something must run."""

    now: set[str]
    later: set[str]

    def runs(self, node: ast.AST) -> bool:
        """Whether a statement calls one of them, or hands one to what calls it."""
        return any(self._runs(inner) for inner in executed(node))

    def _runs(self, node: ast.AST) -> bool:
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in self.now:
                return True
            case ast.Call(args=args, keywords=keywords):
                return self._names([*args, *keywords])
            case ast.For(iter=given) | ast.AsyncFor(iter=given) | ast.Await(value=given):
                return self._names([given])
            case _:
                return False

    def _names(self, nodes: Iterable[ast.AST]) -> bool:
        inner = (one for node in nodes for one in ast.walk(node))
        return any(isinstance(one, ast.Name) and one.id in self.now | self.later for one in inner)


def tests_in(tree: ast.Module) -> list[ast.stmt]:
    """The statements at the top level that run an assert or a `raise`: themselves, or in a function that they call."""
    called = checking(tree)
    return [
        node
        for node in tree.body
        if not isinstance(node, _DEFINITIONS) and (any(map(_is_check, executed(node))) or called.runs(node))
    ]


def checking(tree: ast.Module) -> Called:
    """The text's own functions that run a check, by name: methods by theirs, a class by what it runs when called."""
    bodies = functions_of(tree)
    found = Called(set(), set())
    while True:
        more = {
            (name, is_lazy(node))
            for name, node in bodies
            if name not in found.now | found.later
            and any(_is_check(inner) for part in node.body for inner in executed(part))
            | any(found.runs(part) for part in node.body)
        }
        if not more:
            return found
        found.now.update(name for name, later in more if not later)
        found.later.update(name for name, later in more if later)


def functions_of(tree: ast.Module) -> list[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """All functions of a text, those in functions and classes too, with the names that run them."""
    found: list[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]] = []
    for node in ast.walk(tree):
        if isinstance(node, _FUNCTIONS):
            found.append((node.name, node))
        elif isinstance(node, ast.ClassDef):
            found += [(node.name, part) for part in node.body if isinstance(part, _FUNCTIONS) and part.name in _MADE_BY]
    return found


def is_lazy(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a call of a function runs none of it: a coroutine or a generator."""
    inner = (one for part in node.body for one in executed(part))
    return isinstance(node, ast.AsyncFunctionDef) or any(isinstance(one, ast.Yield | ast.YieldFrom) for one in inner)


def executed(node: ast.AST) -> Iterator[ast.AST]:
    """A statement and all in it that runs with it: not the bodies of functions and classes that it defines."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, (*_DEFINITIONS, ast.Lambda)):
            yield one
            waiting.extend(ast.iter_child_nodes(one))


def unbound_names(tree: ast.AST) -> set[str]:
    """The names that are used and bound nowhere in it."""
    used: set[str] = set()
    bound: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                used.add(name)
            case ast.Name(id=name) | ast.arg(arg=name):
                bound.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                bound.add(name)
            case ast.alias(name=name, asname=other):
                bound.add(other or name.partition(".")[0])
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                bound.add(name)
            case _:
                pass
    return used - bound


def _is_check(node: ast.AST) -> bool:
    """An assert, a raise, or `with pytest.raises(…)`."""
    if isinstance(node, ast.Assert | ast.Raise):
        return True
    match node:
        case ast.withitem(context_expr=ast.Call(func=ast.Attribute(attr="raises") | ast.Name(id="raises"))):
            return True
        case _:
            return False
