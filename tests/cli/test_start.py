"""The console script: Ctrl-C while the command line is imported."""

import subprocess
import sys

_INTERRUPTED = """
import sys
from importlib.abc import MetaPathFinder

class CtrlC(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "{name}":
            raise KeyboardInterrupt

sys.meta_path.insert(0, CtrlC())
sys.argv = ["burnish", "--version"]
from burnish.cli.start import entry
entry()
"""


def test_ctrl_c_during_imports_ends_without_a_traceback():
    for name in ("burnish.cli.main", "typer", "burnish.cli.render"):
        command = [sys.executable, "-c", _INTERRUPTED.format(name=name)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode, done.stdout, done.stderr) == (130, "", ""), name
