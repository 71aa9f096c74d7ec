"""A call with one certain fault, the error that Python raises for it, and the call without it.

Only calls of Python are made wrong: a keyword that the signature does not have, or a required argument that is
missing. The message is the interpreter's own for a function with these parameters and an empty body: nothing of the
source is run.
"""

import ast
import keyword
import platform
from collections.abc import Iterator
from contextlib import suppress
from random import Random
from typing import Any

from burnish.data.synthesize.docs.extractors.docstrings import fenced
from burnish.data.synthesize.docs.extractors.python_names import parsed
from burnish.data.synthesize.docs.items import Item, Parameter
from burnish.data.synthesize.docs.project import UnreadableError
from burnish.data.synthesize.docs.templates.draft import Draft, Wording, asked, joined, signature

_ASK = (
    "This call fails:\n\n{code}\n\n```text\n{error}\n```\n\nWhat is wrong?",
    "I get `{error}` from this code:\n\n{code}\n\nHow do I fix it?",
    "Why does this raise an error?\n\n{code}\n\nPython says: `{error}`",
)


def drafts(item: Item, wording: Wording) -> Iterator[Draft]:
    """One row, if a call of the item is bound by its signature alone and something can be wrong with it."""
    if item.language != "python" or not item.has_exact_signature or item.kind not in ("function", "method", "class"):
        return
    faults = [fault for fault in (_wrong_keyword(item, wording.random), _missing(item, wording.random)) if fault]
    if not faults:
        return
    code, fixed, why, error, described = wording.random.choice(faults)
    question = wording.one_of(_ASK, item).format(code=fenced(code, "python"), error=error)
    answer = joined(why, fenced(fixed, "python"), described, f"The signature:\n\n{signature(item)}")
    yield asked(question, answer, error=error, python=".".join(platform.python_version_tuple()[:2]))


Fault = tuple[str, str, str, str, str]


def _wrong_keyword(item: Item, random: Random) -> Fault | None:
    """A keyword with a slip in it, in a documented call or in one with the required arguments."""
    names = {parameter.name for parameter in item.parameters}
    if any(parameter.stars == "**" for parameter in item.parameters):
        return None
    documented = _documented(item)
    if documented is not None:
        fixed, call = documented
        given = [word.arg for word in call.keywords if word.arg is not None]
    else:
        optional = [p for p in item.parameters if p.is_keyword and not p.is_required and not p.stars]
        fixed, given = "", [parameter.name for parameter in optional]
    given = [name for name in given if len(name) > 2]
    if not given:
        return None
    name = random.choice(given)
    wrong = slip(name, names, random)
    if not wrong:
        return None
    if documented is not None:
        code = _renamed(*documented, name, wrong)
    else:
        required = [_argument(parameter) for parameter in _required(item)]
        fixed = _called(item, [*required, f"{name}={name}"])
        code = _called(item, [*required, f"{wrong}={name}"])
    error = raised(item, [None for p in _required(item) if p.is_positional], {
        **{p.name: None for p in _required(item) if not p.is_positional}, wrong: None
    })  # fmt: skip
    if code == "" or f"'{wrong}'" not in error or "unexpected keyword" not in error:
        return None
    parameter = next(p for p in item.parameters if p.name == name)
    described = f"`{name}`: {parameter.doc}" if parameter.doc else ""
    return code, fixed, f"`{item.name}` has no parameter `{wrong}`: it is called `{name}`.", error, described


def _missing(item: Item, random: Random) -> Fault | None:
    """A call without one of the required arguments."""
    required = _required(item)
    if not required:
        return None
    by_place = [parameter for parameter in required if parameter.is_positional]
    left_out = by_place[-1] if by_place else random.choice(required)
    kept = [parameter for parameter in required if parameter is not left_out]
    code = _called(item, [_argument(parameter) for parameter in kept])
    fixed = _called(item, [_argument(parameter) for parameter in required])
    places: list[Any] = [None for parameter in kept if parameter.is_positional]
    error = raised(item, places, {p.name: None for p in kept if not p.is_positional})
    if f"'{left_out.name}'" not in error or "missing 1 required" not in error:
        return None
    described = f"`{left_out.name}`: {left_out.doc}" if left_out.doc else ""
    how = "" if left_out.is_positional else ", which is given by keyword"
    return code, fixed, f"The required argument `{left_out.name}` of `{item.name}` is missing{how}.", error, described


def _required(item: Item) -> list[Parameter]:
    return [parameter for parameter in item.parameters if parameter.is_required]


def _argument(parameter: Parameter) -> str:
    return parameter.name if parameter.is_positional else f"{parameter.name}={parameter.name}"


