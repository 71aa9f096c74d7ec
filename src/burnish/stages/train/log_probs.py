"""Log-probabilities of answers as an artifact: what the stage `reference` writes, and dpo and kto read.

log_probs.parquet   id, split, tokens (16 hex digits of the sha256 of ids and learned positions), and a float32
                    column for each answer: chosen and rejected, or completion
reference.json      the model, its fingerprint and digest, dtype and quantization; digests of tokenizer and table
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from burnish.core.context import Input
from burnish.core.errors import DataError, ModelError, RunError
from burnish.core.files import read_json, write_json
from burnish.tokens.tokenised import Indices, TokenisedRows
from burnish.train.reference import LogProbs

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

KIND = "log-probabilities"
TABLE, RECORD = "log_probs.parquet", "reference.json"
ANSWERS = {1: ("completion",), 2: ("chosen", "rejected")}
"""Names of the columns by the number of answers of a row."""


def write_log_probs(
    folder: Path,
    found: Sequence[tuple[str, TokenisedRows, LogProbs]],
    model: Input,
    tokenizer: "PreTrainedTokenizerBase",
    dtype: str,
    quantization: str | None = None,
) -> None:
    """Write the log-probabilities of all rows of some splits: (split, rows, those by index).

    `quantization` is that of the model's linear layers while they were computed, None for weights in `dtype`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = ANSWERS[found[0][1].width]
    columns: dict[str, list[Any]] = {name: [] for name in ("id", "split", "tokens", *names)}
    for split, data, log_probs in found:
        columns["id"] += data.row_ids
        columns["split"] += [split] * len(data)
        columns["tokens"] += [_digest_of(data, row) for row in range(len(data))]
        values = log_probs.of(np.arange(len(data)))
        for place, name in enumerate(names):
            columns[name] += values[:, place].tolist()
    types = {name: pa.float32() if name in names else pa.string() for name in columns}
    table = pa.table({name: pa.array(column, types[name]) for name, column in columns.items()})
    pq.write_table(table, folder / TABLE)
    record = {"model": model.ref, "model_fingerprint": model.fingerprint, "model_digest": model.digest, "dtype": dtype}
    record |= {
        "quantization": quantization,
        "tokenizer": _digest_of_tokenizer(tokenizer),
        "sha256": _digest_of_file(folder / TABLE),
    }
    write_json(folder / RECORD, record)


@dataclass(frozen=True)
class SavedLogProbs:
    """The log-probabilities in an artifact, by row id."""

    ref: str
    model: str
    model_fingerprint: str
    rows: dict[str, tuple[str, tuple[float, ...]]]
    """Digest of the tokens and log-probability of each answer."""
    answers: tuple[str, ...]
    tokenizer: str
    dtype: str
    quantization: str | None
    model_digest: str = ""

    def is_of(self, model: Input) -> bool:
        """Whether they were computed with this model: of a recipe that was run again, with the same files."""
        is_alike = bool(self.model_fingerprint) and self.model_fingerprint == model.fingerprint
        return is_alike and not (self.model_digest and model.digest and self.model_digest != model.digest)

    def is_of_other_files(self, model: Input) -> bool:
        """Whether their model is of the same recipe as this one, and has other files."""
        return self.model_fingerprint == model.fingerprint and not self.is_of(model) and bool(self.model_fingerprint)

    @classmethod
    def read(cls, source: Input) -> "SavedLogProbs":
        """Read an artifact. Errors: RunError `run.damaged-artifact`."""
        import pyarrow.parquet as pq

        path = source.path
        try:
            record = read_json(path / RECORD)
            if record["sha256"] != _digest_of_file(path / TABLE):
                raise _damaged(path, f"{TABLE} does not have the sha256 in {RECORD}")
            columns = pq.read_table(path / TABLE).to_pydict()
            answers = next(names for names in ANSWERS.values() if names[0] in columns)
            values = zip(*(columns[name] for name in answers), strict=True)
            rows = zip(columns["id"], zip(columns["tokens"], values, strict=True), strict=True)
            about = (record["tokenizer"], record["dtype"], record.get("quantization"), record.get("model_digest", ""))
            return cls(source.ref, record["model"], record["model_fingerprint"], dict(rows), answers, *about)
        except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
            raise _damaged(path, f"it cannot be read ({type(error).__name__}: {error})") from error

    def refuse_other_tokenizer(self, tokenizer: "PreTrainedTokenizerBase", base: str) -> None:
        """ModelError `model.broken` where the answers were tokenised by another tokenizer."""
        if self.tokenizer != _digest_of_tokenizer(tokenizer):
            raise ModelError(
                "model.broken",
                f"{self.ref} was computed with {self.model}, which has another tokenizer than {base}",
                "choose a reference with the same tokenizer, or reference: base",
            )

    def of(self, data: TokenisedRows, rows: Indices, split: str) -> LogProbs:
        """Those of some rows of a split. Errors: DataError `data.other-rows`, which says what differs."""
        expected = ANSWERS[data.width]
        if expected != self.answers:
            raise self._other(f"it has the columns {' and '.join(self.answers)}, not {' and '.join(expected)}")
        names = [data.row_ids[row] for row in rows.tolist()]
        if missing := [name for name in names if name not in self.rows]:
            raise self._other(f"it lacks {len(missing):,} of {len(names):,} {split} rows, such as {missing[0]}")
        pairs = zip(rows.tolist(), names, strict=True)
        if changed := [name for row, name in pairs if self.rows[name][0] != _digest_of(data, row)]:
            what = f"{len(changed):,} of {len(names):,} {split} rows have other tokens there, such as {changed[0]}"
            raise self._other(f"{what}: another chat template, or another setting of render")
        values = np.array([self.rows[name][1] for name in names], np.float32).reshape(-1, data.width)
        return LogProbs(rows, values)

    def _other(self, what: str) -> DataError:
        fix = "run the stage `reference` on the same data with the same render, or set reference to its model"
        return DataError("data.other-rows", f"the log-probabilities {self.ref} are of other rows: {what}", fix)


def _damaged(folder: Path, why: str) -> RunError:
    """A plain second run would reuse the artifact: a flipped bit does not change the size and time of its files."""
    fix = "compute it again with the stage `reference`"
    if folder.name == "out":  # runs/RECIPE/NUMBER/STEP/out
        recipe, _, step = folder.parts[-4:-1]
        fix = f"run the recipe {recipe} with --force {step}, which computes it again"
    return RunError("run.damaged-artifact", f"{folder} is damaged: {why}", fix)


def _digest_of(data: TokenisedRows, row: int) -> str:
    total = hashlib.sha256()
    for span in data.spans(row):
        total.update(np.int64(span.stop - span.start).tobytes())
        total.update(np.ascontiguousarray(data.ids[span]).data)
        total.update(np.packbits(data.weights[span] > 0).data)
    return total.hexdigest()[:16]


def _digest_of_tokenizer(tokenizer: "PreTrainedTokenizerBase") -> str:
    return hashlib.sha256(json.dumps(sorted(tokenizer.get_vocab().items())).encode()).hexdigest()


def _digest_of_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
