"""Run tasks of lm-evaluation-harness on a model: load them, and let its own evaluator score the answers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from burnish.core.errors import AskError, BurnishError, DataError, MachineError, RunError
from burnish.core.faults import reason
from burnish.core.naming import nearest
from burnish.core.recipes.task_folder import TaskFolder, read_folder
from burnish.evals.tasks.library import contained, fresh_transforms, require, seed, shown_resamples, within

_OFFLINE = (
    "OfflineModeIsEnabled",
    "ConnectionError",
    "ConnectTimeout",
    "LocalEntryNotFoundError",
    "DatasetNotFoundError",
)


@dataclass(frozen=True)
class FewShot:
    """How prompts are made of questions."""

    examples: int | None
    seeds: Sequence[int]
    applies_chat_template: bool
    is_multiturn: bool
    system: str | None


@dataclass(frozen=True)
class TaskRun:
    """The tasks to run: names of lm-evaluation-harness, and files in folders."""

    names: Sequence[str]
    folders: Sequence[tuple[Path, Sequence[str]]]
    limit: float | None
    few_shot: FewShot
    trusts_code: bool
    bootstrap_iters: int = 100_000

    @cached_property
    def local(self) -> list[TaskFolder]:
        """The files of each folder. Errors: those of `read_folder`."""
        return [read_folder(folder, files, trusts_code=self.trusts_code) for folder, files in self.folders]

    def check(self) -> None:
        """Refuse what can be refused before a model is loaded. Errors: those of `require` and of `read_folder`."""
        require()
        assert self.local is not None

    def results(self, model: Any, scratch: Path, tick: Callable[[str, int, int], None]) -> dict[str, Any]:
        """lm-evaluation-harness's own results, with `samples`; `scratch` is a folder for rows that tasks compute.

        `tick(phase, done, total)` is called with the resamples of standard errors.

        Errors: those of `loaded` and of `model`; RunError `run.failed` for an error of a task.
        """
        from lm_eval.evaluator import evaluate

        limit: Any = self.limit  # a share, too
        with contained(self.trusts_code), fresh_transforms(scratch), shown_resamples(tick):
            seed(self.few_shot.seeds)
            tasks = self._loaded()
            with _naming("a task fails in lm-evaluation-harness", loads=False):
                found: Any = evaluate(
                    model,
                    tasks,
                    limit=limit,
                    bootstrap_iters=self.bootstrap_iters,
                    system_instruction=self.few_shot.system,
                    apply_chat_template=self.few_shot.applies_chat_template,
                    fewshot_as_multiturn=self.few_shot.is_multiturn,
                    confirm_run_unsafe_code=self.trusts_code,
                )
        return found

    @cached_property
    def _manager(self) -> Any:
        """The index of the tasks; lm-evaluation-harness's own only where they are named, as there are thousands."""
        from lm_eval.tasks import TaskManager

        folders: list[str | Path] = [folder for folder, _ in self.folders]
        needs_others = bool(self.names) or not all(folder.is_complete for folder in self.local)
        return TaskManager(include_path=folders, include_defaults=needs_others)

    def _loaded(self) -> dict[str, Any]:
        """The tasks and groups, with their rows.

        Errors: AskError `ask.bad-reference` for an unknown name, MachineError `machine.no-network` for rows that
        cannot be downloaded, DataError `data.unreadable` for a task that cannot be made.
        """
        specs: list[tuple[str, Path | None]] = [(name, None) for name in self.names]
        specs += [  # a group is found by its name only
            (file.name if "group" in file.config else str(file.path), folder.path)
            for folder in self.local
            for file in folder.chosen
        ]
        merged: dict[str, Any] = {"tasks": {}, "groups": {}, "group_map": {}}
        for spec, folder in specs:
            if folder is None and spec not in self._manager.task_index:
                known = self._manager.all_tasks
                raise AskError("ask.bad-reference", f"there is no task '{spec}'", nearest(spec, known))
            with within(folder), _naming(f"the task {spec} cannot be loaded", loads=True):
                found = self._manager.load([spec])
            if doubled := sorted(set(found["tasks"]) & set(merged["tasks"])):
                what = f"the task '{doubled[0]}' is given twice, the second time by {spec}"
                raise AskError("ask.wrong-value", what, "name it once")
            for key, values in merged.items():
                values.update(found.get(key) or {})
        for task in merged["tasks"].values():
            if task.get_config("num_fewshot") is None:
                task.set_config(key="num_fewshot", value=self.few_shot.examples or 0)
            elif self.few_shot.examples is not None and task.get_config("num_fewshot") != 0:
                task.set_config(key="num_fewshot", value=self.few_shot.examples)
            task.set_fewshot_seed(seed=self.few_shot.seeds[3])
        return merged


@contextmanager
def _naming(what: str, *, loads: bool) -> Iterator[None]:
    """Turn errors of lm-evaluation-harness into ours, with what failed."""
    try:
        yield
    except BurnishError:
        raise
    except Exception as error:  # a task may raise anything
        if {type(one).__name__ for one in _chain(error)} & set(_OFFLINE):
            raise MachineError(
                "machine.no-network",
                f"{what}: its rows are on a hub that cannot be reached, and not in the cache: {reason(error)}",
                "download them where there is a network (HF_HOME is the cache), or give a local task with its files",
            ) from error
        what = f"{what}: {type(error).__name__}: {reason(error)}"
        if loads:
            raise DataError("data.unreadable", what, "correct the file; run.log has the traceback") from error
        raise RunError("run.failed", what, "run.log has the traceback; correct the task") from error


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def plain(found: Mapping[str, Any]) -> dict[str, Any]:
    """What of the results is kept in metrics.json."""
    kept = ("results", "groups", "group_subtasks", "versions", "n-shot", "higher_is_better", "n-samples", "configs")
    return {key: found[key] for key in kept if key in found}
