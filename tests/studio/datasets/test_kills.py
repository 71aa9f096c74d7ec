"""kill -9 of a process that uploads: each file that can be seen is whole; the next upload removes the rest."""

import random
import signal
import subprocess
import sys
import time

import pytest

from burnish.studio.datasets import datasets, upload
from burnish.studio.datasets.records import record_path

SIZE, PIECE = 1 << 20, 1 << 14
_UPLOADING = f"""
import itertools, sys
from burnish.studio.datasets import upload
for number in itertools.count(int(sys.argv[2])):
    content = bytes([number % 251]) * {PIECE}
    upload(f"n{{number}}.bin", (content for _ in range({SIZE // PIECE})), workspace=sys.argv[1])
    print(number, flush=True)
"""


@pytest.mark.parametrize("kills", [3, pytest.param(40, marks=[pytest.mark.torture, pytest.mark.timeout(900)])])
def test_what_can_be_seen_is_whole(workspace, kills):
    drawn, said = random.Random(kills), -1
    for _ in range(kills):
        command = [sys.executable, "-c", _UPLOADING, str(workspace.root), str(said + 1000)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        said = int(process.stdout.readline())
        time.sleep(drawn.random() * 0.05)  # the moment of the kill
        process.send_signal(signal.SIGKILL)
        said = max([said, *map(int, process.communicate()[0].split())])
        seen = {row["name"]: row for row in datasets(workspace=workspace.root)["datasets"]}
        assert f"n{said}.bin" in seen
        for name, row in seen.items():
            content = (workspace.uploads / name).read_bytes()
            assert content == bytes([int(name[1:-4]) % 251]) * SIZE
            assert row["bytes"] == SIZE
            assert not row["sha256"] or record_path(name, workspace).is_file()
    upload("last.bin", [b"x"], workspace=workspace.root)
    assert [path.name for path in workspace.uploads.glob(".upload-*")] == []
