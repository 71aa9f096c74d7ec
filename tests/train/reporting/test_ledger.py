"""The row ledger: every visit once, whatever happened in between."""

import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

from burnish.core.errors import RunError
from burnish.train.checkpoints import checkpoint
from burnish.train.loop import Loop
from burnish.train.reporting.ledger import LedgerType, RowLedger, damage, publish


def visit(row: int, step: int):
    return LedgerType().record(np.array([row]), 0, step, np.array([[0.5]]), np.array([3]))


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


def test_further_values_of_rows_are_columns_of_their_own(tmp_path):
    type, path = LedgerType(("margin", "correct")), tmp_path / "ledger" / "visits.bin"
    ledger = RowLedger(path)
    ledger.append([type.record(np.array([1, 0]), 2, 5, np.array([[0.5, 0.25], [7, 8], [1, 0]]), np.array([3, 4]))])
    assert ledger.write() == 2 * 28
    ledger.close()
    publish(path, ("a", "b"), tmp_path / "rows.parquet", type)
    table = pq.read_table(tmp_path / "rows.parquet").to_pydict()
    assert table["id"] == ["b", "a"]
    assert (table["loss"], table["margin"], table["correct"]) == ([0.5, 0.25], [7, 8], [1, 0])
    assert list(table)[-3:] == ["learned_tokens", "margin", "correct"]
    assert "(1 visits of rows)" in damage(path, 28, "not this", type)


def test_a_further_value_that_a_row_does_not_have_is_null(tmp_path):
    type, path = LedgerType(("reward",)), tmp_path / "ledger" / "visits.bin"
    ledger, count = RowLedger(path), 19
    rewards = np.where(np.arange(count) % 3 == 1, np.nan, np.arange(count))
    losses = np.full(count, np.nan)
    ledger.append([type.record(np.zeros(count, int), 0, 1, np.array([losses, rewards]), np.ones(count))])
    ledger.write()
    ledger.close()
    publish(path, ("a",), tmp_path / "rows.parquet", type)
    table = pq.read_table(tmp_path / "rows.parquet")
    assert table["reward"].to_pylist() == [None if place % 3 == 1 else float(place) for place in range(count)]
    assert table["loss"].null_count == 0  # a loss that is not a number is a finding


def test_names_of_any_script_and_a_ledger_without_visits_are_published(tmp_path):
    path, target = tmp_path / "visits.bin", tmp_path / "rows.parquet"
    path.write_bytes(b"".join(visit(row, 1).tobytes() for row in (2, 0, 2, 1)))
    publish(path, ("a", "bö", "", "€ 4"), target)
    assert pq.read_table(target).to_pydict()["id"] == ["", "a", "", "bö"]
    assert list(map(str, pq.read_schema(target).types)) == ["string", "int32", "int32", "float", "int32"]
    path.write_bytes(b"")
    publish(path, (), target)
    assert pq.read_table(target).to_pydict() == {n: [] for n in ("id", "epoch", "step", "loss", "learned_tokens")}


def test_a_ledger_is_published_without_pandas_which_takes_longer_to_import_than_all_else(tmp_path):
    pytest.importorskip("pandas")
    path = tmp_path / "visits.bin"
    path.write_bytes(visit(0, 1).tobytes())
    program = """if True:
        import sys
        from pathlib import Path
        from burnish.train.reporting.ledger import publish
        publish(Path(sys.argv[1]), ("a",), Path(sys.argv[2]))
        sys.exit("pandas" in sys.modules)
    """
    subprocess.run([sys.executable, "-c", program, path, tmp_path / "rows.parquet"], check=True)


@pytest.fixture
def written(tmp_path):
    """A ledger of five visits: its path, its offset and its digest."""
    ledger = RowLedger(tmp_path / "ledger" / "visits.bin")
    ledger.append([visit(0, 1), visit(1, 1)])
    ledger.write()
    ledger.append([visit(row, 2) for row in range(3)])
    offset = ledger.write()
    ledger.close()
    return ledger.path, offset, ledger.sha256


def test_a_changed_byte_anywhere_before_the_offset_of_a_checkpoint_is_damage(written):
    path, offset, digest = written
    whole = path.read_bytes()
    assert len(whole) == offset == 100
    assert damage(path, offset, digest) is None
    for place in range(offset):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        assert damage(path, offset, digest) == "its first 100 bytes (5 visits of rows) do not match their sha256"
    path.write_bytes(whole + b"later")
    assert damage(path, offset, digest) is None


