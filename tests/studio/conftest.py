"""Recipes of quick stages, and threads that run them while the test looks on."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import burnish

RECIPE = {
    "name": "r",
    "steps": {
        "make": {"stage": "quick-make", "word": "hi"},
        "join": {"stage": "quick-join", "source": [{"ref": "step:make", "take": 1}]},
    },
}


@pytest.fixture
def recipe(quick_stages):
    return {**RECIPE, "steps": {name: dict(step) for name, step in RECIPE["steps"].items()}}


@pytest.fixture
def in_background(workspace):
    """Run a recipe in a thread; the end of the test waits for it. Gives the list that its error lands in."""
    threads = []

    def in_background(recipe, **options):
        errors = []

        def go():
            try:
                burnish.run(recipe, workspace=workspace.root, **options)
            except burnish.BurnishError as error:
                errors.append(error)

        thread = threading.Thread(target=go)
        thread.start()
        threads.append(thread)
        return thread, errors

    yield in_background
    for thread in threads:
        thread.join(20)


@pytest.fixture
def command(quick_stages, workspace):
    """Start `burnish run` on a recipe, as a shell does."""
    processes = []

    def command(recipe, *words, **options):
        path = workspace.root / "recipe.json"
        path.write_text(json.dumps(recipe))
        script = Path(sys.executable).with_name("burnish")
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        process = subprocess.Popen([script, "--workspace", str(workspace.root), "run", str(path), *words], **pipes)
        processes.append(process)
        return process

    yield command
    for process in processes:
        process.kill()
        process.communicate()
