"""Benchmarks are scripts: their folder is on the path only while these tests run."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