def test_a_short_missing_or_unreadable_ledger_is_damage(written, bound_by_permissions):
    path, offset, digest = written
    path.write_bytes(path.read_bytes()[:99])
    assert damage(path, offset, digest) == "it has 99 bytes instead of 100"
    path.chmod(0)
    with bound_by_permissions():
        assert damage(path, offset, digest) == "it cannot be read (Permission denied)"
    path.unlink()
    assert damage(path, offset, digest) == "it is missing"
    assert damage(path, 0, digest) is None


def test_a_digest_continues_where_a_resumed_run_continues(written):
    path, offset, digest = written
    with path.open("ab") as file:
        file.write(b"torn")
    resumed = RowLedger(path, offset)
    assert (resumed.write(), resumed.sha256) == (offset, digest)
    resumed.append([visit(4, 3)])
    assert damage(path, resumed.write(), resumed.sha256) is None
    resumed.close()


LORA = {"method": {"kind": "lora", "rank": 4}}


def flip(path, place):
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 4]))


@pytest.fixture
def stopped(run_fit):
    """A run that was stopped after step 5; there are checkpoints of 4 and 5."""
    with pytest.raises(RunError, match="it is saved"):
        run_fit("run", stop_before=5, **LORA)
    return run_fit.last.folder / "scratch/ledger/visits.bin"


def test_a_changed_ledger_is_refused_with_a_checkpoint_before_the_damage_that_resumes(run_fit, stopped):
    whole = run_fit("whole", **LORA)
    flip(stopped, 4 * 6 * 20 + 13)  # in a loss of step 5
    checkpoints = sorted((stopped.parent.parent / "checkpoints").iterdir())
    with pytest.raises(RunError) as caught:
        run_fit("run", **LORA)
    assert caught.value.code == "run.broken-checkpoint"
    assert f"the row ledger {stopped} is not that of step 5: its first 600 bytes (30 visits" in caught.value.what
    assert "its first 480 bytes (24 visits of rows), up to step 4, are whole" in caught.value.what
    assert caught.value.fix.startswith(f"set resume: {checkpoints[0]}, or")
    assert sorted((stopped.parent.parent / "checkpoints").iterdir()) == checkpoints
    resumed = run_fit("run", resume=str(checkpoints[0]), **LORA)
    assert resumed.measures["resumed_from"] == 4
    assert (whole.folder / "out/rows.parquet").read_bytes() == (resumed.folder / "out/rows.parquet").read_bytes()


@pytest.mark.parametrize("break_it", [lambda path: flip(path, 3), lambda path: path.unlink()], ids=["first", "gone"])
def test_a_ledger_that_is_damaged_before_every_checkpoint_needs_a_fresh_run(run_fit, stopped, break_it):
    break_it(stopped)
    with pytest.raises(RunError) as caught:
        run_fit("run", **LORA)
    assert caught.value.code == "run.broken-checkpoint"
    assert caught.value.fix == "restore the file from a copy, or set resume: never to start over"
    assert run_fit("run", resume="never", **LORA).measures["steps"] == 10


@pytest.mark.parametrize("break_it", [lambda path: flip(path, 3), lambda path: path.unlink()], ids=["changed", "gone"])
def test_a_damaged_ledger_beside_a_named_checkpoint_is_named_as_that_of_its_run(run_fit, stopped, break_it):
    named = stopped.parent.parent / "checkpoints/step-00000004"
    run_fit("other", max_steps=5, **LORA)
    break_it(stopped)
    with pytest.raises(RunError, match=f"the row ledger {stopped} is not that of step 4"):
        run_fit("other", resume=str(named), **LORA)


def test_a_ledger_that_changes_while_the_run_goes_on_is_found_at_its_end(run_fit, monkeypatch):
    step = Loop._step

    def flips(self):
        step(self)
        if self.state.step == 8:
            flip(self._ledger_path, 3)

    monkeypatch.setattr(Loop, "_step", flips)
    with pytest.raises(RunError, match="is not that of step 10: its first 1,200 bytes"):
        run_fit("run", **LORA)


def test_a_checkpoint_without_a_digest_of_its_ledger_resumes_with_a_warning(run_fit, stopped, monkeypatch):
    read_state = checkpoint.read_state
    monkeypatch.setattr(checkpoint, "read_state", lambda folder: without(read_state(folder), "ledger_sha256"))
    resumed = run_fit("run", **LORA)
    (warning,) = resumed.notes("warning")
    assert warning.startswith("the checkpoint of step 5 has no digest of the row ledger")


def without(state, name):
    return {key: value for key, value in state.items() if key != name}


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
