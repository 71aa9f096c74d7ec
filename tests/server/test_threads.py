"""Slow work takes no thread of quick answers, nobody waits without end, and lists are shared and never too old."""

import asyncio
import socket
import threading
from contextvars import ContextVar

import httpx
import pytest
from openai._streaming import SSEDecoder

from burnish.core.errors import BurnishError
from burnish.core.http.sockets import bound_socket
from burnish.jobs.database.database import Database
from burnish.server import streams as streams_module
from burnish.server.app import make_app
from burnish.server.receiving.bodies import _Writing
from burnish.server.settings import Settings
from burnish.server.shared import listed as listed_module
from burnish.server.shared.cached import Kept
from burnish.server.shared.listed import Listed, listed
from burnish.server.streams import KEEPALIVE, Streams, event
from burnish.server.threads import _MOST_WAITING, _THREADS, Crews
from burnish.studio.datasets import upload
from burnish.studio.finetuning.jobs import create_job
from burnish.studio.kept_workrooms import KeptWorkroom
from burnish.studio.serving.logins import add_token
from lists import LISTS


def test_slow_requests_leave_the_quick_ones_alone_and_too_many_are_refused():
    crews, go = Crews(), threading.Event()

    async def ask() -> None:
        most = _THREADS["slow"] + _MOST_WAITING["slow"]
        slow = [asyncio.create_task(crews.run("slow", go.wait, 20)) for _ in range(most)]
        while crews._limits["slow"].statistics().tasks_waiting < _MOST_WAITING["slow"]:
            await asyncio.sleep(0)
        with pytest.raises(BurnishError) as caught:
            await crews.run("slow", go.wait)
        assert caught.value.code == "machine.busy"
        assert await crews.run("quick", int, "7") == 7
        go.set()
        assert all(await asyncio.gather(*slow))

    asyncio.run(ask())


def test_a_request_to_a_workroom_waits_for_a_free_child_for_a_limited_time():
    room = KeptWorkroom("burnish.stages.data.viewing", most=0)
    with pytest.raises(BurnishError) as caught:
        room.ask({}, patience=0.01)
    assert caught.value.code == "machine.busy"


def test_who_waits_for_an_answer_that_fails_gets_the_error_and_does_not_look_for_it_again():
    kept, sought, errors = Kept(60.0), [], []

    def find():
        sought.append(1)
        while len(kept._sought["key"]._condition._waiters) < 7:
            pass
        raise OSError("database")

    def ask():
        with pytest.raises(OSError, match="database"):
            kept.get("key", find)
        errors.append(1)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (len(errors), len(sought)) == (8, 1)
    assert kept.get("key", lambda: 7) == 7


def test_a_stream_says_that_it_lives_while_its_next_piece_lets_wait(monkeypatch):
    monkeypatch.setattr(streams_module, "KEEPALIVE_SECONDS", 0.0)
    monkeypatch.setattr(streams_module, "_LOOK_SECONDS", 0.001)
    streams, ended = Streams(), []

    async def pieces():
        yield b"one"
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def read() -> None:
        answer = streams.response(pieces(), first=b"first").body_iterator
        assert [await anext(answer) for _ in range(4)] == [b"first", b"one", KEEPALIVE, KEEPALIVE]
        await answer.aclose()

    asyncio.run(read())
    assert (ended, streams.open) == ([True], 0)


def test_a_sign_of_life_is_no_event_for_the_client_of_openai():
    sent = [event({"n": 1}, id="a"), KEEPALIVE, KEEPALIVE, event({"n": 2}, id="b"), KEEPALIVE]
    assert [one.json() for one in SSEDecoder().iter_bytes(iter(sent))] == [{"n": 1}, {"n": 2}]


def test_an_answer_in_two_parts_is_sent_at_once():
    with bound_socket("127.0.0.1", 0) as bound:
        assert bound.proto == socket.IPPROTO_TCP  # asyncio sets TCP_NODELAY for these alone


