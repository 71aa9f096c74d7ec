"""run.log is kept small; positions in it mean the same before and after a rotation."""

import os

import pytest

from burnish.core.runs import log as module
from burnish.core.runs.log import RunLog

LINES = [b"line %05d\n" % number for number in range(5_000)]


@pytest.fixture
def log(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 10_000)
    return RunLog(tmp_path / "run.log")


def write(log, lines):
    with log.path.open("ab") as file:
        file.writelines(lines)


def test_a_short_log_is_left_as_it_is(log):
    assert not log.rotate()
    assert (log.start, log.end, log.read(0, 100), log.last_lines(3)) == (0, 0, b"", [])
    write(log, LINES[:900])
    assert not log.rotate()
    assert (log.start, log.end, log.read(11, 22)) == (0, 9_900, LINES[1])
    assert not log.previous.exists()


def test_a_long_log_is_moved_and_a_line_counts_what_is_dropped(log):
    write(log, LINES[:1_000])
    assert log.rotate()
    assert log.previous.read_bytes() == b"".join(LINES[:1_000])[-10_000:]
    assert (log.start, log.moved) == (1_000, 11_000)
    line = log.path.read_text()
    assert "WARNING burnish: run.log was full: its last 10,000 bytes are in run.log.1, 1,000 bytes are dropped" in line
    write(log, LINES[1_000:2_000])
    assert log.last_lines(2) == ["line 01998", "line 01999"]
    assert log.rotate()
    assert log.moved == 22_000 + len(line)
    assert f"{log.moved - 10_000:,} bytes are dropped; {log.moved:,} bytes were logged" in log.path.read_text()


def test_the_writer_goes_on_in_the_same_file(log):
    descriptor = os.open(log.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for number in range(0, 5_000, 100):
        os.write(descriptor, b"".join(LINES[number : number + 100]))
        log.rotate()
        assert log.path.stat().st_size <= 11_100
    os.close(descriptor)
    kept = [line for line in log.read(log.start, log.end).splitlines(keepends=True)[1:] if b"WARNING" not in line]
    assert kept == LINES[-len(kept) :]
    assert len(kept) > 900


def test_positions_mean_the_same_after_a_rotation(log):
    write(log, LINES[:1_000])
    before = log.read(5_500, 5_511)
    end = log.end
    assert log.rotate()
    assert log.read(5_500, 5_511) == before == LINES[500]
    write(log, LINES[1_000:1_010])
    assert log.end == end + log.path.stat().st_size
    new = log.read(end, log.end)
    assert new.partition(b"\n")[2] == b"".join(LINES[1_000:1_010])
    assert log.read(0, 2_000) == log.previous.read_bytes()[:1_000]


def test_last_lines_go_on_into_what_was_moved(log):
    write(log, LINES[:1_000])
    log.rotate()
    write(log, LINES[1_000:1_002])
    assert log.last_lines(4) == ["line 00998", "line 00999", "line 01000", "line 01001"]  # those of the worker
    assert log.last_lines(50, log.end - 11) == ["line 01001"]


def test_without_space_for_a_copy_all_is_dropped_and_counted(log):
    (log.path.parent / "run.log.1.partial").mkdir()
    write(log, LINES[:1_000])
    assert log.rotate()
    assert "there is no space to keep them, 11,000 bytes are dropped" in log.path.read_text()
    assert (log.start, log.end) == (11_000, 11_000 + log.path.stat().st_size)


def test_the_line_of_a_rotation_stands_alone_where_a_line_was_cut(log):
    write(log, [*LINES[:1_000], b"half"])
    log.rotate()
    write(log, [b" a line\n"])
    before, line, after, _ = log.read(11_000, log.end).split(b"\n")
    assert (before, b"were logged" in line, after) == (b"half", True, b" a line")
    assert log.moved == 11_004


@pytest.mark.parametrize("killed_at", ["pwrite", "ftruncate"])
def test_a_kill_before_the_cut_leaves_a_log_that_can_be_read_and_is_rotated_again(log, monkeypatch, killed_at):
    write(log, LINES[:1_000])

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, killed_at, killed)
        with pytest.raises(KeyboardInterrupt):
            log.rotate()
    assert log.last_lines(1) == ["line 00999"]
    assert log.rotate()
    assert log.path.stat().st_size < 300
    assert log.last_lines(1) == ["line 00999"]
