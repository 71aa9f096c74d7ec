"""Two runs by their evaluations: which belong together, and the difference that their rows show."""

from pathlib import Path
from typing import Any

from burnish.core.runs.workspace import Workspace
from burnish.studio.evaluations.records import evaluation_of, evaluations_in
from burnish.studio.evaluations.scores import of_comparison
from burnish.studio.kept_workrooms import KeptWorkroom
from burnish.studio.workrooms import require

_PAIRS = KeptWorkroom("burnish.stages.evals.pairs", most=1)


def pairs(one: str, other: str, *, workspace: Path | str | None = None) -> list[dict[str, str]]:
    """The evaluations of two runs that can be compared: `step`, and the runs `one` and `other` of it.

    Steps of the same name belong together; the only evaluations of both runs do so by any names. What both runs reuse
    is left out. Errors: AskError `ask.no-such-run`.
    """
    place = Workspace.find(workspace)
    left, right = (evaluations_in(name, place) for name in (one, other))
    names = [(step, step) for step in left if step in right]
    if not names and len(left) == len(right) == 1:
        names = [(next(iter(left)), next(iter(right)))]
    found = [(step, left[step].name, right[partner].name) for step, partner in names]
    return [{"step": step, "one": first, "other": second} for step, first, second in found if first != second]


def difference(one: str, other: str, *, workspace: Path | str | None = None) -> dict[str, Any]:
    """The scores of two evaluations on the rows that both have, and their differences with intervals, as `compare`
    finds them: in the shape of `evaluation`, with `warnings`.

    Errors: AskError `ask.no-such-run`; DataError `data.other-rows` for evaluations of other rows.
    """
    require("numpy", "train")
    place = Workspace.find(workspace)
    request: dict[str, Any] = {}
    for side, name in (("one", one), ("other", other)):
        run, made = evaluation_of(name, place)
        request[side] = made.as_input(run.reference).to_json()
    found = _PAIRS.ask(request)
    return {**of_comparison(found), "warnings": found["warnings"]}
