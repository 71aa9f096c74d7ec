"""The table of variables is complete: each that the code reads is in it, or is no setting for a reason given here."""

import ast
import re
from functools import cache
from pathlib import Path

from burnish.studio.settings.environment import NOTE
from burnish.studio.settings.variables import for_workers, variables

ROOT = Path(__file__).parents[2]
NO_SETTINGS = {
    "BURNISH_WORKSPACE": "it says where the workspace is, in which the file lies",
    "_BURNISH_COMPLETE": "of the shell that completes a command",
    "PWD": "of the shell",
    "LD_LIBRARY_PATH": "it steers which code other programs run",
    "CC": "the program that is run to compile: not of a file of the workspace",
    "XDG_CACHE_HOME": "of the user's desktop, not of a workspace",
    "GLIBC_TUNABLES": "read when a process starts",
    "DOCKER_HOST": "of the docker command, before a workspace is known",
    "WSLENV": "of Windows",
    "WSL_DISTRO_NAME": "of Windows",
    "SOURCE_DATE_EPOCH": "of a build, not of a workspace",
    **dict.fromkeys(("RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE"), "set by what starts the processes of a step"),
    "BURNISH_MEETING": "set by what starts the processes of a step: a file of the run",
    "DISABLE_MULTIPROC": "set for a library while it is called",
    "MLFLOW_DISABLE_TELEMETRY": "a default that burnish sets",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "a default that burnish sets",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "a default that burnish sets",
    "MLFLOW_ALLOW_FILE_STORE": "a default that burnish sets",
    "WANDB_CONSOLE": "a default that burnish sets",
    "WANDB_FINISH_TIMEOUT": "a default that burnish sets",
    "WANDB_FINISH_TIMEOUT_RAISES": "a default that burnish sets",
    "WANDB_INIT_TIMEOUT": "a default that burnish sets",
    "HF_HUB_DISABLE_XET": "a default that burnish sets",
    "BURNISH_RAY_PYTHON": "the program that is run on a cluster: not of a file of the workspace",
    "BURNISH_PLAYGROUND_KEY": "a key that a process makes for itself",
    "GGML_NO_BACKTRACE": "a default that burnish sets",
    "GOMP_SPINCOUNT": "a default that burnish sets",
    "PYTORCH_CUDA_ALLOC_CONF": "the older name of PYTORCH_ALLOC_CONF",
    NOTE: "burnish's own note of what came from the file",
}
_NAME = re.compile(r"_?[A-Z][A-Z0-9_]+")


def is_environment(node):
    """Whether an expression is `os.environ`, or a mapping that is named environment."""
    text = ast.unparse(node)
    return text in ("os.environ", "environ") or text.endswith("environment")


def names_in(node, constants):
    """The names of variables that an expression gives: a text, a constant of the module, or several of them."""
    if isinstance(node, ast.Constant):
        return {node.value} if isinstance(node.value, str) and _NAME.fullmatch(node.value) else set()
    if isinstance(node, ast.Name):
        return constants.get(node.id, set())
    if isinstance(node, ast.Subscript):
        return names_in(node.value, constants)
    return {name for child in ast.iter_child_nodes(node) for name in names_in(child, constants)}


def names_read(path):
    """The variables that a file of the code reads or sets by default."""
    text = path.read_text(encoding="utf-8")
    if not re.search("environ|envvar|_shown", text):  # to parse all files takes seconds
        return set()
    tree = ast.parse(text)
    constants = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            constants[node.targets[0].id] = names_in(node.value, constants)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {name for scope in (tree, *functions) for name in names_in_scope(scope, constants, path.name)}


def names_in_scope(scope, constants, file):
    """The variables that a function reads; the name of a loop is each of what it runs over."""
    nodes = [node for child in scope.body for node in ast.walk(child)] if not isinstance(scope, ast.Module) else []
    loops = {}
    for node in nodes:
        if isinstance(node, ast.For | ast.comprehension):
            for name in (one.id for one in ast.walk(node.target) if isinstance(one, ast.Name)):
                loops[name] = loops.get(name, set()) | names_in(node.iter, constants)
    known = {**constants, **loops}
    found = set()
    for node in nodes or ast.walk(scope):
        match node:
            case ast.Subscript(value=value, slice=name) if is_environment(value):
                found |= names_in(name, known)
            case ast.Call(func=ast.Attribute(value=value, attr="get" | "setdefault" | "pop"), args=[name, *_]) if (
                is_environment(value)
            ):
                found |= names_in(name, known)
            case ast.Compare(left=name, comparators=[value]) if is_environment(value):
                found |= names_in(name, known)
            case ast.Call(func=ast.Name(id="_shown"), args=[name]) if file == "machine.py":
                found |= names_in(name, known)
            case ast.AugAssign(target=target, value=name) if ast.unparse(target) == "os.environ":
                found |= names_in(name, known)
            case ast.keyword(arg="envvar", value=name):
                found |= names_in(name, known)
    return found


@cache
def all_names_read():
    found = {}
    for path in sorted((ROOT / "src").rglob("*.py")):
        for name in names_read(path):
            found.setdefault(name, str(path.relative_to(ROOT)))
    return found


def test_each_variable_that_the_code_reads_is_in_the_table_or_no_setting():
    found = all_names_read()
    missing = {name: where for name, where in found.items() if name not in variables() and name not in NO_SETTINGS}
    assert missing == {}
    assert {"HF_TOKEN", "HF_HOME", "BURNISH_KERNELS", "BURNISH_AUTHOR", "WANDB_PROJECT", "OMP_NUM_THREADS"} <= {*found}


def test_no_reason_is_left_of_a_variable_that_nothing_reads():
    assert NO_SETTINGS.keys() - all_names_read().keys() - {NOTE} == set()
    assert NO_SETTINGS.keys() & variables().keys() == set()


def test_each_variable_of_the_containers_is_in_the_table():
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "docker").glob("compose*.yaml")]
    named = {name for text in texts for name in re.findall(r"\$\{(\w+)", text)}
    example = set(re.findall(r"^#([A-Z]\w+)=", (ROOT / "docker" / ".env.example").read_text(encoding="utf-8"), re.M))
    assert (named | example) - variables().keys() == set()


def test_keys_that_messages_name_are_in_the_table():
    """Where the code tells a user to set one of a tracker or a hub."""
    named = set()
    for path in (ROOT / "src").rglob("*.py"):
        named |= set(
            re.findall(r"\b(?:WANDB|SWANLAB|MLFLOW|TRACKIO|HF|PIP)_[A-Z_]+\b", path.read_text(encoding="utf-8"))
        )
    given = {name for name in named if name.endswith(("_KEY", "_TOKEN", "_PASSWORD", "_URI", "_URL", "_ENDPOINT"))}
    assert given - for_workers().keys() == set()
