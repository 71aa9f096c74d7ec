"""The workspace: the folder that holds all runs. Only this module knows its layout.

burnish.yaml                     marks a workspace (optional)
runs/<recipe>/<number>/<step>/   run folders (see `burnish.core.runs.run`)
runs/<recipe>/<number>/plan.json the run folder of each step
runs/<recipe>/<number>/.queue/   what was submitted to the queue (see `burnish.core.runs.submitted`)
runs/latest.txt                  the newest run
data/                            files of rows; data/uploads/ has those that were uploaded, and their records

Runs are ordered by their recorded times and numbers, never by file times, so that a copy behaves the same.
.burnish/burnish.db              the queue and an index of the runs (see `burnish.jobs.database`)
.burnish/identity                 what tells this workspace from others, wherever it is mounted
.burnish/hashes.json             content hashes of large inputs, by size and time
.burnish/locks/                  one lock for each step in progress, by fingerprint
.burnish/cache/                  reproducible files: rendered rows (see `burnish.tokens.tokenised`), kept answers,
                                 restored checkpoints (see `burnish.core.inputs.checkpoints`)
"""

import contextlib
import os
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from burnish.core.errors import AskError, BurnishError
from burnish.core.files import write_atomically, write_json
from burnish.core.fingerprint import of_value
from burnish.core.paths import current_folder, expanded, refuse_undecodable
from burnish.core.runs.locks import held
from burnish.core.runs.names import NUMBER, PLAIN, plain_name
from burnish.core.runs.records import broken, is_there, read_hashes, read_record
from burnish.core.runs.run import Run, is_held

MARK = "burnish.yaml"
QUEUE = ".queue"
"""The folder of a run's records of the queue; no step can have this name."""
MOST_HASHES = 50_000
"""Entries of hashes.json; one has about 200 bytes."""
MOST_LOCKS = 100
_LOCK_DAYS = 7


