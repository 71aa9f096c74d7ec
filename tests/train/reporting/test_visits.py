"""A row ledger that is read back."""

import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from burnish.core.errors import RunError
from burnish.train.reporting.ledger import LedgerType, RowLedger, name_rows
from burnish.train.reporting.visits import Visits


def table(**columns):
    visits = {"id": ["a", "b", "a", "b", "c"], "step": [1, 1, 2, 2, 3], "loss": [3.0, 1.0, 2.0, 4.0, 2.5]}
    return pa.table({**visits, **columns})


def test_rows_are_ranked_by_their_last_loss_their_mean_and_their_rise():
    visits = Visits(table())
    names = [visits.of(row)["id"] for row in range(3)]

    def ranked(measure, **options):
        return [names[row] for row in visits.ranked(measure, **{"highest": True, "most": 9} | options)]

    assert ranked("last") == ["b", "c", "a"]
    assert ranked("last", highest=False, most=2) == ["a", "c"]
    assert ranked("mean") == ["a", "b", "c"]  # equal means keep the order of the first visits
    assert ranked("rise") == ["b", "a"]  # c was visited once
    assert visits.once == 1
    assert visits.of(names.index("b"))["rise"] == 3.0
    assert visits.of(names.index("c"))["rise"] is None


def test_a_loss_that_is_not_a_number_is_the_worst():
    visits = Visits(table(loss=[1.0, 1.0, float("nan"), 4.0, 2.5]))
    assert [visits.of(row)["id"] for row in visits.ranked("last", highest=True, most=3)] == ["a", "b", "c"]
    assert [visits.of(row)["id"] for row in visits.ranked("last", highest=False, most=1)] == ["c"]


def test_every_column_of_numbers_is_read_and_no_other(tmp_path):
    more = {"margin": [0.5, None, 0.7, 0.8, 0.9], "chosen_wins": [True, False, True, True, True], "text": ["x"] * 5}
    pq.write_table(table(**more), tmp_path / "rows.parquet")
    visits = Visits.read(tmp_path / "rows.parquet")
    assert visits.columns == ["step", "loss", "margin", "chosen_wins"]
    assert visits.of(1)["visits"] == [
        {"step": 1, "loss": 1.0, "margin": None, "chosen_wins": False},
        {"step": 2, "loss": 4.0, "margin": 0.8, "chosen_wins": True},
    ]


def test_a_row_is_named_by_its_id_or_by_one_of_its_pieces():
    visits = Visits(table(id=["a#1", "a#2", "a#1", "ab", "ab"]))
    assert visits.named("a") == [0, 1]
    assert visits.named("a#2") == [1]
    assert visits.named("ab") == [2]
    assert visits.named("b") == []


def test_many_rows_are_looked_up_without_a_walk_over_the_ledger_for_each():
    ids = [f"{number:016x}" for number in range(20_000)]
    visits = Visits(pa.table({"id": ids, "step": [1] * len(ids), "loss": [0.5] * len(ids)}))
    began = time.process_time()
    for row, name in enumerate(ids[:300]):
        assert visits.named(name) == [row]
        assert visits.of(row)["rise"] is None
    assert time.process_time() - began < 1


@pytest.mark.parametrize("names", [(), ("margin",), ("chosen", "rejected")], ids=len)
def test_an_unfinished_ledger_is_read_up_to_its_last_whole_record(tmp_path, names):
    path, type = tmp_path / "ledger" / "visits.bin", LedgerType(names)
    ledger = RowLedger(path)
    for step in (1, 2):
        values = np.array([[0.5, step], *([7 + place, 8 * step] for place in range(len(names)))])
        ledger.append([type.record(np.array([1, 0]), 0, step, values, np.array([3, 4]))])
    ledger.write()
    ledger.close()
    name_rows(path, ("a", "b", "never visited"), type)
    with path.open("ab") as file:
        file.write(b"torn")
    visits = Visits.read(path)
    assert (len(visits), visits.count, visits.last_step) == (2, 4, 2)
    entry = visits.of(visits.named("a")[0])
    assert [visit["loss"] for visit in entry["visits"]] == [1.0, 2.0]
    assert [visit["learned_tokens"] for visit in entry["visits"]] == [4, 4]
    assert visits.columns == ["epoch", "step", "loss", "learned_tokens", *names]
    assert [[visit[name] for name in names] for visit in entry["visits"]] == [[8] * len(names), [16] * len(names)]


def test_a_ledger_without_visits_has_no_rows(tmp_path):
    name_rows(tmp_path / "visits.bin", ("a",))
    (tmp_path / "visits.bin").touch()
    visits = Visits.read(tmp_path / "visits.bin")
    assert (len(visits), visits.count, visits.last_step, visits.once) == (0, 0, 0, 0)
    assert [visits.ranked(measure, highest=True, most=3) for measure in ("last", "mean", "rise")] == [[], [], []]


@pytest.mark.parametrize("content", [b"", b"PAR1 nothing PAR1"], ids=["empty", "damaged"])
def test_a_ledger_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "rows.parquet"
    path.write_bytes(content)
    with pytest.raises(RunError, match=f"the row ledger {path} cannot be read"):
        Visits.read(path)


def test_a_ledger_without_losses_is_refused(tmp_path):
    pq.write_table(table().drop_columns(["loss", "step"]), tmp_path / "rows.parquet")
    with pytest.raises(RunError, match="it has no column step or loss"):
        Visits.read(tmp_path / "rows.parquet")
