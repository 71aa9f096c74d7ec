"""The log of a step: whole lines by position, searched, harmless."""

import time

import pytest
from filelock import FileLock

from burnish.core.errors import AskError
from burnish.core.files import write_json
from burnish.core.runs import log as rotation
from burnish.core.runs.log import RunLog
from burnish.studio.views import logs
from burnish.studio.views.logs import log, search

HEAD = "2026-11-23 02:40:00,123 {:<7} burnish: "
SECRET = "hf_" + "a1B2" * 8


@pytest.fixture
def written(workspace):
    """Write run.log of r/1/tune: lines, or bytes."""
    run = workspace.run("r", 1, "tune")
    run.folder.mkdir(parents=True)
    write_json(run.folder.parent / "plan.json", {"recipe": "r", "steps": [{"step": "tune", "folder": run.name}]})

    def written(*lines, mode="wb"):
        with run.log.open(mode) as file:
            file.writelines(line if isinstance(line, bytes) else line.encode() + b"\n" for line in lines)
        return run

    return written


@pytest.fixture
def read(workspace):
    def read(*place, **options):
        return log("r", 1, "tune", *place, **options, workspace=workspace.root)

    return read


@pytest.fixture
def find(workspace):
    def find(text="", level="debug", limit=200, start=0):
        return search("r", 1, "tune", text, level, limit, start, workspace=workspace.root)

    return find


def texts(found):
    return [line["text"] for line in found["lines"]]


def test_a_log_is_read_part_by_part_in_whole_lines(written, read):
    lines = [f"line {number}" for number in range(1_000)]
    written(*lines)
    found = read()
    assert (texts(found), found["start"], found["end"], found["dropped"]) == (lines, 0, 8_890, 0)
    assert texts(read(0, 12)) == ["line 0"]
    assert texts(read(7, 14)) == ["line 1"]
    assert texts(read(8, 40)) == ["line 2", "line 3", "line 4"]
    assert texts(read(-20)) == ["line 998", "line 999"]
    assert read(-20)["lines"][0]["position"] == 8_872
    assert texts(read(8_890)) == texts(read(90_000)) == []
    with pytest.raises(AskError, match="a log has no part from 9 to 3"):
        read(9, 3)


def test_the_parts_of_a_log_together_are_all_of_it(written, read, monkeypatch):
    monkeypatch.setattr(logs, "MOST_BYTES", 100)
    lines = [f"line {number}" for number in range(200)]
    written(*lines)
    found, position = [], 0
    while part := texts(page := read(position)):
        found += part
        position = page["end"]
    assert found == lines


def test_the_last_line_is_shown_once_it_is_ended_or_the_worker_is(written, read):
    run = written("one", b"tw")
    with FileLock(run.folder / "run.lock"):
        found = read()
        assert (texts(found), found["end"], found["size"]) == (["one"], 4, 6)
        written(b"o\n", mode="ab")
        assert texts(read(4)) == ["two"]
        written(b"three", mode="ab")
    assert texts(read(8)) == ["three"]


def test_a_line_that_is_longer_than_a_part_is_cut_and_its_rest_is_skipped(written, read, find, monkeypatch):
    monkeypatch.setattr(logs, "MOST_BYTES", 100)
    written("x" * 250, "after")
    first = read(0)
    assert texts(first) == ["x" * 100]
    second = read(first["end"])
    third = read(second["end"])
    assert (texts(second), texts(third)) == ([], ["after"])
    assert texts(find()) == ["x" * 100, "after"]


def test_positions_stay_after_a_rotation_and_what_was_dropped_is_counted(written, read, find, monkeypatch):
    monkeypatch.setattr(rotation, "MOST_BYTES", 4_995)
    run = written(*(f"line {number}" for number in range(1_000)))
    before = read(8_872)
    RunLog(run.log).rotate()
    written("line 1000", mode="ab")
    after = read(8_872)
    assert texts(before) == ["line 998", "line 999"]
    assert texts(after)[:2] + texts(after)[-1:] == ["line 998", "line 999", "line 1000"]
    assert after["dropped"] == 8_890 - 4_995
    assert texts(read(0))[0] == "line 446"  # what is left of the first one may be half of it
    assert texts(find("line"))[0] == "line 446"
    assert "were logged before this line" in texts(find(level="warning"))[0]


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b(Bend", "red end"),
        (b" 10%|#\r 50%|##\r100%|###\r", "100%|###"),
        (b"bell \x07 and \x9b31m and \xe2\x80\xae", "bell \\x07 and \ufffd31m and \\u202e"),
        (b"tab\there", "tab\there"),
        (f"token {SECRET}!".encode(), "token •••!"),
        (b"https://user:password@host/x", "https://•••@host/x"),
    ],
)
def test_a_line_is_harmless(written, read, find, raw, shown):
    written(raw + b"\n", "next")
    assert texts(read()) == texts(find()) == [shown, "next"]


