"""The rollout ledger: every completion of a run with its rewards, as a table; also that of a run that goes on."""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from burnish.core.errors import AskError, RunError
from burnish.train.rollout.store import RolloutFolder

NAME = "rollouts.parquet"
_TEXT = (pa.string(), ("id", "source", "prompt", "reference", "text", "finish_reason"))
_COUNT = (pa.int64(), ("rollout", "step", "sample", "tokens"))
_NUMBER = (pa.float64(), ("reward", "advantage", "value", "kl"))


def publish(folder: RolloutFolder, target: Path) -> None:
    """Write all rollouts to a parquet file, a line for each completion, one rollout at a time.

    Errors: RunError `run.broken-record` for a damaged one.
    """
    numbers = folder.numbers()
    if not numbers:
        return
    schema = _schema(next(iter(_lines(_whole(folder, numbers[0])))))
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for number in numbers:
            writer.write_table(pa.Table.from_pylist(list(_lines(_whole(folder, number))), schema=schema))


def _whole(folder: RolloutFolder, number: int) -> Iterator[dict[str, Any]]:
    """The prompts of a rollout. Errors: RunError `run.broken-record` if it is damaged."""
    reason = folder.damage(number, rows=False)
    if reason is not None:
        what = f"rollout {number} in {folder.path} is damaged: {reason}"
        raise RunError("run.broken-record", what, "restore it from a copy, or start the training over")
    return folder.completions(number)


def _schema(line: dict[str, Any]) -> pa.Schema:
    kinds = {name: kind for kind, names in (_TEXT, _COUNT, _NUMBER) for name in names} | {"learned": pa.bool_()}
    kinds["rewards"] = pa.struct([(name, pa.float64()) for name in line["rewards"]])
    kinds["why"] = pa.struct([(name, pa.string()) for name in line["why"]])
    return pa.schema([(name, kinds[name]) for name in line])


def _lines(groups: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """A line for each completion of each prompt."""
    for group in groups:
        about = {name: value for name, value in group.items() if name != "completions"}
        about["prompt"] = json.dumps(group["prompt"], ensure_ascii=False)
        for sample, one in enumerate(group["completions"]):
            yield {**about, "sample": sample, **one}


def first_step_of(folder: RolloutFolder, ids: Sequence[str]) -> int | None:
    """The first step on the first rollout with completions of these prompts; None if there is none.

    Errors: RunError `run.broken-record` for a damaged one.
    """
    named, lines = set(ids), (line for number in folder.numbers() for line in _whole(folder, number))
    return next((line["step"] for line in lines if line["id"] in named), None)


def completions_at(ledger: Path, step: int | None) -> list[dict[str, Any]]:
    """The completions that the optimizer step `step` used, of the last one for None.

    `ledger` is `rollouts.parquet` of an artifact, or the folder of rollouts of a run that has not ended.
    Errors: AskError `ask.wrong-value` for a step without a rollout; RunError `run.broken-record` for a damaged one,
    `run.damaged-artifact` for a file that cannot be read.
    """
    if ledger.is_dir():
        folder = RolloutFolder(ledger)
        starts = {next(_whole(folder, number))["step"]: number for number in folder.numbers()}
    else:
        steps = _read(ledger, columns=["step"])["step"].unique().to_pylist()
        starts = {start: start for start in steps}
    before = [start for start in starts if step is None or start <= step]
    if not before:
        first = f"the first rollout begins at step {min(starts)}" if starts else "there is no rollout yet"
        raise AskError("ask.wrong-value", f"no completions were used at step {step}: {first}", "name a later step")
    start = max(before)
    ordered = sorted(starts)
    most = max((later - first for first, later in pairwise(ordered)), default=None)  # steps on a rollout
    if step is not None and most is not None and step >= start + most:
        what = f"the last rollout begins at step {start}, and no rollout is used for more than {most} steps"
        raise AskError("ask.wrong-value", f"no completions were used at step {step}: {what}", "name an earlier step")
    if ledger.is_dir():
        return list(_lines(RolloutFolder(ledger).completions(starts[start])))
    return _read(ledger, filters=[("step", "==", start)]).to_pylist()


def _read(ledger: Path, **choice: Any) -> pa.Table:
    """RunError `run.damaged-artifact` for a file that is no rollout ledger."""
    try:
        return pq.read_table(ledger, **choice)
    except (OSError, ValueError, pa.ArrowException) as error:
        fix = "restore it from a copy, or run the step again"
        raise RunError("run.damaged-artifact", f"{ledger} is damaged: it cannot be read ({error})", fix) from error
