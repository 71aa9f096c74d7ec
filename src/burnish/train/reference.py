"""Log-probabilities of a reference model: computed once before training, and kept for a run that resumes.

    scratch/reference/<name>/keys.npy        int64 [n], ascending: which answers, such as the indices of rows
                             log_probs.npy   float32 [n, width]
                             record.json     the origin of the numbers, and the sha256 of both files

Numbers of another origin, or of damaged files, are computed again.
"""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from burnish.core.context import StopRequestedError
from burnish.core.errors import RunError
from burnish.core.events import Note, Progress
from burnish.core.files import publish_folder, read_json, write_json
from burnish.tokens.tokenised import Indices, TokenisedRows
from burnish.train.objectives.pairs import log_probs_of
from burnish.train.passes import ForwardPasses
from burnish.train.ranks import ALONE, Ranks

_ROWS_AT_ONCE = 512
"""Rows between two progress events."""
_FILES = ("keys.npy", "log_probs.npy")


@dataclass(frozen=True)
class LogProbs:
    """Log-probabilities of answers by key."""

    keys: Indices  # [n], ascending
    values: NDArray[np.float32]  # [n, width]

    def of(self, keys: Indices) -> NDArray[np.float32]:
        """Those of some keys, all of which are known."""
        return self.values[np.searchsorted(self.keys, keys)]

    def without(self, keys: Indices) -> Indices:
        """The keys that are not known."""
        return keys[~np.isin(keys, self.keys)]

    def joined(self, other: "LogProbs") -> "LogProbs":
        """Both, which share no key."""
        keys = np.concatenate([self.keys, other.keys])
        order = np.argsort(keys)
        return LogProbs(keys[order], np.concatenate([self.values, other.values])[order])


RowsOf = Callable[[Indices], tuple[TokenisedRows, Indices]]
"""Tokenised rows with the answers of some keys, and the index of each."""


def reference_log_probs(
    passes: Callable[[], ForwardPasses],
    keys: Indices,
    rows_of: RowsOf,
    width: int,
    folders: Sequence[Path],
    origin: str,
    ranks: Ranks = ALONE,
) -> LogProbs:
    """The log-probabilities of the answers with these keys under the model of `passes`, its adapter switched off.

    Only those are computed that none of the `folders` has from an earlier attempt with the same `origin`; they are
    kept in the first. Of several processes, the first one knows them.

    Errors: RunError `run.interrupted`; those of `ForwardPasses.each`.
    """
    known = ranks.of_first(lambda: _kept(folders, origin, width))
    missing = known.without(keys)
    if not len(missing):
        return known
    made, new = passes(), list[NDArray[np.float32]]()
    done = 0
    try:
        for start in range(0, len(missing), _ROWS_AT_ONCE):
            data, rows = rows_of(missing[start : start + _ROWS_AT_ONCE])
            new.append(sequence_log_probs(made, data, rows))
            done = start + len(rows)
            made.emit(Progress(phase="reference", done=done, total=len(missing)))
    except StopRequestedError:
        text = f"stopped after the reference's log-probabilities of {done:,} of {len(missing):,} answers"
        raise RunError(
            "run.interrupted", text, "run it again: a run without a checkpoint computes them again"
        ) from None
    finally:
        if new:
            known = known.joined(LogProbs(missing[:done], np.concatenate(new)))
            _write(folders[0], origin, known)
    made.emit(Note(text=f"computed the reference's log-probabilities of {len(missing):,} rows"))
    return known


def _kept(folders: Sequence[Path], origin: str, width: int) -> LogProbs:
    known = LogProbs(np.zeros(0, np.int64), np.zeros((0, width), np.float32))
    for folder in folders:
        found = _read(folder, origin, width)
        if found is not None and len(missing := known.without(found.keys)):
            known = known.joined(LogProbs(missing, found.of(missing)))
    return known


def sequence_log_probs(passes: ForwardPasses, data: TokenisedRows, rows: Indices) -> NDArray[np.float32]:
    """The log-probability of the learned tokens of each sequence of the given rows [len(rows), width].

    The adapter of the model, if any, is switched off. Errors: StopRequestedError; those of `ForwardPasses.each`.
    """
    places = {row: place for place, row in enumerate(rows.tolist())}
    values = np.zeros((len(rows), data.width), np.float32)
    with passes.scorer.untrained():
        for part, found in passes.each(data, rows, lambda batch: log_probs_of(passes.scorer, batch)):
            values[[places[row] for row in part.tolist()]] = found.float().cpu().numpy()
    return values


def _write(folder: Path, origin: str, known: LogProbs) -> None:
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for file, array in zip(_FILES, (known.keys, known.values), strict=True):
        np.save(partial / file, array)
    write_json(partial / "record.json", {"origin": origin, "sha256": _digest(partial)})
    shutil.rmtree(folder, ignore_errors=True)
    publish_folder(partial, folder)


def _read(folder: Path, origin: str, width: int) -> LogProbs | None:
    """The numbers of an earlier attempt; None if they are of another origin, missing or damaged."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        if read_json(folder / "record.json") == {"origin": origin, "sha256": _digest(folder)}:
            keys, values = (np.load(folder / file, allow_pickle=False) for file in _FILES)
            return LogProbs(keys, values) if values.shape == (len(keys), width) else None
    return None


def _digest(folder: Path) -> str:
    total = hashlib.sha256()
    for file in _FILES:
        total.update((folder / file).read_bytes())
    return total.hexdigest()
