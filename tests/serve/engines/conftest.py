"""One event loop for the tests of engines, so that one running engine serves them all."""

import asyncio
from pathlib import Path

import pytest

import burnish
from burnish.serve.engines.llama import llama_engine
from gguf_files import written

POCKET = Path(burnish.__file__).parent / "builtin" / "pocket"


@pytest.fixture(scope="session")
def loop():
    made = asyncio.new_event_loop()
    yield made
    made.close()


@pytest.fixture(scope="session")
def wait(loop):
    """The result of a coroutine, within a minute."""
    return lambda work: loop.run_until_complete(asyncio.wait_for(work, 60))


@pytest.fixture(scope="session")
def pocket_file(tmp_path_factory):
    return written(POCKET, tmp_path_factory.mktemp("pocket") / "pocket.gguf", "F32")[0]


@pytest.fixture(scope="session")
def llama(pocket_file, wait, tmp_path_factory):
    """llama.cpp with the pocket model."""
    log = tmp_path_factory.mktemp("log") / "engine.log"
    engine = llama_engine(pocket_file, log, context=256, slots=4, threads=1)
    wait(engine.open())
    yield engine
    wait(engine.close())
