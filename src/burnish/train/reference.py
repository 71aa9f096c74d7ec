"""Log-probabilities of a reference model: computed once before training, and kept for a resumed run.

    scratch/reference/<split>/log_probs.npy   float32 [rows, width], NaN for rows that the run does not visit
                              record.json     the origin of the numbers, and the sha256 of the file

Numbers of another origin, or a damaged file, are computed again.
"""

import hashlib
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from burnish.core.errors import RunError
from burnish.core.events import Note, Progress
from burnish.core.files import publish_folder, read_json, write_json
from burnish.tokens.tokenised import Indices, TokenisedRows
from burnish.train.passes import ForwardPasses, StopAskedError

_ROWS_AT_ONCE = 512
"""Rows between two progress events."""


def with_reference(
    passes: ForwardPasses, data: TokenisedRows, visited: Indices, folder: Path, origin: str
) -> TokenisedRows:
    """The rows with their value `reference` [rows, width]: log-probabilities under the model of `passes`.

    Only those of the `visited` rows are computed, unless `folder` has them from an earlier attempt with the same
    `origin`. Errors: RunError `run.interrupted`; those of `ForwardPasses.each`.
    """
    values = _read(folder, origin, (len(data), data.width))
    known = 0
    if values is None:
        values = np.full((len(data), data.width), np.nan, np.float32)
    missing = visited[np.isnan(values[visited]).any(1)]
    try:
        for start in range(0, len(missing), _ROWS_AT_ONCE):
            rows = missing[start : start + _ROWS_AT_ONCE]
            values[rows] = sequence_log_probs(passes, data, rows)
            known = start + len(rows)
            passes.emit(Progress(phase="reference", done=known, total=len(missing)))
    except StopAskedError:
        text = f"stopped after the reference's log-probabilities of {known:,} of {len(missing):,} rows"
        raise RunError("run.interrupted", text, "run it again: they are kept") from None
    finally:
        if known:
            _write(folder, origin, values)
    if len(missing):
        passes.emit(Note(text=f"computed the reference's log-probabilities of {len(missing):,} rows"))
    return data.with_values(reference=values)


def sequence_log_probs(passes: ForwardPasses, data: TokenisedRows, rows: Indices) -> NDArray[np.float32]:
    """The log-probability of the learned tokens of each sequence of the given rows [len(rows), width]."""
    places = {row: place for place, row in enumerate(rows.tolist())}
    values = np.zeros((len(rows), data.width), np.float32)
    for part, found in passes.each(data, rows, lambda batch: -batch.sums(passes.scorer.token_losses(batch))):
        values[[places[row] for row in part.tolist()]] = found.reshape(-1, data.width).float().cpu().numpy()
    return values


def _write(folder: Path, origin: str, values: NDArray[np.float32]) -> None:
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    np.save(partial / "log_probs.npy", values)
    write_json(partial / "record.json", {"origin": origin, "sha256": _digest(partial)})
    shutil.rmtree(folder, ignore_errors=True)
    publish_folder(partial, folder)


def _read(folder: Path, origin: str, shape: tuple[int, int]) -> NDArray[np.float32] | None:
    """The numbers of an earlier attempt; None if they are of another origin, missing or damaged."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        if read_json(folder / "record.json") == {"origin": origin, "sha256": _digest(folder)}:
            values = np.load(folder / "log_probs.npy", allow_pickle=False)
            return values if values.shape == shape else None
    return None


def _digest(folder: Path) -> str:
    return hashlib.sha256((folder / "log_probs.npy").read_bytes()).hexdigest()
