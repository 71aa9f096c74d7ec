"""What is known of runs comes back from the database as it was saved, of both kinds."""

from dataclasses import replace

import pytest

from burnish.jobs.database.database import Database
from burnish.jobs.index.entry import PlannedEntry, RunEntry, StepEntry, is_storable
from burnish.jobs.index.index import Index

STEP = StepEntry(
    *("r/1/tune", "r", 1, "tune", 5.25, "failed", "the disk is full: é", "sft", 5.25, 6.0, 7.5, 2, "adapter"),
    *('{"loss": NaN}', "f" * 64, False, "12 34 56 -"),
)
OPEN = StepEntry("r/1/data", "r", 1, "data", 1.0, "killed", "", is_open=True, signature="1 2 3 -")
RUN = RunEntry("r/1", "r", 1, 4.5, (PlannedEntry("tune", None, "r/1/tune", "run"),), signature="7 8 9")


@pytest.fixture
def index(workspace, url):
    database = Database.of(workspace, url)
    yield Index(database)
    database.close()


def test_entries_come_back_as_they_were_saved(index):
    index.save([STEP, OPEN, RUN])
    assert index.steps() == {STEP.run: STEP, OPEN.run: OPEN}
    assert index.runs() == {RUN.run: RUN}
    changed, again = replace(STEP, state="succeeded", reason=""), replace(RUN, created=9.0)
    index.save([changed, again], [OPEN.run])
    assert index.steps() == {STEP.run: changed}
    assert index.runs() == {RUN.run: again}
    index.replace([OPEN])
    assert (index.steps(), index.runs()) == ({OPEN.run: OPEN}, {})


@pytest.mark.parametrize(
    "changes",
    [
        {"signature": ""},
        {"reason": "a\0b"},
        {"reason": "\ud800"},
        {"created": float("nan")},
        {"ended": float("inf")},
        {"attempts": 1 << 70},
    ],
)
def test_an_entry_that_no_database_holds_is_not_kept(index, changes):
    index.save([STEP])
    index.save([replace(STEP, **changes), OPEN])
    assert list(index.steps()) == [OPEN.run]


def test_many_entries_are_saved_in_one_go(index):
    many = [replace(STEP, run=f"r/{number}/tune", number=number) for number in range(1, 1_204)]
    index.save(many)
    assert len(index.steps()) == 1_203
    index.save([], [entry.run for entry in many[1:]])
    assert list(index.steps()) == ["r/1/tune"]


@pytest.mark.parametrize("step", ["tune\0", "\ud800"])
def test_a_run_whose_plan_holds_what_no_database_stores_is_not_saved(step):
    assert is_storable(RUN)
    assert not is_storable(replace(RUN, steps=(PlannedEntry("tune", None, step, "run"),)))