class Workspace:
    """Paths of runs, and lookup of runs by name."""

    def __init__(self, root: Path):
        self.root = (root if root.is_absolute() else current_folder() / root).resolve()
        refuse_undecodable(self.root, "the workspace")

    @classmethod
    def find(cls, root: Path | str | None = None) -> "Workspace":
        """`root`, else `BURNISH_WORKSPACE`, the nearest parent with a burnish.yaml, or the current folder."""
        requested = root or os.environ.get("BURNISH_WORKSPACE")
        if requested:
            return cls(expanded(requested))
        here = current_folder()
        return cls(next((folder for folder in (here, *here.parents) if (folder / MARK).is_file()), here))

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def data(self) -> Path:
        """Files of rows of the workspace."""
        return self.root / "data"

    @property
    def uploads(self) -> Path:
        """Files that were uploaded; each is whole."""
        return self.data / "uploads"

    @property
    def cache(self) -> Path:
        """Reproducible files, shared by all runs."""
        return self.root / ".burnish" / "cache"

    @property
    def database(self) -> Path:
        """The SQLite file of the queue, unless another database is set."""
        return self.root / ".burnish" / "burnish.db"

    def identity(self) -> str:
        """What tells this workspace from others, on all machines that share it. Made when it is first wanted."""
        path = self.root / ".burnish" / "identity"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            with held(path.with_name("identity.lock"), "naming the workspace"):
                if not path.is_file():
                    write_atomically(path, f"{uuid.uuid4()}\n")
        return path.read_text(encoding="utf-8", errors="replace").strip()

    def refuse_missing(self) -> None:
        """AskError `ask.no-such-run` if the folder does not exist; a run would create it."""
        if not self.root.is_dir():
            problem = "is not a folder" if self.root.exists() else "does not exist"
            fix = "check --workspace and BURNISH_WORKSPACE; a first run creates the folder"
            raise AskError("ask.no-such-run", f"the workspace {self.root} {problem}", fix)

    def claim_number(self, recipe: str, above: int = 0) -> int:
        """Claim the next free number of a recipe, `above` those that others know, by creating its folder, so that two
        callers never share one."""
        parent = self.runs / plain_name(recipe)
        parent.mkdir(parents=True, exist_ok=True)
        taken = (int(folder.name) for folder in parent.iterdir() if NUMBER.fullmatch(folder.name))
        number = max((above, *taken)) + 1
        while True:
            try:
                (parent / str(number)).mkdir(mode=0o700)
                return number
            except FileExistsError:
                number += 1

    def run(self, recipe: str, number: int, step: str) -> Run:
        return Run(self.runs / plain_name(recipe) / str(number) / plain_name(step))

    def all_runs(self, recipe: str = "*") -> list[Run]:
        """All run folders, newest first; those of one recipe by number. Folders such as `3.bak` are ignored."""
        paths = self.runs.glob(f"{recipe}/*/*/run.json")
        found = [Run(path.parent) for path in paths if NUMBER.fullmatch(path.parts[-3])]
        by_number = recipe != "*"
        return sorted(found, key=lambda run: _age(run, by_number=by_number), reverse=True)

    def recipes(self) -> list[str]:
        """The recipes that have runs."""
        return sorted({path.parts[-3] for path in self.runs.glob("*/*/plan.json") if NUMBER.fullmatch(path.parts[-2])})

    def numbers(self, recipe: str) -> list[int]:
        """The numbers of a recipe's runs, newest first. A number without a plan has not started."""
        if not PLAIN.fullmatch(recipe):
            return []
        found = (path.parent.name for path in self.runs.glob(f"{recipe}/*/plan.json"))
        return sorted((int(name) for name in found if NUMBER.fullmatch(name)), reverse=True)

    def plan_of(self, recipe: str, number: int, *, resumable: bool = False) -> dict[str, Any]:
        """plan.json: the planned action of each step of one `burnish run`, and its folder below `runs/`.

        A resumable plan also contains the recipe, as `values`.
        """
        path = self.runs / recipe / str(number) / "plan.json"
        if not is_there(path):
            raise self._no_such_run(f"{recipe}/{number}")
        plan = read_record(path)
        if resumable and not plan.get("values"):
            raise broken(path, "lacks 'values', the recipe")
        return plan

    def record_plan(self, recipe: str, number: int, plan: dict[str, Any]) -> None:
        """Write the plan of a new run and make it the latest."""
        self.update_plan(recipe, number, {"created": time.time(), **plan})
        write_atomically(self.runs / "latest.txt", f"{recipe}/{number}\n")

    def update_plan(self, recipe: str, number: int, plan: dict[str, Any]) -> None:
        """Replace the plan of a run in progress, for example when another run has finished one of its steps."""
        write_json(self.runs / recipe / str(number) / "plan.json", plan, mode=0o600)

    def lock_of(self, recipe: str, number: int) -> FileLock:
        """Held by the process that executes this run, from its first step to its last."""
        return FileLock(self.runs / recipe / str(number) / "plan.lock")

    def update_step(self, recipe: str, number: int, step: dict[str, Any]) -> None:
        """Replace the record of one step in the plan of a run in progress; others may do so at the same time."""
        folder = self.runs / recipe / str(number)
        with held(folder / ".plan.lock", f"changing the plan of {recipe}/{number}"):
            plan = self.plan_of(recipe, number)
            steps = [step if other["step"] == step["step"] else other for other in plan["steps"]]
            self.update_plan(recipe, number, {**plan, "steps": steps})

    def queue_folder(self, recipe: str, number: int) -> Path:
        """Where a run that was submitted to the queue has its records (see `burnish.core.runs.submitted`)."""
        return self.runs / recipe / str(number) / QUEUE

    def is_stopped(self, recipe: str, number: int) -> bool:
        """Whether a stop of the whole run was requested."""
        path = self.stop_file(recipe, number)
        return path.exists() and path.stat().st_size > 0

    def stop_file(self, recipe: str, number: int) -> Path:
        """The file that requests to stop this run are written to."""
        return self.runs / plain_name(recipe) / str(number) / "stop"

    def step_lock(self, fingerprint: str) -> FileLock:
        """Held by the process that runs the step with this fingerprint, in any recipe."""
        folder = self.root / ".burnish" / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        _prune_locks(folder)
        path = folder / f"{fingerprint}.lock"
        path.touch()  # in use, for `_prune_locks`
        return FileLock(path)

    def latest(self) -> tuple[str, int]:
        """Recipe and number of the newest run: from latest.txt, or the newest plan if that names no run."""
        with contextlib.suppress(OSError):
            match (self.runs / "latest.txt").read_text(encoding="utf-8", errors="replace").strip().split("/"):
                case [recipe, number] if NUMBER.fullmatch(number) and int(number) in self.numbers(recipe):
                    return recipe, int(number)
                case _:
                    pass
        found = [(recipe, number) for recipe in self.recipes() for number in self.numbers(recipe)]
        if not found:
            self.refuse_missing()
            raise AskError("ask.no-such-run", f"there are no runs in {self.root}", "start one: burnish demo")
        return max(found, key=lambda name: (self._created(*name), name[1]))

    def find_runs(self, name: str = "latest") -> list[Run]:
        """The runs named by `latest`, `recipe`, `recipe/number` or `recipe/number/step`, in step order."""
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
            raise AskError("ask.no-such-run", what, f"resume it: burnish runs resume {recipe}/{number}")
        return found

    def find_run(self, name: str) -> Run:
        """The one run named by `recipe/number/step`, or by less where that has one step. Errors: AskError
        `ask.no-such-run`."""
        found = self.find_runs(name)
        if len(found) > 1:
            names = ", ".join(run.name for run in found[:5]) + (", …" if len(found) > 5 else "")
            raise AskError("ask.no-such-run", f"'{name}' is {len(found)} steps", f"name one of them: {names}")
        return found[0]

    def number_of(self, name: str = "latest") -> tuple[str, int]:
        """Recipe and number of a named run; for a recipe alone, its newest run."""
        if name == "latest":
            return self.latest()
        match name.strip("/").split("/"):
            case [recipe] if PLAIN.fullmatch(recipe):
                numbers = self.numbers(recipe)
                if numbers:
                    return recipe, numbers[0]
            case [recipe, number, *rest] if PLAIN.fullmatch(recipe) and NUMBER.fullmatch(number) and len(rest) < 2:
                return recipe, int(number)
            case _:
                pass
        raise self._no_such_run(name)

    def _no_such_run(self, name: str) -> AskError:
        self.refuse_missing()
        return AskError("ask.no-such-run", f"there is no run '{name}' in {self.root}", "see `burnish runs list`")

    def steps_of(self, recipe: str, number: int) -> dict[str, Run]:
        """Step name → run folder, from the plan; a reused step keeps the folder of its original run.

        The folder of a step that has not started does not exist. Errors: RunError `run.broken-record`, also for a
        folder that a link leads out of `runs/`.
        """
        return self.steps_in(self.plan_of(recipe, number))

    def steps_in(self, plan: Mapping[str, Any]) -> dict[str, Run]:
        """As `steps_of`, of a plan that was read."""
        found = {step["step"]: Run(self.runs / step["folder"]) for step in plan["steps"]}
        for run in found.values():
            run.refuse_leading_out()
        return found

    def _created(self, recipe: str, number: int) -> float:
        with contextlib.suppress(BurnishError, OSError, ValueError):
            return float(self.plan_of(recipe, number).get("created", 0))
        return 0.0

    @property
    def hash_file(self) -> Path:
        return self.root / ".burnish" / "hashes.json"

    def hashes(self) -> dict[str, Any]:
        """Cached content hashes; a cache that is unreadable or was edited is ignored."""
        try:
            return read_hashes(self.hash_file)
        except BurnishError:
            return {}

    def remember_hashes(self, known: dict[str, Any]) -> None:
        """Save the hashes of files that still exist, the newest `MOST_HASHES`, for the next plan.

        Ignored if the folder is not writable.
        """
        existing = [path for path in known if os.path.exists(path)]
        known = {path: known[path] for path in existing[-MOST_HASHES:]}
        with contextlib.suppress(OSError):
            self.hash_file.parent.mkdir(parents=True, exist_ok=True)
            write_json(self.hash_file, {"sha256": of_value(known), "files": known})


def _prune_locks(folder: Path) -> None:
    """Remove the locks that no process used for `_LOCK_DAYS`, once there are more than `MOST_LOCKS`.

    A lock that is held stays. A process that is about to take one has just touched it.
    """
    locks = list(folder.glob("*.lock"))
    if len(locks) <= MOST_LOCKS:
        return
    for path in locks:
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _LOCK_DAYS * 86_400 and not is_held(FileLock(path)):
                path.unlink()


def _age(run: Run, *, by_number: bool) -> tuple[float, ...]:
    """Sort key of numbered runs, oldest first; an unreadable record sorts as oldest."""
    created = 0.0
    with contextlib.suppress(BurnishError, OSError, ValueError, KeyError, TypeError):
        created = float(run.record["created"])
    number = int(run.folder.parent.name)
    return (number, created) if by_number else (created, number)
