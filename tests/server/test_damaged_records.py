"""Every record that a list or a page reads, damaged in every field: the damaged one is named, and the others are shown.

The server runs in this process: nothing here depends on its own.
"""

import asyncio
import json

import httpx
import pytest

from burnish.server.app import make_app
from burnish.server.settings import Settings
from burnish.server.shared.listed import listed
from burnish.studio.datasets import upload
from burnish.studio.finetuning.jobs import cancel_job, create_job
from burnish.studio.serving.logins import add_token
from lists import LISTS
from made_runs import made_run, record_files_again

MODEL = {"ref": "builtin:pocket", "kind": "model", "path": "x", "fingerprint": "f", "revision": "", "inputs": {}}
CHECK = {"name": "finite", "verdict": "holds", "found": "all", "limit": ""}
CERTIFICATE = {
    "change": "merge bf16",
    "holds": True,
    "checks": [CHECK],
    "rows": 12,
    "tokens": 300,
    "burnish": "0.1.0",
    "parent": {"ref": "a.tune@1", "fingerprint": "f"},
    "child": {"ref": "", "fingerprint": ""},
}
VALUE = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 9, "unscored": 0}
METRICS = {
    "scores": {"exact": {"model": VALUE, "base": VALUE, "delta": 0.1, "delta_low": 0.0, "delta_high": 0.2}},
    "likelihood": {"perplexity": {"model": VALUE}},
    "rows": 9,
    "clusters": None,
    "confidence": 0.95,
}
FACTS = {"address": "http://0.0.0.0:1", "names": ["a"], "engine": "llama.cpp", "context": 8, "key": None, "chats": True}
FAILURE = {"code": "run.failed", "what": "it failed", "fix": "see its log", "exit_status": 1}
ITEM = {"id": "a", "prompt": "p", "answer": "x", "scores": {"exact": {"value": 1.0, "why": ""}}, "unscored": {}}

RECORDS = {
    "runs/damaged/1/data/run.json": "/api/v1/runs/damaged/1",
    "runs/damaged/1/data/job.json": "/api/v1/runs/damaged/1",
    "runs/damaged/1/data/artifact.json": "/api/v1/datasets/damaged.data@1",
    "runs/damaged/1/data/out/stats.json": "/api/v1/datasets/damaged.data@1/quarantine",
    "runs/damaged/1/data/out/sample.jsonl": "/api/v1/runs/damaged/1/data/samples",
    "runs/damaged/1/data/out/quarantine.jsonl": "/api/v1/datasets/damaged.data@1/quarantine",
    "runs/damaged/1/tune/run.json": "/api/v1/runs/damaged/1",
    "runs/damaged/1/tune/events.jsonl": "/api/v1/runs/damaged/1/tune/curves",
    "runs/damaged/1/model/artifact.json": "/api/v1/artifacts/damaged/1/model",
    "runs/damaged/1/model/out/proof.json": "/api/v1/runs/damaged/1/model/proof",
    "runs/damaged/1/plan.json": "/api/v1/runs/damaged/1",
    "runs/damaged/1/score/out/metrics.json": "/api/v1/evaluations/damaged/1/score",
    "runs/damaged/1/score/out/items.jsonl": "/api/v1/evaluations/damaged/1/score/items",
    "runs/damaged/1/server/serving.json": "/api/v1/served",
    "runs/damaged/1/server/job.json": "/api/v1/served",
    "runs/ft/1/.queue/fine_tuning.json": "/v1/fine_tuning/jobs/ftjob-ft-1",
    "runs/ft/1/.queue/submitted.json": "/api/v1/runs/ft/1",
    "runs/ft/1/.queue/data/ended.json": "/v1/fine_tuning/jobs/ftjob-ft-1",
    "runs/ft/1/plan.json": "/v1/fine_tuning/jobs/ftjob-ft-1/events",
    "data/uploads/.records/t.jsonl.json": "/api/v1/datasets/t.jsonl",
    ".burnish/hashes.json": "/api/v1/datasets/t.jsonl",
    "data/votes.jsonl": "/api/v1/generate/votes",
}
"""Each record, and a page that shows it alone."""
MEANT = {("kind",), ("certificate",)}
"""These say in which lists an artifact is."""
FAULTS = {
    "missing": None,
    "null": None,
    "text": "x",
    "number": 3,
    "list": [],
    "object": {},
    "negative": -1,
    "large": 10**30,
    "infinite": float("inf"),
    "long": "x" * 100_000,
    "deep": [[[["x"]]]],
}


