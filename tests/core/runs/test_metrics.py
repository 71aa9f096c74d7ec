"""Metrics are read in columns, and are those that the events have."""

import json
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from burnish.core.events import EventLog, Metric, Note
from burnish.core.runs.metrics import Column, Metrics


def plain(path):
    """The plain twin: name → step → (value, at) of every event that `EventLog.read` gives."""
    found = {}
    for event, _ in EventLog(path).read():
        if isinstance(event, Metric):
            for name, value in event.values.items():
                found.setdefault(name, {})[event.step] = (repr(value), event.at)
    return {name: dict(sorted(points.items())) for name, points in found.items()}


def read(metrics):
    metrics.update()
    columns = {name: metrics.column(name) for name in metrics.names()}
    return {
        name: {step: (repr(value), at) for step, value, at in zip(column.steps, column.values, column.at, strict=True)}
        for name, column in columns.items()
    }


def line(step, values, at=1.5, **more):
    return json.dumps({"at": at, "kind": "metric", "step": step, "values": values, **more}).encode()


numbers = st.floats() | st.integers(-5, 5) | st.sampled_from(["NaN", "Infinity", "2.5", "x", None, True])
lines = st.one_of(
    st.builds(
        line,
        st.integers(-3, 30) | st.sampled_from([5.0, "7", None, True, 1 << 70]),
        st.dictionaries(st.sampled_from(["loss", "lr", "metric", "é"]), numbers, max_size=3),
        st.floats(0, 1e9) | st.sampled_from(["3", None]),
    ),
    st.sampled_from(
        [
            b'{"at":1.0,"kind":"note","text":"\\"metric\\""}',
            b'{"at":1.0,"kind":"chosen","field":"metric","value":{"metric":1},"reason":""}',
            b'{"at":1.0,"kind":"metric","step":3,"values":{"lo',
            b'{"kind":"metric","step":3,"values":{"loss":1.0},"at":2,"more":1}',
            b'{"at":1.0,"kind":"metric","step":3,"values":[1.0]}',
            b"",
            b"\xff\xfe metric",
        ]
    ),
)


@given(st.lists(lines, max_size=30), st.lists(st.integers(0, 2_000), max_size=3))
@example([line(1, {"loss": 1}), line(1, {"loss": 2, "lr": 3}), line(1, {"loss": 4})], [])
def test_they_are_those_of_the_events_also_where_a_file_is_read_in_parts(tmp_path_factory, written, cuts):
    path = tmp_path_factory.mktemp("log") / "events.jsonl"
    data, metrics = b"".join(each + b"\n" for each in written), Metrics(path)
    with path.open("ab") as file:
        for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(data)], strict=True):
            file.write(data[start:end])
            file.flush()
            metrics.update()
    expected = {  # a step beyond 64 bits is no step of a training
        name: {step: point for step, point in points.items() if step < 1 << 63} for name, points in plain(path).items()
    }
    assert read(metrics) == {name: points for name, points in expected.items() if points}


def test_what_is_written_later_is_read_on_from_there(tmp_path, monkeypatch):
    log = EventLog(tmp_path / "events.jsonl")
    metrics = Metrics(log.path)
    assert read(metrics) == {}
    assert metrics.column("loss") == Column([], [], [])
    for step in range(100):
        log.append(Metric(step=step, values={"loss": step / 7}))
    metrics.update()
    added = []
    monkeypatch.setattr(Metrics, "_add", lambda self, lines, add=Metrics._add: (added.extend(lines), add(self, lines)))
    log.append(Note(text="no metric"))
    log.append(Metric(step=50, values={"loss": math.inf}))
    assert read(metrics) == plain(log.path)
    assert len(added) == 2
    assert metrics.column("loss").values[50] == math.inf


@pytest.mark.parametrize("content", [b"", b"\n", line(7, {"loss": 9.0}) + b"\n", line(7, {"loss": 9.0}, 3) * 9 + b"\n"])
def test_another_file_in_its_place_is_read_from_its_start(tmp_path, content):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"".join(line(step, {"loss": 1.0}) + b"\n" for step in range(9)))
    metrics = Metrics(path)
    metrics.update()
    path.write_bytes(content)
    assert read(metrics) == plain(path)
    path.unlink()
    assert read(metrics) == {}
