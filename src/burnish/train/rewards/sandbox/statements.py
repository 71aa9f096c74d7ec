"""Which statements of a text are tests; used where they are counted and where they run."""

import ast

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_COMPOUND = (ast.For, ast.While, ast.If, ast.With, ast.Try, ast.Match)


def tests_in(tree: ast.Module) -> list[ast.stmt]:
    """The asserts at the top level, the compound statements that contain one or a `raise`, and the calls of the text's
    own functions that do."""
    checking = {node.name for node in tree.body if isinstance(node, _DEFINITIONS) and contains_check(node)}
    return [node for node in tree.body if _is_test(node, checking)]


def contains_check(node: ast.AST) -> bool:
    """Whether there is an assert or a raise in it."""
    return any(isinstance(inner, ast.Assert | ast.Raise) for inner in ast.walk(node))


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


def _is_test(node: ast.stmt, checking: set[str]) -> bool:
    if isinstance(node, ast.Assert):
        return True
    if isinstance(node, _COMPOUND):
        return contains_check(node)
    match node:
        case ast.Expr(value=ast.Call(func=ast.Name(id=name))):
            return name in checking
        case _:
            return False