def test_a_rule_that_takes_several_lines_for_one_secret_moves_no_line(written, read):
    written('api_key = "first', 'second" third', "fourth")
    assert texts(read())[2] == "fourth"
    assert len(read()["lines"]) == 3


def test_a_search_does_not_find_secrets(written, find, read):
    written(f"token {SECRET}", b"\x1b[1m" + SECRET.encode() + b"\n", "é " + SECRET)
    assert [text.count("•••") for text in texts(find())] == [1, 1, 1]
    assert [texts(find(part)) for part in ("hf_", "a1B2", SECRET)] == [[], [], []]
    for start in range(1, 60):
        assert not any("a1B2" in text for text in texts(read(start)) + texts(find(start=start)))


def test_lines_are_found_by_text_and_level(written, find):
    error = HEAD.format("ERROR") + "it failed"
    written(
        *(HEAD.format("DEBUG") + "a Détail", HEAD.format("INFO") + "step 1", "loose end"),
        *(error, "Traceback", "  ValueError: step 1"),
        *(HEAD.format("WARNING") + "careful", "\x1b[31mst\x1b[0mep 1", HEAD.format("CRITICAL") + "the end"),
    )
    assert len(texts(find())) == 9
    assert texts(find("STEP 1")) == [HEAD.format("INFO") + "step 1", "  ValueError: step 1", "step 1"]
    assert texts(find("détail")) == [HEAD.format("DEBUG") + "a Détail"]
    assert texts(find(level="error")) == [
        error,
        "Traceback",
        "  ValueError: step 1",
        HEAD.format("CRITICAL") + "the end",
    ]
    assert [line["level"] for line in find(level="warning")["lines"]] == ["error"] * 3 + ["warning"] * 2 + ["error"]
    assert texts(find("step 1", "error")) == ["  ValueError: step 1"]
    for wrong in ({"limit": 0}, {"level": "loud"}):
        with pytest.raises(AskError) as caught:
            find(**wrong)
        assert caught.value.code == "ask.wrong-value"


def test_a_long_search_goes_on_where_it_stopped(written, find, monkeypatch):
    monkeypatch.setattr(logs, "MOST_BYTES", 1_000)
    monkeypatch.setattr(logs, "_MOST_SEARCHED", 5_000)
    written(*(f"line {number} {'odd' if number % 2 else 'even'}" for number in range(2_000)))
    for limit in (7, 200):
        found, calls, position = [], 0, 0
        while position is not None:
            page = find("odd", limit=limit, start=position)
            assert len(page["lines"]) <= limit
            found, calls, position = found + texts(page), calls + 1, page["next"]
        assert found == [f"line {number} odd" for number in range(1, 2_000, 2)]
        assert calls > 5


def test_a_step_without_a_log_has_an_empty_one(written, read, find, workspace):
    run = written("x")
    run.log.unlink()
    assert read() == {"start": 0, "end": 0, "size": 0, "dropped": 0, "lines": []}
    assert find() == {"lines": [], "next": None, "size": 0}
    with pytest.raises(AskError) as caught:
        log("r", 1, "none", workspace=workspace.root)
    assert caught.value.code == "ask.no-such-run"


@pytest.mark.parametrize("limit", range(1, 8))
def test_a_search_by_level_finds_the_lines_below_an_error_in_every_part(written, find, read, limit):
    error = [
        HEAD.format("ERROR") + "it failed",
        "Traceback",
        *(f"  line {number}" for number in range(4)),
        "ValueError",
    ]
    written(HEAD.format("INFO") + "a start", *error, HEAD.format("INFO") + "an end", "below it")
    found, start = [], 0
    while start is not None:
        part = find(level="error", limit=limit, start=start)
        found, start = found + texts(part), part["next"]
    assert found == error
    assert [line["level"] for line in read(-25)["lines"]] == ["info"]


@pytest.fixture
def in_india(monkeypatch):
    """This process is five and a half hours ahead of UTC."""
    monkeypatch.setenv("TZ", "IST-5:30")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone of a process cannot be set on Windows")
def test_a_line_has_its_time_with_the_offset_of_the_servers_zone(in_india, written, read, find):
    written(HEAD.format("INFO") + "begin", "goes on", "2026-13-45 02:40:00,123 INFO    burnish: no day")
    times = ["2026-11-23T02:40:00.123+05:30", None, None]
    assert [line["at"] for line in read()["lines"]] == [line["at"] for line in find()["lines"]] == times
