"""Compiles the kernels where the package is built, and takes the page along where `make web` has built it.

Without a C compiler the kernels are numpy's; without the page the server has its API alone.
"""

import importlib.util
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent
COMPILING = ROOT / "src" / "burnish" / "data" / "native" / "compiling.py"
PAGE = "src/burnish/server/static"


class Built(BuildHookInterface):
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        self._compile_kernels(version, build_data)
        if version != "editable":
            self._take_page(build_data)

    def _compile_kernels(self, version: str, build_data: dict[str, Any]) -> None:
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

    def _take_page(self, build_data: dict[str, Any]) -> None:
        if (ROOT / PAGE / "index.html").is_file():
            build_data["artifacts"].append(f"{PAGE}/**")  # Git ignores it, and with Git the build
        else:
            self.app.display_warning("page: not built, `make web` does it; burnish ui has the API alone")