def test_a_list_is_shared_found_anew_in_the_background_and_at_once_after_a_change(monkeypatch, until):
    clock = [100.0]
    monkeypatch.setattr(listed_module, "time", type("Clock", (), {"monotonic": staticmethod(lambda: clock[0])}))
    listed, ages = Listed(), []

    def find(age: float) -> bytes:
        ages.append(age)
        return str(len(ages)).encode()

    assert [listed.answer("key", find) for _ in range(3)] == [b"1"] * 3
    clock[0] += 1.5
    assert listed.answer("key", find) in (b"1", b"2")  # who asks does not wait
    until(lambda: listed.answer("key", find) == b"2")
    clock[0] += 3.0
    assert listed.answer("key", find) == b"3"
    listed.changed()
    clock[0] += 0.1
    assert listed.answer("key", find) == b"4"
    assert ages[-1] == pytest.approx(0.1)  # what was known before the change is not used


def test_callers_of_a_list_at_the_same_moment_share_one_look():
    listed, seen = Listed(), []
    begun, go = threading.Event(), threading.Event()

    def find(_age: float) -> bytes:
        begun.set()
        assert go.wait(20)
        return b"found"

    callers = [threading.Thread(target=lambda: seen.append(listed.answer("key", find))) for _ in range(5)]
    for caller in callers:
        caller.start()
    assert begun.wait(20)
    go.set()
    for caller in callers:
        caller.join(20)
    assert seen == [b"found"] * 5


def test_an_error_of_a_list_is_that_of_who_asks():
    listed = Listed()

    def fail(_age: float) -> bytes:
        raise OSError("gone")

    for _ in range(2):
        with pytest.raises(OSError, match="gone"):
            listed.answer("key", fail)
    assert listed.answer("key", lambda _: b"back") == b"back"


def test_an_upload_whose_client_goes_away_while_it_is_opened_is_closed():
    begun, go, closed = threading.Event(), threading.Event(), threading.Event()

    class Slow:
        def __enter__(self):
            begun.set()
            assert go.wait(20)

        def __exit__(self, *_):
            closed.set()

    async def leave() -> None:
        opening = asyncio.create_task(_Writing(Slow()).__aenter__())
        await asyncio.to_thread(begun.wait, 20)
        opening.cancel()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await opening

    asyncio.run(leave())
    assert closed.is_set()


def test_no_quick_route_asks_the_database(tmp_path, monkeypatch):
    """A database that is slow, or locked, holds up nobody who asks for anything else."""
    crew, asked = ContextVar("crew", default=None), set()
    run, reading, writing = Crews.run, Database.reading, Database.writing

    async def noted(self, work, call, /, *arguments, **named):
        token = crew.set(work)
        try:
            return await run(self, work, call, *arguments, **named)
        finally:
            crew.reset(token)

    def noting(open_):
        def opened(self):
            asked.add(crew.get())
            return open_(self)

        return opened

    file = upload("t.jsonl", [b'{"messages":[{"role":"user","content":"q"}]}\n'], workspace=tmp_path)
    method = {"type": "supervised", "supervised": {"hyperparameters": {}}}
    job = create_job(model="builtin:pocket", training_file=file["id"], method=method, workspace=tmp_path)["id"]
    headers = {"Authorization": f"Bearer {add_token('t', 'admin', workspace=tmp_path)}"}
    monkeypatch.setattr(Crews, "run", noted)
    monkeypatch.setattr(Database, "reading", noting(reading))
    monkeypatch.setattr(Database, "writing", noting(writing))
    app = make_app(Settings(tmp_path))
    fine_tuning = f"/v1/fine_tuning/jobs/{job}"
    paths = [*LISTS, "/api/v1/runs/ft/1", fine_tuning, f"{fine_tuning}/events", f"{fine_tuning}/checkpoints"]

    async def ask():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8420", headers=headers) as client:
            before = listed._changed
            drafted = await client.post("/api/v1/drafts", json={"stage": "sft", "values": {}})
            assert (drafted.status_code, listed._changed) == (200, before)  # a request that changes nothing
            for path in paths:
                asked.clear()
                assert (await client.get(path)).status_code == 200, path
                assert not asked & {"quick", None}, path

    try:
        asyncio.run(ask())
    finally:
        app.state.audit.close()
