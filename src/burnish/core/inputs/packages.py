"""Installed Python packages as inputs: found and pinned by version and content, without importing them.

    package:pydantic       an installed distribution, or a module or package of one by the name it is imported by
    package:json           a module or package of the standard library
    package:python         the whole standard library

Only metadata and the folders of sys.path are read: no code of a package runs, `__init__` and `.pth` files included.
"""

import os
import platform
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.machinery import PathFinder
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path
from typing import Any

from burnish.core.errors import AskError
from burnish.core.fingerprint import of_file, of_value
from burnish.core.naming import nearest

PYTHON = "python"
_BINARY = (".pyc", ".pyo", ".so", ".pyd", ".dll", ".dylib", ".a", ".o", ".lib", ".exe")
_NOT_OF_IT = ("__pycache__", "site-packages", "dist-packages")


@dataclass(frozen=True)
class Package:
    """An installed package. `files` are its relative paths below `root`, without compiled ones, sorted."""

    name: str
    version: str
    root: Path
    files: tuple[str, ...]
    metadata: Mapping[str, list[str]]
    """Fields of the distribution's metadata that name its licence, and `text`, its licence files; empty for the
    standard library."""

    def fingerprint(self, known: dict[str, Any]) -> str:
        """The fingerprint of its name, version and content; `known` caches hashes."""
        hashes = [[name, of_file(self.root / name, known)] for name in self.files]
        return of_value(["package", self.name, self.version, hashes])


def find(name: str) -> Package:
    """The package of `package:NAME`. AskError `ask.bad-reference` if there is none, or none with files."""
    if name == PYTHON or name in sys.stdlib_module_names:
        return _standard(name)
    try:
        return _installed(name, distribution(name))
    except (PackageNotFoundError, ValueError):
        pass
    return _imported(name)


def _standard(name: str) -> Package:
    root = Path(sysconfig.get_path("stdlib")).resolve()
    modules = sorted(sys.stdlib_module_names) if name == PYTHON else [name]
    files = sorted({file for module in modules for file in _below(root, module)})
    if not files:
        raise _bad(name, "is built into the interpreter: it has no Python source", "name a module that is a .py file")
    return Package(name, platform.python_version(), root, tuple(files), {})


def _installed(name: str, found: Distribution) -> Package:
    metadata = {
        key: [str(value) for value in found.metadata.get_all(key) or ()]
        for key in ("License-Expression", "License", "Classifier")
    }
    named = [str(value) for value in found.metadata.get_all("License-File") or ()]
    texts = [found.read_text(f"licenses/{name}") or found.read_text(name) or "" for name in named]
    metadata["text"] = [text for text in texts if text]
    root = Path(str(found.locate_file(""))).resolve()
    recorded = [str(file) for file in found.files or ()]
    files = {file for file in recorded if _is_source(file) and (root / file).is_file()}
    if not any(file.endswith(".py") for file in files):  # an editable installation, or one without a record
        for module in _top_levels(found):
            spec = PathFinder.find_spec(module)
            places = list(spec.submodule_search_locations or ()) if spec is not None else []
            if spec is not None and (places or spec.origin):
                root = Path(places[0] if places else spec.origin or "").resolve().parent
                files = set(_below(root, module))
                break
    if not files:
        raise _bad(name, "is installed, but none of its files is there", "install it again, or name its folder")
    return Package(str(found.metadata["Name"]), found.version, root, tuple(sorted(files)), metadata)


def _imported(name: str) -> Package:
    """A package by the name it is imported by, such as yaml of PyYAML."""
    named: list[str] = []
    for found in distributions():
        named.append(str(found.metadata["Name"]))
        if _may_have(found, name) and name in _top_levels(found):
            return _installed(name, found)
    fix = f"install it beside burnish, or name its folder: file:PATH; {nearest(name, named)}"
    raise _bad(name, "is not installed", fix)


def _may_have(found: Distribution, name: str) -> bool:
    """Whether a distribution may be imported by a name: to read its records as text is forty times as fast."""
    record = found.read_text("RECORD")
    own = str(found.metadata["Name"]).replace("-", "_")
    return record is None or name in record or name in own or name in (found.read_text("top_level.txt") or "")


def _top_levels(found: Distribution) -> list[str]:
    """The names that a distribution is imported by."""
    listed = (found.read_text("top_level.txt") or "").split()
    inside = {Path(str(file)).parts[0] for file in found.files or () if str(file).endswith(".py")}
    inside = {part.removesuffix(".py") for part in inside if not part.startswith((".", "__"))}
    return sorted({*listed, *(part for part in inside if part.isidentifier())}) or [
        str(found.metadata["Name"]).replace("-", "_")
    ]


def _below(root: Path, module: str) -> Iterator[str]:
    """The source files of a module or package, relative to the folder that it lies in."""
    if (root / f"{module}.py").is_file():
        yield f"{module}.py"
    for base, folders, names in os.walk(root / module):
        folders[:] = sorted(name for name in folders if name not in _NOT_OF_IT)
        for name in names:
            path = Path(base, name).relative_to(root).as_posix()
            if _is_source(path) and not os.path.islink(os.path.join(base, name)):
                yield path


def _is_source(path: str) -> bool:
    parts = Path(path).parts
    inside = bool(parts) and ".." not in parts and not Path(path).is_absolute()
    is_metadata = inside and parts[0].endswith((".dist-info", ".egg-info", ".data"))
    return inside and not is_metadata and "__pycache__" not in parts and not path.lower().endswith(_BINARY)


def _bad(name: str, what: str, fix: str) -> AskError:
    return AskError("ask.bad-reference", f"package:{name} {what}", fix)