def _called(item: Item, arguments: list[str]) -> str:
    """A call with variables; a method is called on a variable named after its class."""
    target = item.name
    if item.kind == "method" and not item.signature.startswith(("@classmethod", "@staticmethod")):
        owner, _, method = item.name.rpartition(".")
        target = f"{_variable(owner.rpartition('.')[2])}.{method}"
    call = f"{target}({', '.join(arguments)})"
    return f"await {call}" if "async def" in item.signature.split("(")[0] else call


def _variable(name: str) -> str:
    """`json_encoder` for JSONEncoder."""
    letters = [
        f"_{letter}"
        if at and letter.isupper() and (not name[at - 1].isupper() or name[at + 1 : at + 2].islower())
        else letter
        for at, letter in enumerate(name)
    ]
    lowered = "".join(letters).lower().lstrip("_").replace("__", "_")
    return f"{lowered}_" if keyword.iskeyword(lowered) else lowered


def _documented(item: Item) -> tuple[str, ast.Call] | None:
    """An example whose call of the item has keywords, all of them in the signature, with that call."""
    if item.kind == "method":
        return None
    for example in item.examples:
        with suppress(UnreadableError, RecursionError):
            if (call := _call_in(example.code, item)) is not None:
                return example.code, call
    return None


def _call_in(code: str, item: Item) -> ast.Call | None:
    names = {parameter.name for parameter in item.parameters if parameter.is_keyword}
    for node in ast.walk(parsed(code)):
        if not isinstance(node, ast.Call) or not node.keywords or ast.unparse(node.func) not in (item.name, item.short):
            continue
        if all(word.arg in names for word in node.keywords):
            return node
    return None


def _renamed(code: str, call: ast.Call, name: str, wrong: str) -> str:
    """The code with one keyword of one call replaced; "" where its place is not certain."""
    word = next(word for word in call.keywords if word.arg == name)
    lines = code.split("\n")
    line = lines[word.lineno - 1].encode()
    if not line[word.col_offset :].decode().startswith(name):
        return ""
    changed = line[: word.col_offset] + wrong.encode() + line[word.col_offset + len(name.encode()) :]
    lines[word.lineno - 1] = changed.decode()
    return "\n".join(lines)


def slip(name: str, names: set[str], random: Random) -> str:
    """A name with one slip of a typist that is no other name; "" if there is none."""
    found: list[str] = [name[:at] + name[at + 1 :] for at in range(1, len(name))]
    found += [name[:at] + name[at + 1] + name[at] + name[at + 2 :] for at in range(len(name) - 1)]
    found += [name.replace("_", ""), name.removesuffix("s"), f"{name}s"]
    fitting = [word for word in found if word not in names and word.isidentifier() and not keyword.iskeyword(word)]
    fitting = [word for word in fitting if word != name and len(word) > 1]
    return random.choice(fitting) if fitting else ""


def raised(item: Item, places: list[Any], words: dict[str, Any]) -> str:
    """`TypeError: …` of a call of a function with the item's parameters and nothing in it; "" if there is none."""
    names = [parameter.name for parameter in item.parameters]
    if not all(name.isidentifier() and not keyword.iskeyword(name) for name in [*names, *words, item.short]):
        return ""
    parts = item.name.split(".")
    owner = item.short if item.kind == "class" else parts[-2] if item.kind == "method" else ""
    function = "__init__" if item.kind == "class" else item.short
    is_static = item.signature.startswith("@staticmethod")
    first = ["_self_"] if owner and not is_static else []
    line = f"def {function}({', '.join([*first, *_stub(item.parameters)])}): pass"
    source = f"class {owner}:\n    {line}" if owner else line
    space: dict[str, Any] = {}
    try:
        exec(
            compile(source, "<stub>", "exec"),
            {"__builtins__": {"__build_class__": __build_class__}, "__name__": "stub"},
            space,
        )
        stub = getattr(space[owner], function) if owner else space[function]
        stub(*([None] if first else []), *places, **words)
    except TypeError as error:
        return f"TypeError: {error}"
    except SyntaxError:
        return ""
    return ""


def _stub(parameters: tuple[Parameter, ...]) -> list[str]:
    """The parameters as they are declared, with None for every default."""
    found: list[str] = []
    is_bare = False
    for number, parameter in enumerate(parameters):
        if not parameter.is_positional and not parameter.stars and not is_bare:
            is_bare = True
            if not any(other.stars == "*" for other in parameters[:number]):
                found.append("*")
        default = "" if parameter.is_required or parameter.stars else "=None"
        found.append(f"{parameter.stars}{parameter.name}{default}")
        following = parameters[number + 1] if number + 1 < len(parameters) else None
        is_last = parameter.is_positional and not parameter.is_keyword and not parameter.stars
        if is_last and (following is None or following.is_keyword or following.stars):
            found.append("/")
    return found
