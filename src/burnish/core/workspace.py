"""The folder a person works in, and the only code that knows its paths.

burnish.yaml                     marks a workspace (optional)
runs/<recipe>/<number>/<step>/   run folders (see `burnish.core.run`)
runs/<recipe>/<number>/plan.json which step of this run lies where
runs/latest.txt                  the newest run
.burnish/hashes.json             content hashes of large inputs, by size and time
.burnish/cache/                  what can be made again: rendered rows (see `burnish.tokens.tokenised`)
"""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from filelock import FileLock

from burnish.core.errors import AskError
from burnish.core.files import read_json, write_atomically, write_json
from burnish.core.run import Run

MARK = "burnish.yaml"
_TAKEN = ("latest", "latest.txt", "plan.json", "plan.lock")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Workspace:
    """Paths of runs, and the way from a name to a run."""

    def __init__(self, root: Path):
        self.root = root.resolve()

    @classmethod
    def find(cls, root: Path | str | None = None) -> "Workspace":
        """The one asked for, `BURNISH_WORKSPACE`, the nearest parent with a burnish.yaml, or this folder."""
        asked = root or os.environ.get("BURNISH_WORKSPACE")
        if asked:
            return cls(Path(asked).expanduser())
        here = Path.cwd()
        return cls(next((folder for folder in (here, *here.parents) if (folder / MARK).is_file()), here))

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    def claim_number(self, recipe: str) -> int:
        """Take the next free number of a recipe; making the folder is the claim, so two callers never share one."""
        parent = self.runs / plain_name(recipe)
        parent.mkdir(parents=True, exist_ok=True)
        number = max((int(folder.name) for folder in parent.iterdir() if folder.name.isdecimal()), default=0) + 1
        while True:
            try:
                (parent / str(number)).mkdir()
                return number
            except FileExistsError:
                number += 1

    def run(self, recipe: str, number: int, step: str) -> Run:
        return Run(self.runs / plain_name(recipe) / str(number) / plain_name(step))

    def all_runs(self, recipe: str = "*") -> list[Run]:
        """Every run folder, newest first."""
        found = [path.parent for path in self.runs.glob(f"{recipe}/*/*/run.json")]
        return [
            Run(folder) for folder in sorted(found, key=lambda f: (f / "job.json").stat().st_mtime_ns, reverse=True)
        ]

    def plan_of(self, recipe: str, number: int) -> dict[str, Any]:
        """plan.json: what each step of one `burnish run` was to do, and its run folder below `runs/`."""
        path = self.runs / recipe / str(number) / "plan.json"
        if not path.is_file():
            raise self._no_such_run(f"{recipe}/{number}")
        return read_json(path)

    def record_plan(self, recipe: str, number: int, plan: dict[str, Any]) -> None:
        write_json(self.runs / recipe / str(number) / "plan.json", plan)
        write_atomically(self.runs / "latest.txt", f"{recipe}/{number}\n")

    def lock_of(self, recipe: str, number: int) -> FileLock:
        """Held by the process that carries out this run of a recipe, from its first step to its last."""
        return FileLock(self.runs / recipe / str(number) / "plan.lock")

    def latest(self) -> tuple[str, int]:
        """Recipe and number of the newest run."""
        path = self.runs / "latest.txt"
        if not path.is_file():
            raise AskError("ask.no-such-run", f"there are no runs in {self.root}", "start one: burnish demo")
        recipe, number = path.read_text().strip().rsplit("/", 1)
        return recipe, int(number)

    def find_runs(self, name: str = "latest") -> list[Run]:
        """The runs that `latest`, `recipe`, `recipe/number` or `recipe/number/step` means, in step order."""
        recipe, number = self.number_of(name)
        step = name.strip("/").split("/")[2:]
        found = [run for run in self._steps(recipe, number) if not step or run.folder.name == step[0]]
        if not found:
            raise self._no_such_run(name)
        return found

    def number_of(self, name: str = "latest") -> tuple[str, int]:
        """Recipe and number that a name means; of a recipe alone, its newest run."""
        if name == "latest":
            return self.latest()
        match name.strip("/").split("/"):
            case [recipe] if _PLAIN.fullmatch(recipe):
                numbers = [int(folder.name) for folder in (self.runs / recipe).glob("*") if folder.name.isdecimal()]
                if numbers:
                    return recipe, max(numbers)
            case [recipe, number, *rest] if _PLAIN.fullmatch(recipe) and number.isdecimal() and len(rest) < 2:
                return recipe, int(number)
            case _:
                pass
        raise self._no_such_run(name)

    def _no_such_run(self, name: str) -> AskError:
        return AskError("ask.no-such-run", f"there is no run '{name}' in {self.root}", "see `burnish runs list`")

    def _steps(self, recipe: str, number: int) -> list[Run]:
        if not (self.runs / recipe / str(number) / "plan.json").is_file():
            return []
        steps = self.plan_of(recipe, number)["steps"]
        return [
            Run(self.runs / step["folder"]) for step in steps if (self.runs / step["folder"] / "run.json").is_file()
        ]

    def hashes(self) -> dict[str, Any]:
        """Remembered content hashes; a cache, so an unreadable one is simply begun anew."""
        path = self.root / ".burnish" / "hashes.json"
        try:
            known: Any = read_json(path)
        except (OSError, ValueError):
            return {}
        return cast(dict[str, Any], known) if isinstance(known, dict) else {}

    def remember_hashes(self, known: dict[str, Any]) -> None:
        """Keep them for the next plan; where nothing can be written, the files are read again instead."""
        folder = self.root / ".burnish"
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / "hashes.json", known)

    def artifacts(self) -> Iterator[Run]:
        """Runs that finished, newest first."""
        return (run for run in self.all_runs() if (run.folder / "artifact.json").is_file())


def plain_name(name: str) -> str:
    """A name that may become a folder: letters, digits, dot, dash, underscore."""
    if not _PLAIN.fullmatch(name) or name in _TAKEN:
        raise AskError(
            "ask.wrong-value",
            f"'{name}' cannot be the name of a recipe or step",
            f"use letters, digits, '.', '-' and '_', beginning with a letter or digit; not {', '.join(_TAKEN)}",
        )
    return name
