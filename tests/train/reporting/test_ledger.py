"""The row ledger: every visit once, whatever happened in between."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from burnish.core.errors import RunError
from burnish.train.reporting.ledger import RowLedger, publish, record


def visit(row: int, step: int):
    return record(np.array([row]), 0, step, np.array([0.5]), np.array([3]))


def test_visits_after_the_checkpoint_are_cut_off_on_resume(tmp_path):
    path = tmp_path / "ledger" / "visits.bin"
    ledger = RowLedger(path)
    ledger.append([visit(0, 1), visit(1, 1)])
    offset = ledger.write()
    ledger.append([visit(2, 2)])
    ledger.close()
    with path.open("ab") as file:
        file.write(b"torn")
    resumed = RowLedger(path, offset)
    resumed.append([visit(2, 2)])
    resumed.write()
    resumed.close()
    publish(path, ("a", "b", "c"), tmp_path / "rows.parquet")
    table = pq.read_table(tmp_path / "rows.parquet").to_pydict()
    assert table == {
        "id": ["a", "b", "c"],
        "epoch": [0, 0, 0],
        "step": [1, 1, 2],
        "loss": [0.5, 0.5, 0.5],
        "learned_tokens": [3, 3, 3],
    }


def test_a_ledger_shorter_than_its_checkpoint_says_is_refused(tmp_path):
    with pytest.raises(RunError, match="expects 40"):
        RowLedger(tmp_path / "visits.bin", 40)


def test_the_ledger_of_a_run_holds_each_rows_own_loss_at_each_visit(run_fit, random_rows):
    rows = random_rows()
    ran = run_fit("run", rows=rows, max_steps=10, batch_size=6)
    table = pq.read_table(ran.folder / "out/rows.parquet").to_pandas()
    assert sorted(table["id"]) == sorted(list(rows.row_ids) * 2)  # ten steps of six are two visits of thirty rows
    assert sorted(table[table.epoch == 0]["id"]) == sorted(rows.row_ids)
    counts = np.add.reduceat(rows.weights > 0, rows.offsets[:-1], dtype=int)
    learned = dict(zip(rows.row_ids, counts.tolist(), strict=True))
    assert all(learned[name] == count for name, count in zip(table["id"], table["learned_tokens"], strict=True))
    of_step = table[table.step == 4]
    mean = (of_step["loss"] * of_step["learned_tokens"]).sum() / of_step["learned_tokens"].sum()
    assert mean == pytest.approx(ran.metrics("loss")[3], rel=1e-5)
