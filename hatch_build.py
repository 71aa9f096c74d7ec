"""Compiles the kernels where the package is built, if there is a C compiler; without one they are numpy's."""

import importlib.util
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COMPILING = Path(__file__).parent / "src" / "burnish" / "data" / "native" / "compiling.py"


class Kernels(BuildHookInterface):
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        spec = importlib.util.spec_from_file_location("compiling", COMPILING)
        assert spec is not None
        assert spec.loader is not None
        compiling = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(compiling)
        problem = compiling.compiled()
        if problem:
            self.app.display_warning(f"kernels: {problem}; burnish uses numpy, which is slower")
        elif version != "editable":
            made = (compiling.LIBRARY, compiling.SUM)
            build_data["artifacts"] += [path.relative_to(self.root).as_posix() for path in made]
            build_data["pure_python"] = False
            platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["tag"] = f"py3-none-{platform}"
