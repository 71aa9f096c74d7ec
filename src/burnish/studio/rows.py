"""Rows of a training step with their losses: the row ledger of `burnish.train.reporting`, for people."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from burnish.core.context import Input
from burnish.core.errors import AskError, BurnishError, RunError
from burnish.core.fingerprint import of_file
from burnish.core.inputs import hub
from burnish.core.inputs.checks import check_input
from burnish.core.naming import nearest
from burnish.core.runs.artifact import Artifact, Damage, summary
from burnish.core.runs.run import Run
from burnish.core.runs.workspace import Workspace
from burnish.studio.workrooms import ask, require

SORTS = ("last", "mean", "rise")
WORST = 20
_PUBLISHED, _UNFINISHED = "rows.parquet", Path("ledger") / "visits.bin"


def rows(
    name: str = "latest",
    *,
    step: str | None = None,
    worst: int | None = None,
    best: int | None = None,
    row: str | Sequence[str] = (),
    sort: str = "last",
    at: int | None = None,
    workspace: Path | str | None = None,
) -> dict[str, Any]:
    """Rows of a training step with their text and their loss at each visit.

    `worst` (20 by default) have the highest and `best` the lowest loss, sorted by the `last` one, the `mean`, or the
    `rise` from the first to the last; `row` names rows by id. With `at`, they are among the rows that this optimizer
    step visited, sorted by their loss there. `step` names the step of a run with several training
    steps. Of a run that has not ended, the visits up to its last save are known.

    Returns a dict: `run`, `state`, `data`, counts, `columns`, `notes`, and the lists `worst`, `best` and `named` of
    rows: `id`, `visits`, `first`, `last`, `mean`, `rise`, `copies`, and `row`, or `missing`, why its text is not there.
    """
    ids = [row] if isinstance(row, str) else list(row)
    if sort not in SORTS:
        raise AskError("ask.wrong-value", f"sort: '{sort}' is unknown", nearest(sort, SORTS))
    if at is not None and sort != "last":
        what = f"the rows of step {at} are sorted by their loss there, not by {sort}"
        raise AskError("ask.wrong-value", what, "leave out sort, or at")
    for field, number in (("worst", worst), ("best", best), ("at", at)):
        if number is not None and number < 0:
            raise AskError("ask.wrong-value", f"{field} is {number}, which is below 0", f"set {field} to 1 or more")
    if worst is None:
        worst = 0 if ids or best else WORST
    require("pyarrow", "data")
    place = Workspace.find(workspace)
    run = training_step(place.find_runs(name), name, step)
    known = place.hashes()
    known_before = dict(known)
    ledger, notes = ledger_of(run, known)
    data, reason = _data(run, known)
    if known != known_before:
        place.remember_hashes(known)
    request = {
        "ledger": str(ledger),
        "data": None if data is None else data.to_json(),
        "reason": reason,
        "choice": {"worst": worst, "best": best or 0, "rows": ids, "sort": sort, "at": at},
    }
    found = ask("burnish.stages.train.rows", request)
    if sort == "rise" and found["visited_once"]:
        notes.append(f"{found['visited_once']:,} rows were visited once: they have no rise, and are left out")
    if at is not None and (worst or best) and not found["worst"] and not found["best"]:
        notes.append(f"step {at:,} visited no row: the ledger has the steps up to {found['step']:,}")
    ref = data.ref if data is not None else None
    return {"run": run.name, "state": run.state, "data": ref, "sort": sort, "at": at, **found, "notes": notes}


def training_step(found: Sequence[Run], name: str, step: str | None) -> Run:
    """The step that has a row ledger. Errors: those of `step_with`."""
    return step_with("row ledger", _has_ledger, "training steps", found, name, step)


def step_with(
    what: str, has: Callable[[Run], bool], steps: str, found: Sequence[Run], name: str, step: str | None
) -> Run:
    """The step of a run that has a ledger. `steps` names the kind of steps that have one.

    Errors: AskError `ask.no-such-run` for a step that the run does not have; `ask.wrong-value` with the choices if no
    step has the ledger, or several.
    """
    named = {run.folder.name: run for run in found}
    if step is not None and step not in named:
        raise AskError("ask.no-such-run", f"run '{name}' has no step '{step}'", nearest(step, list(named)))
    chosen = named if step is None else {step: named[step]}
    with_ledger = {place: run for place, run in chosen.items() if has(run)}
    if len(with_ledger) == 1:
        return next(iter(with_ledger.values()))
    if with_ledger:
        names = ", ".join(run.name for run in with_ledger.values())
        text = f"run '{name}' has several {steps}: {', '.join(with_ledger)}"
        raise AskError("ask.wrong-value", text, f"add --step {next(iter(with_ledger))}, or name one: {names}")
    if len(chosen) == 1:
        [(place, run)] = chosen.items()
        text = f"step '{place}' ({run.record['stage']}) has no {what}"
    else:
        text = f"no step of run '{name}' has a {what}: {', '.join(chosen)}"
    raise AskError("ask.wrong-value", text, f"{steps} have one, from their first checkpoint on")


def _has_ledger(run: Run) -> bool:
    return has_written(run, _PUBLISHED) or (run.scratch / _UNFINISHED).exists()


def has_written(run: Run, file: str) -> bool:
    """True if a step has written a file into its output, which may be gone."""
    if (run.out / file).exists():
        return True
    with suppress(BurnishError):  # a broken record of another step
        artifact = run.artifact()
        return artifact is not None and file in (artifact.files or {})
    return False


def ledger_of(run: Run, known: dict[str, Any]) -> tuple[Path, list[str]]:
    """The file with the visits, and notes on it. RunError `run.damaged-artifact` if it is not as the step wrote it."""
    artifact = run.artifact()
    if artifact is not None:
        refuse_damage(artifact, known, _PUBLISHED)
        return artifact.path / _PUBLISHED, []
    state = run.state
    if not (run.scratch / _UNFINISHED).with_name("rows.json").exists():
        what = f"the ids of the rows of {run.name} are not recorded: the step was started by an older burnish"
        raise RunError("run.broken-record", what, f"resume it: burnish runs resume {'/'.join(run.name.split('/')[:2])}")
    return run.scratch / _UNFINISHED, [f"the step is {state}: its ledger ends with its last save"]


def refuse_damage(artifact: Artifact, known: dict[str, Any], file: str) -> None:
    """RunError `run.damaged-artifact` if a file of an artifact is not as the step wrote it."""
    damage = [damage for damage in artifact.damage(known) if damage.file in (file, "out/")]
    repair, expected = artifact.repair, (artifact.files or {}).get(file)
    if not damage and expected is not None and of_file(artifact.path / file, {}) != expected["sha256"]:
        damage = [Damage(file, "has changed since the step wrote it, at the recorded time")]
        repair = f"restore it from a copy, or repeat the step: burnish run … --force {artifact.run.split('/')[-1]}"
    if damage:
        what = f"the artifact {artifact.path} is damaged: {summary(damage)}"
        raise RunError("run.damaged-artifact", what, repair)


def _data(run: Run, known: dict[str, Any]) -> tuple[Input | None, str]:
    """The data of a training, None if it is gone; and why its rows may not be those that the step visited."""
    recorded = run.job["inputs"].get("data")
    if recorded is None:
        return None, "the step has no input named data"
    data = Input.from_json(recorded, run.workspace)
    if data.kind == "hub-dataset":
        folder = hub.cached(data.ref.removeprefix("hub:"), data.revision, "dataset")
        if folder is None:
            return None, f"{data.ref} is no longer in {hub.cache_folder()}"
        return replace(data, path=folder, kind="folder"), ""
    if not data.path.exists():
        return None, f"{data.ref} is gone: there is no {data.path}"
    try:
        check_input(data, known)
    except BurnishError as error:
        reason = error.what
        if error.code == "run.input-changed":
            reason = f"{data.ref} changed after the step read it, and this row is no longer in it"
        return data, reason
    return data, ""
