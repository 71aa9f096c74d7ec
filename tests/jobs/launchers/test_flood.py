"""A worker that prints without end: its log stays small, and the last lines are right (design page 5, row 29)."""

import resource
import time

import pytest

from burnish.core.runs import log as module
from burnish.core.runs.log import RunLog


def flooded(run, launcher, started):
    """Run a worker to its end as `burnish run` does; gives the longest run.log that was met, in bytes."""
    process, longest = started(run), 0
    while True:
        longest = max(longest, run.log.stat().st_size)
        if launcher.poll(process, run) is not None:
            return longest
        time.sleep(0.05)


def test_a_flood_is_rotated_and_its_last_lines_are_in_the_error(prepared, launcher, started, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 1 << 20)
    run = prepared("quick-fail", how="flood", token="20")
    flooded(run, launcher, started)
    log, error = RunLog(run.log), run.record["error"]
    assert error["log"].splitlines()[-1] == "last words"
    assert error["what"] == "the worker exited with status 3 without an error message"
    assert run.log.stat().st_size < 1 << 21
    assert log.end > 15_000_000  # it counts what is dropped, but for what is written while a rotation takes place
    assert log.start > 10_000_000
    assert f"{log.moved:,} bytes were logged before this line" in run.log.read_text()[:300]


@pytest.mark.torture
def test_a_flood_of_100_mb_a_second_stays_below_64_mb_of_log_and_500_mb_of_memory(prepared, launcher, started):
    run = prepared("quick-fail", how="flood", token="2000")
    began = time.monotonic()
    longest = flooded(run, launcher, started)
    print(f"2,000 MB in {time.monotonic() - began:.0f} s, run.log at most {longest:,} bytes")
    assert longest < 64 << 20
    assert RunLog(run.log).end > 1_990_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 500 << 10
    assert run.record["error"]["log"].splitlines()[-1] == "last words"
