"""The books of a preparation."""

import json

import pytest

from burnish.core.errors import DataError
from burnish.data.accounts import Accounts, Quarantine
from burnish.data.record import Bad


def test_books_in_which_a_row_is_missing_do_not_balance():
    accounts = Accounts(read=5, kept=2, quarantined=1)
    accounts.dropped["duplicate"] = 2
    accounts.balance()
    accounts.read += 1
    with pytest.raises(AssertionError, match="6 rows were read, but 5"):
        accounts.balance()


def test_accounts_begin_at_nothing_and_list_reasons_by_their_count():
    accounts = Accounts()
    assert accounts.as_dict() == {"read": 0, "kept": 0, "quarantined": 0, "dropped": {}}
    accounts.balance()
    accounts.dropped.update({"short": 1, "duplicate": 4})
    accounts.read, accounts.kept, accounts.quarantined = 10, 2, 3
    dropped = {"duplicate": 4, "short": 1}
    assert accounts.as_dict() == {"read": 10, "kept": 2, "quarantined": 3, "dropped": dropped}
    assert list(accounts.as_dict()["dropped"]) == ["duplicate", "short"]
    accounts.balance()
    assert Accounts().dropped is not Accounts().dropped


@pytest.mark.parametrize("name", ["read", "kept", "quarantined"])
def test_each_count_is_balanced(name):
    accounts = Accounts(read=9, kept=4, quarantined=2)
    accounts.dropped["short"] = 3
    accounts.balance()
    setattr(accounts, name, getattr(accounts, name) - 1)
    out = 9 if name == "read" else 8
    with pytest.raises(AssertionError) as caught:
        accounts.balance()
    assert str(caught.value) == f"{accounts.read} rows were read, but {out} are accounted for"


def bad(number: int) -> Bad:
    return Bad(f"x:{number}", "text", "is empty", "é")


def test_bad_rows_are_written_one_a_line_and_the_first_three_are_told(tmp_path):
    path = tmp_path / "bad.jsonl"
    with Quarantine(path) as quarantine:
        assert (quarantine.count, quarantine.first, quarantine.examples) == (0, [], "")
        for number in range(5):
            quarantine.add(bad(number))
    lines = path.read_text(encoding="utf-8").splitlines()
    expected = [{"source": f"x:{n}", "field": "text", "reason": "is empty", "raw": "é"} for n in range(5)]
    assert [json.loads(line) for line in lines] == expected
    assert "é" in lines[0]
    assert quarantine.count == 5
    assert quarantine.examples == "x:0: text: is empty; x:1: text: is empty; x:2: text: is empty"
    with pytest.raises(ValueError, match="closed file"):
        quarantine.add(bad(5))


def test_a_quarantine_that_is_not_open_takes_no_row(tmp_path):
    quarantine = Quarantine(tmp_path / "bad.jsonl")
    with pytest.raises(ValueError, match="the quarantine is not open"):
        quarantine.add(bad(0))
    assert (quarantine.count, quarantine.first) == (0, [])
    quarantine.__exit__(None, None, None)
    assert not quarantine.path.exists()


@pytest.mark.parametrize(("read", "most"), [(20, 0.1), (21, 0.1), (2, 1.0)])
def test_bad_rows_up_to_the_share_are_allowed(read, most, tmp_path):
    with Quarantine(tmp_path / "bad.jsonl") as quarantine:
        quarantine.check_share(0, most)
        quarantine.add(bad(0))
        quarantine.add(bad(1))
        quarantine.check_share(read, most)


@pytest.mark.parametrize(("read", "most", "percent"), [(19, 0.1, "10.0%"), (2000, 0.0005, "0.1%"), (7, 0.0, "0.0%")])
def test_more_bad_rows_than_the_share_end_the_preparation(read, most, percent, tmp_path):
    path = tmp_path / "bad.jsonl"
    with Quarantine(path) as quarantine:
        quarantine.add(bad(0))
        quarantine.add(bad(1))
        with pytest.raises(DataError) as caught:
            quarantine.check_share(read, most)
    assert caught.value.code == "data.too-many-bad-rows"
    what = f"2 of {read:,} rows are bad, more than the {percent} that max_bad_share allows"
    assert caught.value.what == f"{what}: x:0: text: is empty; x:1: text: is empty"
    assert caught.value.fix == f"see {path}, fix the rows, or raise max_bad_share"
