"""Rollouts on disk: each is published before a step uses it, and read back when the run resumes between its steps.

scratch/rollouts/00000012/
    completions.jsonl   the prompts with their completions and rewards, one line for each prompt
    rows.npz            the tokenised rows with all of their values; removed when no checkpoint needs it any more
    record.json         number, metrics, the sha256 of both files, and that of the record before: a checkpoint keeps the
                        sha256 of the last record that its steps used, and so is bound to all of them
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.core.files import publish_folder, read_json, write_json, write_lines
from burnish.tokens.tokenised import Indices, TokenisedRows

COMPLETIONS, ROWS, RECORD = "completions.jsonl", "rows.npz", "record.json"


@dataclass(frozen=True)
class Rollout:
    """The rows of a rollout."""

    number: int
    rows: TokenisedRows
    prompts: Indices  # [rows], positions of their prompts among those of the rollout
    used: NDArray[np.bool_]  # [rows], False for rows that are left out of every step
    metrics: Mapping[str, float]


class RolloutFolder:
    """The rollouts of one run."""

    def __init__(self, path: Path):
        self.path = path

    def save(self, rollout: Rollout, completions: Iterable[Mapping[str, Any]]) -> None:
        """Publish a rollout; one of that number is replaced."""
        partial = self.path / f".saving-{rollout.number:08d}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        write_lines(partial / COMPLETIONS, completions)
        rows = rollout.rows
        arrays = {"ids": rows.ids, "weights": rows.weights, "offsets": rows.offsets, "width": np.array(rows.width)}
        arrays |= {"prompts": rollout.prompts, "used": rollout.used, "row_ids": np.array(rows.row_ids)}
        arrays |= {f"values/{name}": array for name, array in rows.values.items()}
        arrays |= {f"token_values/{name}": array for name, array in rows.token_values.items()}
        np.savez(partial / ROWS, **arrays)
        files = {name: _sha256(partial / name) for name in (COMPLETIONS, ROWS)}
        earlier = [number for number in self.numbers() if number < rollout.number]
        record = {"number": rollout.number, "metrics": encoded(rollout.metrics), "files": files}
        record["before"] = self.digest(earlier[-1]) if earlier else ""
        write_json(partial / RECORD, record)
        self.remove(rollout.number)
        publish_folder(partial, self._folder(rollout.number))

    def read(self, number: int) -> Rollout | None:
        """A rollout with its rows; None if it is missing or damaged."""
        try:
            record = read_json(self._folder(number) / RECORD)
            if self.damage(number, rows=True) is not None:
                return None
            with np.load(self._folder(number) / ROWS, allow_pickle=False) as found:
                arrays = dict(found)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        rows = TokenisedRows(
            arrays["ids"],
            arrays["weights"],
            arrays["offsets"],
            tuple(arrays["row_ids"].tolist()),
            int(arrays["width"]),
            _below("values/", arrays),
            _below("token_values/", arrays),
            may_part=True,
        )
        metrics = {name: float.fromhex(value) for name, value in record["metrics"].items()}
        return Rollout(number, rows, arrays["prompts"], arrays["used"], metrics)

    def damage(self, number: int, *, rows: bool) -> str | None:
        """Why a rollout is damaged, with its rows or without; None if it is whole."""
        folder = self._folder(number)
        try:
            files = read_json(folder / RECORD)["files"]
            for name in (COMPLETIONS, ROWS) if rows else (COMPLETIONS,):
                if _sha256(folder / name) != files[name]:
                    return f"the contents of {name} do not match its sha256"
        except FileNotFoundError as error:
            return f"{Path(error.filename).name} is missing"
        except (OSError, ValueError, KeyError, TypeError) as error:
            return f"it cannot be read ({error})"
        return None

    def digest(self, number: int) -> str:
        """The sha256 of the record of a rollout."""
        return _sha256(self._folder(number) / RECORD)

    def foreign(self, last: int, sha256: str) -> int | None:
        """The newest rollout up to `last` that is another than the one with this sha256, or than the ones before it."""
        for number in reversed([number for number in self.numbers() if number <= last]):
            if self.digest(number) != sha256:
                return number
            before = read_json(self._folder(number) / RECORD).get("before")
            if before is None:  # written by an older burnish
                return None
            sha256 = before
        return None

    def numbers(self) -> list[int]:
        """The numbers of the published rollouts, ascending."""
        return sorted(int(folder.name) for folder in self.path.glob("[0-9]*") if folder.name.isdigit())

    def values(self, metric: str) -> list[float]:
        """A metric of each rollout that has it, in their order; one that cannot be read is left out."""
        found = list[float]()
        for number in self.numbers():
            with suppress(OSError, ValueError, KeyError, TypeError):
                found.append(float.fromhex(read_json(self._folder(number) / RECORD)["metrics"][metric]))
        return found

    def completions(self, number: int) -> Iterator[dict[str, Any]]:
        """The lines of `completions.jsonl`."""
        with (self._folder(number) / COMPLETIONS).open(encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)

    def forget_rows(self, needed: Iterable[int]) -> None:
        """Remove the rows of all rollouts but the `needed` ones; their completions stay."""
        kept = set(needed)
        for number in self.numbers():
            if number not in kept:
                (self._folder(number) / ROWS).unlink(missing_ok=True)

    def forget_from(self, number: int) -> None:
        """Remove the rollouts from this number on, and what a kill left half written."""
        for later in self.numbers():
            if later >= number:
                self.remove(later)
        for leftover in self.path.glob(".*-*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def remove(self, number: int) -> None:
        """Remove one; it is renamed first, since a kill must not leave a part of it under its name."""
        folder, hidden = self._folder(number), self.path / f".removed-{number:08d}"
        if folder.exists():
            shutil.rmtree(hidden, ignore_errors=True)
            folder.rename(hidden)
            shutil.rmtree(hidden, ignore_errors=True)

    def copy_from(self, other: "RolloutFolder", upto: int) -> None:
        """Copy the rollouts of another run up to a number."""
        self.path.mkdir(parents=True, exist_ok=True)
        for number in other.numbers():
            if number <= upto:
                partial = self.path / f".saving-{number:08d}"
                shutil.rmtree(partial, ignore_errors=True)
                shutil.copytree(other._folder(number), partial)
                publish_folder(partial, self._folder(number))

    def _folder(self, number: int) -> Path:
        return self.path / f"{number:08d}"


def encoded(metrics: Mapping[str, float]) -> dict[str, str]:
    """Numbers as text that is read back exactly."""
    return {name: float(value).hex() for name, value in metrics.items()}


def _below(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
