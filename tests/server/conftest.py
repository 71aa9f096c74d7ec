"""A server of the studio for the tests of a file."""

import json
import shutil

import pytest

import burnish
from forked_servers import SERVERS
from studio_server import serving


@pytest.fixture(scope="session", autouse=True)
def _servers():
    yield
    SERVERS.close()


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("workspace")) as running:
        yield running


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A workspace with rows, and an adapter of the embedded model that was made on the spot: `sft.sft@1`."""
    folder = tmp_path_factory.mktemp("trained")
    rows = [
        {"messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": f"Number {number}!"}]}
        for number in range(8)
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = {"base": "builtin:pocket", "data": "file:rows.jsonl", "max_steps": 8, "learning_rate": 0.01}
    burnish.run_stage("sft", workspace=folder, **settings)
    return folder


@pytest.fixture(scope="module")
def models_studio(trained, tmp_path_factory):
    """A server of a copy of that workspace."""
    folder = tmp_path_factory.mktemp("models") / "workspace"
    shutil.copytree(trained, folder)
    with serving(folder) as running:
        yield running
