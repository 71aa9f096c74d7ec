"""A lock that is held for a change: others wait, and get an error where that takes too long."""

import pytest
from filelock import FileLock

from burnish.core.errors import RunError
from burnish.core.runs import locks
from burnish.core.runs.locks import held


def test_a_lock_is_free_after_the_change_and_after_a_fault(tmp_path):
    with held(tmp_path / "x.lock", "changing x"):
        pass
    with pytest.raises(KeyError), held(tmp_path / "x.lock", "changing x"):
        raise KeyError
    with FileLock(tmp_path / "x.lock", timeout=0):
        pass


def test_a_lock_that_another_holds_for_long_is_an_error_that_names_it(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "_WAIT", 0.2)
    with (
        FileLock(tmp_path / "x.lock"),
        pytest.raises(RunError, match="another process has been changing x for more than") as caught,
        held(tmp_path / "x.lock", "changing x"),
    ):
        pass
    assert caught.value.code == "run.busy"
    assert str(tmp_path / "x.lock") in caught.value.fix
