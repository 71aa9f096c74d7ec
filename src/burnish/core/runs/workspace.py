"""The folder a person works in, and the only code that knows its paths.

burnish.yaml                     marks a workspace (optional)
runs/<recipe>/<number>/<step>/   run folders (see `burnish.core.runs.run`)
runs/<recipe>/<number>/plan.json which step of this run lies where
runs/latest.txt                  the newest run

Newer and older are told by the times and numbers that runs record, never by file times: a copy gives the same answers.
.burnish/hashes.json             content hashes of large inputs, by size and time
.burnish/locks/                  one lock for each step in progress, by fingerprint
.burnish/cache/                  what can be made again: rendered rows (see `burnish.tokens.tokenised`)
"""

import contextlib
import os
import re
import time
from pathlib import Path
from typing import Any

from filelock import FileLock

from burnish.core.errors import AskError, BurnishError
from burnish.core.files import write_atomically, write_json
from burnish.core.fingerprint import of_value
from burnish.core.paths import current_folder, expanded
from burnish.core.runs.records import broken, is_there, read_hashes, read_record
from burnish.core.runs.run import Run

MARK = "burnish.yaml"
_TAKEN = ("latest", "latest.txt", "plan.json", "plan.lock", "stop")
_NUMBER = re.compile(r"[1-9][0-9]{0,17}")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Workspace:
    """Paths of runs, and the way from a name to a run."""

    def __init__(self, root: Path):
        self.root = (root if root.is_absolute() else current_folder() / root).resolve()
        refuse_undecodable(self.root, "the workspace")

    @classmethod
    def find(cls, root: Path | str | None = None) -> "Workspace":
        """The one asked for, `BURNISH_WORKSPACE`, the nearest parent with a burnish.yaml, or this folder."""
        asked = root or os.environ.get("BURNISH_WORKSPACE")
        if asked:
            return cls(expanded(asked))
        here = current_folder()
        return cls(next((folder for folder in (here, *here.parents) if (folder / MARK).is_file()), here))

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    def claim_number(self, recipe: str) -> int:
        """Take the next free number of a recipe; making the folder is the claim, so two callers never share one."""
        parent = self.runs / plain_name(recipe)
        parent.mkdir(parents=True, exist_ok=True)
        number = max((int(folder.name) for folder in parent.iterdir() if _NUMBER.fullmatch(folder.name)), default=0) + 1
        while True:
            try:
                (parent / str(number)).mkdir(mode=0o700)
                return number
            except FileExistsError:
                number += 1

    def run(self, recipe: str, number: int, step: str) -> Run:
        return Run(self.runs / plain_name(recipe) / str(number) / plain_name(step))

    def all_runs(self, recipe: str = "*") -> list[Run]:
        """Every run folder, newest first; of one recipe by number. Only numbered folders hold runs: a copy such as
        `3.bak` is none."""
        paths = self.runs.glob(f"{recipe}/*/*/run.json")
        found = [Run(path.parent) for path in paths if _NUMBER.fullmatch(path.parts[-3])]
        by_number = recipe != "*"
        return sorted(found, key=lambda run: _age(run, by_number=by_number), reverse=True)

    def recipes(self) -> list[str]:
        """The recipes that have runs."""
        return sorted({path.parts[-3] for path in self.runs.glob("*/*/plan.json") if _NUMBER.fullmatch(path.parts[-2])})

    def numbers(self, recipe: str) -> list[int]:
        """The numbers of a recipe's runs, newest first. A number without a plan is not begun yet, or never was."""
        if not _PLAIN.fullmatch(recipe):
            return []
        found = (path.parent.name for path in self.runs.glob(f"{recipe}/*/plan.json"))
        return sorted((int(name) for name in found if _NUMBER.fullmatch(name)), reverse=True)

    def plan_of(self, recipe: str, number: int, *, resumable: bool = False) -> dict[str, Any]:
        """plan.json: what each step of one `burnish run` was to do, and its run folder below `runs/`.

        One that is resumable holds the recipe too, as `values`.
        """
        path = self.runs / recipe / str(number) / "plan.json"
        if not is_there(path):
            raise self._no_such_run(f"{recipe}/{number}")
        plan = read_record(path)
        if resumable and not plan.get("values"):
            raise broken(path, "lacks 'values', the recipe")
        return plan

    def record_plan(self, recipe: str, number: int, plan: dict[str, Any]) -> None:
        """Write the plan of a run that begins: it is the latest one from now on."""
        self.update_plan(recipe, number, {"created": time.time(), **plan})
        write_atomically(self.runs / "latest.txt", f"{recipe}/{number}\n")

    def update_plan(self, recipe: str, number: int, plan: dict[str, Any]) -> None:
        """Replace the plan of a run that goes on, such as when another run made one of its steps meanwhile."""
        write_json(self.runs / recipe / str(number) / "plan.json", plan, mode=0o600)

    def lock_of(self, recipe: str, number: int) -> FileLock:
        """Held by the process that carries out this run of a recipe, from its first step to its last."""
        return FileLock(self.runs / recipe / str(number) / "plan.lock")

    def stop_file(self, recipe: str, number: int) -> Path:
        """Where requests to stop this run of a recipe are left."""
        return self.runs / recipe / str(number) / "stop"

    def step_lock(self, fingerprint: str) -> FileLock:
        """Held by the process that does the step of this fingerprint, whatever recipe it stands in."""
        folder = self.root / ".burnish" / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / f"{fingerprint}.lock")

    def latest(self) -> tuple[str, int]:
        """Recipe and number of the newest run: latest.txt, or the newest plan where that names no run."""
        with contextlib.suppress(OSError):
            match (self.runs / "latest.txt").read_text(encoding="utf-8", errors="replace").strip().split("/"):
                case [recipe, number] if _NUMBER.fullmatch(number) and int(number) in self.numbers(recipe):
                    return recipe, int(number)
                case _:
                    pass
        found = [(recipe, number) for recipe in self.recipes() for number in self.numbers(recipe)]
        if not found:
            raise AskError("ask.no-such-run", f"there are no runs in {self.root}", "start one: burnish demo")
        return max(found, key=lambda name: (self._begun(*name), name[1]))

    def find_runs(self, name: str = "latest") -> list[Run]:
        """The runs that `latest`, `recipe`, `recipe/number` or `recipe/number/step` means, in step order."""
        recipe, number = self.number_of(name)
        wanted = name.strip("/").split("/")[2:]
        if number not in self.numbers(recipe):
            raise self._no_such_run(name)
        steps = {step: run for step, run in self.steps_of(recipe, number).items() if not wanted or step == wanted[0]}
        if not steps:
            raise self._no_such_run(name)
        found = [run for run in steps.values() if is_there(run.folder / "run.json")]
        if not found:
            what = f"{recipe}/{number}: {'no step has' if not wanted else f'step {wanted[0]} has not'} started"
            raise AskError("ask.no-such-run", what, f"continue it: burnish runs resume {recipe}/{number}")
        return found

    def number_of(self, name: str = "latest") -> tuple[str, int]:
        """Recipe and number that a name means; of a recipe alone, its newest run."""
        if name == "latest":
            return self.latest()
        match name.strip("/").split("/"):
            case [recipe] if _PLAIN.fullmatch(recipe):
                numbers = self.numbers(recipe)
                if numbers:
                    return recipe, numbers[0]
            case [recipe, number, *rest] if _PLAIN.fullmatch(recipe) and _NUMBER.fullmatch(number) and len(rest) < 2:
                return recipe, int(number)
            case _:
                pass
        raise self._no_such_run(name)

    def _no_such_run(self, name: str) -> AskError:
        return AskError("ask.no-such-run", f"there is no run '{name}' in {self.root}", "see `burnish runs list`")

    def steps_of(self, recipe: str, number: int) -> dict[str, Run]:
        """Step name → run folder of one run, as its plan has it: a reused step lies where it was made.

        The folder of a step that has not begun is not there yet.
        """
        return {step["step"]: Run(self.runs / step["folder"]) for step in self.plan_of(recipe, number)["steps"]}

    def _begun(self, recipe: str, number: int) -> float:
        with contextlib.suppress(BurnishError, OSError, ValueError):
            return float(self.plan_of(recipe, number).get("created", 0))
        return 0.0

    @property
    def hash_file(self) -> Path:
        return self.root / ".burnish" / "hashes.json"

    def hashes(self) -> dict[str, Any]:
        """Remembered content hashes; a cache, so one that is unreadable or was changed by hand is dropped."""
        try:
            return read_hashes(self.hash_file)
        except BurnishError:
            return {}

    def remember_hashes(self, known: dict[str, Any]) -> None:
        """Keep them for the next plan; where nothing can be written, the files are read again instead."""
        with contextlib.suppress(OSError):
            self.hash_file.parent.mkdir(parents=True, exist_ok=True)
            write_json(self.hash_file, {"sha256": of_value(known), "files": known})


def _age(run: Run, *, by_number: bool) -> tuple[float, ...]:
    """What runs are sorted by, oldest first; a record that cannot be read counts as the oldest."""
    created = 0.0
    with contextlib.suppress(BurnishError, OSError, ValueError, KeyError, TypeError):
        created = float(run.record["created"])
    number = run.folder.parent.name
    number = int(number) if _NUMBER.fullmatch(number) else 0
    return (number, created) if by_number else (created, number)


def refuse_undecodable(path: Path, subject: str) -> None:
    """AskError `ask.wrong-value` for a path that is not UTF-8: records of runs hold paths, and are UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise AskError(
            "ask.wrong-value", f"{subject}: the path {path} is not UTF-8", "rename the file or folder, or use another"
        ) from error


def plain_name(name: str) -> str:
    """A name that may become a folder: letters, digits, dot, dash, underscore."""
    if not _PLAIN.fullmatch(name) or name in _TAKEN:
        raise AskError(
            "ask.wrong-value",
            f"'{name}' cannot be the name of a recipe or step",
            f"use letters, digits, '.', '-' and '_', beginning with a letter or digit; not {', '.join(_TAKEN)}",
        )
    return name
