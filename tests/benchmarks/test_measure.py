"""What a program took is counted over all its processes, also those that nobody waits for."""

import sys

from measure import measured

BUSY = "import time; end = time.process_time() + 0.6\nwhile time.process_time() < end: pass"
ORPHAN = f"""
import subprocess, sys
subprocess.Popen([sys.executable, "-c", {BUSY!r}])
"""
MEMORY = "held = bytearray(b'x') * 150_000_000; import time; time.sleep(0.7)"


def test_cpu_time_of_a_child_that_outlives_the_program_counts(tmp_path):
    used = measured([sys.executable, "-c", ORPHAN], tmp_path)
    assert used.status == 0
    assert 0.6 <= used.cpu < 3
    assert used.wall >= 0.5


def test_peak_memory_is_that_of_the_program_and_its_children_together(tmp_path):
    together = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {MEMORY!r}])\n{MEMORY}"
    both = (
        f"import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', {MEMORY!r}])\n{MEMORY}; child.wait()"
    )
    one_after_another, at_once = (measured([sys.executable, "-c", code], tmp_path) for code in (together, both))
    assert 150e6 < one_after_another.largest < 260e6
    assert one_after_another.together < 260e6
    assert 300e6 < at_once.together < 420e6


def test_a_failed_program_keeps_its_status_and_what_it_said(tmp_path):
    log = tmp_path / "log"
    used = measured([sys.executable, "-c", "print('no luck'); raise SystemExit(3)"], tmp_path, log)
    assert used.status == 3
    assert "no luck" in log.read_text()
    assert measured([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], tmp_path).status == 128 + 9
