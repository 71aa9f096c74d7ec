"""The access log on a disk that is full: no request fails, no token stays booked, and lost lines are counted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from burnish.core.access.keys import Key, add_key
from burnish.serve.http.admission.log import AccessLog

FULL = Path("/dev/full")
WRITES = """
import resource, sys
from pathlib import Path
from burnish.serve.http.admission.log import AccessLog
from burnish.serve.http.admission.visit import Visit
log = AccessLog(Path(sys.argv[1]))
for most in (1000, 1000, -1):
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, -1))
    for _ in range(4):
        log.write(Visit())
print(log.lost)
"""


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_a_full_disk_ends_no_request_and_leaves_nothing_booked(served, tmp_path, caplog):
    key = add_key(tmp_path / "keys.json", Key("ann", "", tokens_per_minute=10_000))
    app = served(keys_file=str(tmp_path / "keys.json"))
    app.state.log = AccessLog(FULL)
    headers = {"Authorization": f"Bearer {key}"}
    assert [app.chat_with(headers, max_tokens=5).status_code for _ in range(3)] == [200] * 3
    assert app.state.rates._booked["ann"] == 0
    assert sum(count for _, count in app.state.rates._tokens["ann"]) > 0
    assert app.state.counts["unlogged"] == 3
    assert [record.getMessage().count("not logged") for record in caplog.records] == [1]


def test_lost_lines_are_in_the_metrics(served):
    app = served()
    app.state.log.lost = 7
    assert "burnish_access_log_lost_total 7.0" in app.get("/metrics").text


def test_a_torn_line_spoils_no_other(tmp_path):
    path = tmp_path / "access.jsonl"
    done = subprocess.run([sys.executable, "-c", WRITES, path], capture_output=True, text=True, check=True)
    whole, torn = 0, 0
    for line in path.read_text().splitlines():
        try:
            whole += json.loads(line)["status"] == 0
        except ValueError:
            torn += 1
    assert torn == 1
    assert whole + int(done.stdout) == 12
