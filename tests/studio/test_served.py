"""The models that are served now: one with damaged records is named, and the others are shown."""

import json

import pytest

from burnish.core.files import write_json
from burnish.studio.serving.served import served_models
from made_runs import made_run

FACTS = {
    "address": "http://0.0.0.0:1",
    "names": ["mine"],
    "engine": "llama.cpp",
    "context": 8,
    "key": None,
    "chats": True,
}
MODEL = {"ref": "builtin:pocket", "kind": "model", "path": "x", "fingerprint": "f", "revision": "", "inputs": {}}


@pytest.fixture
def served(workspace):
    """Makes a `serve` that has this job and this serving.json."""

    def make(facts=FACTS, inputs={"model": MODEL}):  # noqa: B006
        run = made_run(workspace.root, steps=("sv",), recipe="sv").step("sv")
        for name, change in (("run.json", {"stage": "serve"}), ("job.json", {"inputs": inputs})):
            write_json(run.folder / name, json.loads((run.folder / name).read_text()) | change)
        if facts is not None:
            write_json(run.folder / "serving.json", facts)
        return run

    return make


def test_a_damaged_server_is_named_and_the_others_are_shown(served, workspace):
    runs = [
        served(None),
        served(),
        served({}),
        served(FACTS | {"names": []}),
        served(inputs={}),
        served(inputs={"model": 3}),
    ]
    states = {}
    for run in runs:
        with run.lock():
            [row] = served_models(workspace=workspace.root)
        states[row["run"]] = (
            row["state"],
            row["address"],
            "serving.json" in row["reason"] or "job.json" in row["reason"],
        )
    ready = ("ready", "http://127.0.0.1:1/v1", False)
    assert list(states.values()) == [
        ("starting", None, False),
        ready,
        *[("damaged", None, True)] * 2,
        ready,
        ("damaged", None, True),
    ]
