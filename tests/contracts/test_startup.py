"""The control plane answers without any heavy package."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from burnish.core.catalog import stages

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "transformers", "peft", "fastapi", "pyarrow", "numpy", "datasets", "tokenizers", "huggingface_hub")
CODE = """
import json, sys
from burnish.cli.main import entry
sys.argv = ["burnish", *sys.argv[1:]]
try:
    entry()
except SystemExit as ended:
    print(json.dumps([ended.code or 0, sorted(name for name in sys.modules if "." not in name)]), file=sys.stderr)
"""
COMMANDS = [
    ("--help",),
    ("--version",),
    ("plan", "recipes/demo.yaml"),
    ("run", "recipes/demo.yaml", "--dry-run"),
    ("sft", "--help"),
    ("synthesize", "--dry-run"),
    ("schema",),
    ("runs", "list"),
    ("init", "--help"),
]
WITHOUT_MODELS = ("fetch", "synthesize", "clean", "prepare", "profile", "judge")


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_that_trains_nothing_loads_nothing_heavy(words, tmp_path):
    environment = {**os.environ, "BURNISH_WORKSPACE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", CODE, *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    status, modules = json.loads(done.stderr.splitlines()[-1])
    assert status == 0, done.stderr
    assert done.stdout
    assert not {*HEAVY} & {*modules}


@pytest.mark.parametrize("words", [("--help",), ("--version",), ("help",), ()], ids=" ".join)
def test_help_loads_neither_specs_nor_rich_nor_the_metadata_of_packages(words):
    done = subprocess.run([sys.executable, "-c", CODE, *words], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {*json.loads(done.stderr.splitlines()[-1])[1]}
    assert not {"pydantic", "pydantic_core", "yaml", "rich", "orjson", "filelock", "email", "asyncio"} & loaded


def test_a_worker_that_runs_no_model_imports_no_torch():
    """It takes 3 s of a core. `judge` only asks endpoints, as `synthesize` does."""
    modules = [stages()[name].run.partition(":")[0] for name in WITHOUT_MODELS]
    code = f"import sys, {', '.join(modules)}; print(sorted({{'torch', 'transformers'}} & {{*sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
