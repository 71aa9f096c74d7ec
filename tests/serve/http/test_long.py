"""A long request holds up nobody else, on a real socket."""

import json
import threading
import time

import httpx
import pytest

from scripted import Served
from serving import Running

LONG = "ab c" * 250_000
REQUESTS = {
    "tokenize": ("/tokenize", {"prompt": LONG}, 200),
    "tokenize a chat": ("/tokenize", {"messages": [{"role": "user", "content": LONG}]}, 200),
    "chat": ("/v1/chat/completions", {"messages": [{"role": "user", "content": LONG}]}, 400),
    "completion": ("/v1/completions", {"prompt": LONG}, 400),
    "embedding": ("/v1/embeddings", {"input": LONG}, 400),
}


@pytest.fixture(scope="module")
def running(tmp_path_factory, tokenizer):
    with Running(Served(tmp_path_factory.mktemp("long"), tokenizer, port=0)) as server:
        yield server


@pytest.mark.parametrize("name", REQUESTS)
def test_others_are_answered_meanwhile(running, name):
    path, value, status = REQUESTS[name]
    body, ended, slowest = json.dumps(value).encode(), threading.Event(), 0.0

    def watch():
        nonlocal slowest
        with httpx.Client(base_url=running.url) as client:
            while not ended.is_set():
                begun = time.perf_counter()
                client.get("/health")
                slowest = max(slowest, time.perf_counter() - begun)
                time.sleep(0.01)

    watching = threading.Thread(target=watch)
    watching.start()
    begun = time.perf_counter()
    answer = httpx.post(f"{running.url}{path}", content=body, headers={"Content-Type": "application/json"}, timeout=60)
    seconds = time.perf_counter() - begun
    ended.set()
    watching.join()
    assert answer.status_code == status
    assert seconds > 0.3, "the request is not long enough to hold up anybody"
    assert slowest < seconds / 2
