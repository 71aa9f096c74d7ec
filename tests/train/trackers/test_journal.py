"""The journal gives a resumed run the points up to its checkpoint, each once."""

import math

from burnish.train.trackers.base import Point
from burnish.train.trackers.journal import Journal


def test_points_after_the_step_that_a_run_resumes_after_are_dropped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    journal = Journal(path, 0)
    points = [Point(step, 10.0 + step, {"loss": 1.0 / step}) for step in (1, 2, 3)]
    for point in points:
        assert journal.add(point) == point
    assert Journal(path, 2).points == points[:2]
    assert Journal(path, 3).points == points[:2]


def test_a_metric_of_a_step_is_kept_once(tmp_path):
    journal = Journal(tmp_path / "metrics.jsonl", 0)
    journal.add(Point(2, 10.0, {"loss": 0.5}))
    assert journal.add(Point(2, 11.0, {"loss": 0.5})) is None
    assert journal.add(Point(2, 12.0, {"loss": 0.5, "eval_loss": 0.7})) == Point(2, 12.0, {"eval_loss": 0.7})


def test_a_torn_line_is_dropped_and_the_next_point_has_a_line_of_its_own(tmp_path):
    path = tmp_path / "metrics.jsonl"
    first = Journal(path, 0)
    first.add(Point(1, 10.0, {"loss": math.inf}))
    with path.open("a") as file:
        file.write('{"step": 2, "at": 11.0, "val')
    second = Journal(path, 5)
    second.add(Point(2, 12.0, {"loss": 1.0}))
    assert Journal(path, 5).points == [Point(1, 10.0, {"loss": math.inf}), Point(2, 12.0, {"loss": 1.0})]


def test_damaged_lines_are_counted_but_for_a_torn_last_one(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for step in (1, 2, 3):
        Journal(path, step).add(Point(step, 10.0, {"loss": 1.0}))
    lines = path.read_text().splitlines(keepends=True)
    for text, damaged in (
        ("".join(lines), 0),
        (lines[0] + "{torn\n" + lines[2], 1),
        ("[]\n" + lines[0] + "{torn\n", 2),
        (lines[0] + lines[1][:9], 0),
    ):
        path.write_text(text)
        assert Journal(path, 3).damaged == damaged
