"""Put other code in the place of a module when it is imported, in this process and its children.

`BURNISH_MUTATION` names a marshal file, `{"package": name, "codes": {path of the source: code}, "hits": path or ""}`.
Children that run Python find `site/sitecustomize.py` on PYTHONPATH, which calls `install`. Only the standard library is
imported here.
"""

import builtins
import marshal
import mmap
import os
import sys
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType

VARIABLE = "BURNISH_MUTATION"
COUNTER = "__mutation_hits__"
"""The builtin that instrumented code writes to: one byte for each statement, shared by all processes."""
SITE = Path(__file__).with_name("site")


def write(file: Path, codes: dict[str, CodeType], hits: Path | None = None, package: str = "burnish") -> Path:
    """Make the file that `install` reads."""
    file.write_bytes(marshal.dumps({"package": package, "codes": codes, "hits": str(hits or "")}))
    return file


def environment(file: Path) -> dict[str, str]:
    """The variables that carry the hook into child processes."""
    path = os.pathsep.join(part for part in (str(SITE), os.environ.get("PYTHONPATH", "")) if part)
    return {VARIABLE: str(file), "PYTHONPATH": path}


def install() -> None:
    """Read the file that the environment names and answer imports with its code."""
    if not (name := os.environ.get(VARIABLE)):
        return
    with open(name, "rb") as file:
        told = marshal.load(file)
    if told["hits"]:
        with open(told["hits"], "r+b") as file:
            setattr(builtins, COUNTER, mmap.mmap(file.fileno(), 0))
    sys.meta_path.insert(0, _Finder(told["package"], told["codes"]))


class _Finder:
    def __init__(self, package: str, codes: dict[str, CodeType]):
        self.package, self.codes = package, codes

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name.partition(".")[0] != self.package:
            return None
        spec = PathFinder.find_spec(name, path, target)  # type: ignore[arg-type]
        if spec is None or spec.origin not in self.codes:
            return None
        spec.loader = _Loader(name, spec.origin, self.codes[spec.origin])
        return spec


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, code: CodeType):
        super().__init__(name, path)
        self.code = code

    def get_code(self, fullname: str) -> CodeType:
        return self.code