def fill(folder, name):
    """A run with a step of each kind."""
    made = made_run(folder, steps=("data", "tune", "model", "score", "server"), recipe=name)
    sample = '{"prompt": "a", "completion": "b"}\n'
    bad = json.dumps({"source": "t.jsonl:1", "field": "messages", "reason": "is 3", "raw": "3"}) + "\n"
    stats = json.dumps({"read": 3, "kept": 1, "quarantined": 1, "dropped": {"same": 1}, "splits": {"train": 1}})
    files = {"train.jsonl": sample, "sample.jsonl": sample, "quarantine.jsonl": bad, "stats.json": stats}
    made.finish("data", "dataset", files, {"rows": 1}, stage="prepare")
    made.step("tune").transition("failed", reason="it failed", error=FAILURE)
    proof = json.dumps({"held": 1, "failed": 0, "errors": 0, "checks": [CHECK]})
    made.finish("model", "model", {"config.json": "{}", "proof.json": proof}, {"tokens": 300}, certificate=CERTIFICATE)
    made.finish("score", "evaluation", {"metrics.json": json.dumps(METRICS), "items.jsonl": json.dumps(ITEM) + "\n"})
    server = made.step("server")
    for record, change in (("run.json", {"stage": "serve"}), ("job.json", {"inputs": {"model": MODEL}})):
        value = json.loads((server.folder / record).read_text())
        (server.folder / record).write_text(json.dumps(value | change))
    (server.folder / "serving.json").write_text(json.dumps(FACTS))
    return server


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A server in this process, asked by `get(path)`, with `sound` and `damaged` runs, jobs, uploads and votes."""
    folder = tmp_path_factory.mktemp("records")
    servers = [fill(folder, name) for name in ("sound", "damaged")]
    file = upload("t.jsonl", [b'{"messages":[{"role":"user","content":"q"}]}\n'], workspace=folder)
    method = {"type": "supervised", "supervised": {"hyperparameters": {}}}
    for suffix in (None, "sound"):
        asked = {"model": "builtin:pocket", "training_file": file["id"], "method": method, "suffix": suffix}
        cancel_job(create_job(**asked, metadata={"team": "a"}, workspace=folder)["id"], workspace=folder)
    vote = {"prompt": "a", "chosen_model": "sound", "rejected_model": "other"}
    (folder / "data" / "votes.jsonl").write_text(f"{json.dumps(vote)}\n" * 2)
    headers = {"Authorization": f"Bearer {add_token('t', 'admin', workspace=folder)}"}
    loop, app = asyncio.new_event_loop(), make_app(Settings(folder))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8420", headers=headers, timeout=60)

    def get(path):
        listed.changed()
        return loop.run_until_complete(client.get(path))

    with servers[0].lock(), servers[1].lock():
        get.folder = folder
        yield get
    loop.run_until_complete(client.aclose())
    app.state.audit.close()
    loop.close()


def fields_of(value, at=()):
    """The path of every field of a record."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*at, key)
        yield from fields_of(child, (*at, key))


def damaged(value, at, fault):
    value = json.loads(json.dumps(value))
    *parents, last = at
    place = value
    for part in parents:
        place = place[part]
    if fault == "missing":
        del place[last]
    else:
        place[last] = FAULTS[fault]
    return value


@pytest.mark.some(every=24)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("record", RECORDS)
def test_a_damaged_field_is_no_fault_of_the_server_and_hides_no_other(whole, record, fault):
    path, page = whole.folder / record, RECORDS[record]
    if path.name == "hashes.json" and not path.exists():
        pytest.skip("none was written")
    kept, artifact = path.read_text(), path.parents[1] / "artifact.json"
    is_out = path.parent.name == "out"
    kept_artifact = artifact.read_text() if is_out else ""
    lines = path.suffix == ".jsonl"
    value = json.loads(kept.splitlines()[0]) if lines else json.loads(kept)
    before = {address: names for address in LISTS if (names := named(whole(address)))}
    try:
        for at in fields_of(value):
            text = json.dumps(damaged(value, at, fault))
            path.write_text(f"{text}\n" + "".join(kept.splitlines(keepends=True)[1:]) if lines else text)
            if is_out:
                record_files_again(path.parents[1])
            for address, names in before.items():
                answer = whole(address)
                assert answer.status_code == 200, (at, address, answer.text)
                assert named(answer) >= (names if at not in MEANT else names - {"damaged"}), (at, address)
            answer = whole(page)
            known = answer.headers["content-type"] == "application/problem+json" or "error" in answer.json()
            assert answer.status_code == 200 or known, (at, answer.text)
            if answer.status_code == 500:
                assert "unexpectedly" not in answer.text, (at, answer.text)
                assert "damaged" in answer.text or path.name in answer.text, (at, answer.text)
    finally:
        path.write_text(kept)
        if is_out:
            artifact.write_text(kept_artifact)
            record_files_again(path.parents[1])


def named(answer):
    """The names of runs, jobs and files that an answer has, of what is damaged and what is not."""
    names = ("sound/1", "sound.", "damaged/1", "damaged.", "ft/1", "ft-sound/1", "t.jsonl")
    return {name.rstrip(".1").rstrip("/") for name in names if name in answer.text}
