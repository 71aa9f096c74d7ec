"""On a Ray cluster the files are those of this machine, to the byte, also when a worker is killed on the way."""

import hashlib
import json
import os
import random
import signal
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from burnish.core.errors import DataError, MachineError
from burnish.data.cleaning import chunks as chunks_module
from burnish.data.cleaning.pools import pool_of
from burnish.data.shards.manifest import begin, read_manifest
from burnish.specs.data import CleanSpec, NearDedupSpec
from burnish.stages.data.clean import run
from burnish.testing import temporary_context, tiny_tokenizer

ray = pytest.importorskip("ray")
WORDS = [f"word{i}" for i in range(500)]


@pytest.fixture(scope="module")
def cluster():
    """Two workers on this machine."""
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    yield
    ray.shutdown()


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """1,500 rows in some 60 chunks: texts, near and exact duplicates, odd lines."""
    r = random.Random(0)
    texts: list[str] = []
    for i in range(1500):
        text = " ".join(r.choices(WORDS, k=60)) if i % 3 else f"{r.choice(texts or ['a b c d e'])} more"
        texts.append(text)
    lines = [json.dumps({"text": text, "i": i}) if i % 97 else '{"text": ' for i, text in enumerate(texts)]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(lines))
    monkeypatch.setattr(chunks_module, "CHUNK_BYTES", 10_000)
    return path


def cleaned(corpus, folder, **settings):
    context, _ = temporary_context(folder, {"source": corpus, "tokenizer": tiny_tokenizer(folder / "tokenizer")})
    near = NearDedupSpec(threshold=0.6)
    asked = {"source": "file:rows.jsonl", "near_dedup": near, "keep": "longest", "keep_removed": True}
    asked |= {"tokenizer": "file:tokenizer", "filters": {"length": {"max_tokens": 490}}}
    run(CleanSpec.model_validate({**asked, **settings}), context)
    return {
        str(path.relative_to(context.out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(context.out.rglob("*"))
        if path.is_file()
    }


def workers():
    """The process ids of workers that are at work."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cmdline").read_bytes().startswith(b"ray::_work"):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def test_the_result_is_that_of_this_machine_though_a_worker_is_killed(cluster, corpus, tmp_path):
    killed = []

    def kill_one():
        while not killed:
            for pid in workers():
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
                return
            time.sleep(0.005)

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    on_ray = cleaned(corpus, tmp_path / "ray", on="ray", workers=2)
    assert killed
    assert on_ray == cleaned(corpus, tmp_path / "local", on="local", workers=1)
    removed = (tmp_path / "ray" / "out" / "removed.jsonl").read_text()
    assert "more than 490 tokens" in removed


def test_an_error_in_a_worker_is_the_error_of_the_run(cluster, corpus, tmp_path):
    corpus.write_bytes(corpus.read_bytes()[:-1])
    with pytest.raises(DataError) as caught:
        cleaned(corpus, tmp_path / "ray", on="ray", max_bad_share=0.0)
    assert caught.value.code == "data.too-many-bad-rows"
    pool = pool_of("ray", 2, tmp_path, corpus)
    with pytest.raises(DataError) as caught:
        list(pool.map(partial(partial, read_manifest), [damaged(tmp_path)]))
    assert caught.value.code == "data.unreadable"
    assert "says that its rows were not written" in caught.value.what


def damaged(folder):
    """A folder whose manifest says that it is not finished."""
    begin(folder)
    return folder


def test_workers_that_do_not_see_workspace_and_source_are_refused(cluster, monkeypatch, tmp_path):
    with pytest.raises(MachineError) as caught:
        pool_of("ray", 2, tmp_path, tmp_path / "gone.jsonl")
    assert (caught.value.code, "gone.jsonl" in caught.value.what) == ("machine.no-cluster", True)
    monkeypatch.setattr(Path, "touch", lambda *_, **__: None)
    with pytest.raises(MachineError) as caught:
        pool_of("ray", 2, tmp_path, tmp_path)
    assert caught.value.what == f"the cluster's workers do not see {tmp_path}"
