"""Children that are kept: one that does not read, or is not used, holds nobody and nothing for ever."""

import os
import threading
import time

import pytest

from burnish.core.errors import BurnishError
from burnish.studio import kept_workrooms
from burnish.studio.kept_workrooms import KeptWorkroom


@pytest.fixture
def room(tmp_path, monkeypatch):
    (tmp_path / "deaf_room.py").write_text("import time\ntime.sleep(600)\n")
    code = (
        "import os\nfrom burnish.stages.answer import answer_each\nanswer_each(lambda request: {'pid': os.getpid()})\n"
    )
    (tmp_path / "quick_room.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    return KeptWorkroom


def test_a_child_that_does_not_read_has_the_time_limit_of_one_that_does_not_answer(room):
    found = []

    def ask():
        with pytest.raises(BurnishError, match=r"within 0\.2 s") as caught:
            room("deaf_room").ask({"text": "a" * 2_000_000}, seconds=0.2)
        found.append(caught.value.code)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(20)
    assert found == ["run.failed"]


def test_a_request_larger_than_a_pipe_is_answered(room):
    made = room("quick_room")
    assert made.ask({"text": "a" * 2_000_000})["pid"]
    made.close()


def test_a_child_that_is_not_used_is_ended_also_the_last(room, monkeypatch):
    monkeypatch.setattr(kept_workrooms, "IDLE_SECONDS", 0.05)
    made = room("quick_room")
    made.ask({})
    until = time.monotonic() + 20
    while made._count and time.monotonic() < until:
        threading.Event().wait(0.01)
    assert made._count == 0
    assert made.ask({})["pid"]
    made.close()
