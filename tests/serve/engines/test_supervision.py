"""An engine's process that starts slowly, dies, hangs, ignores SIGTERM or prints garbage."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from burnish.core.errors import RunError
from burnish.serve.engines.pipe import PipeEngine
from burnish.serve.engines.protocol import Asked, End, EngineError, Token
from burnish.serve.engines.supervision import Limits

QUICK = Limits(start=20, probe_every=0.1, probe=0.5, end=1, first_pause=0.05, failures=3)


@pytest.fixture
def engine(tmp_path, monkeypatch, wait):
    """An engine with a stand-in for its process, and what it reports in `reported`."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    made = []

    def engine(limits=QUICK, **settings):
        reported = []
        settings = {"starts": str(tmp_path / "starts"), **settings}
        made.append(
            PipeEngine("llama.cpp", "stand_in", settings, tmp_path / "log", limits=limits, report=reported.append)
        )
        made[-1].reported = reported
        return made[-1]

    yield engine
    for one in made:
        wait(one.close())


async def answer(engine, *prompt, most=3):
    return [item async for item in engine.complete(Asked(prompt, most))]


async def until(holds, seconds=10.0):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never held"
        await asyncio.sleep(0.02)


def is_running(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_answers_at_the_same_time_do_not_mix(engine, wait):
    one = engine()
    wait(one.open())

    async def both():
        return await asyncio.gather(answer(one, 10), answer(one, 20, most=2))

    first, second = wait(both())
    assert first == [Token(11), Token(12), Token(13), End("length")]
    assert second == [Token(21), Token(22), End("length")]
    assert (one.context, one.slots, one.features, one.ends) == (100, 4, {"adapters"}, (0,))
    assert wait(one.is_ready())


def test_a_process_that_is_not_ready_in_time_is_ended_and_reported(engine, wait):
    one = engine(Limits(start=0.5), slow=30)
    with pytest.raises(RunError, match=r"the engine was not ready within 0\.5 s") as caught:
        wait(one.open())
    assert caught.value.code == "run.engine-failed"


def test_a_slow_start_is_waited_for(engine, wait):
    one = engine(slow=0.5)
    wait(one.open())
    assert wait(answer(one, 10, most=1)) == [Token(11), End("length")]


def test_a_process_that_ends_before_it_is_ready_is_reported_with_its_last_words(engine, wait):
    with pytest.raises(RunError, match="the engine exited with status 9: no such device"):
        wait(engine(dies=True).open())


def test_the_reason_of_a_process_that_refuses_its_settings_is_reported(engine, wait):
    with pytest.raises(RunError, match="the file is no model") as caught:
        wait(engine(refuses=True).open())
    assert caught.value.fix == "use another"


def test_garbage_in_place_of_messages_is_an_error(engine, wait):
    with pytest.raises(RunError, match="the engine wrote no message"):
        wait(engine(garbage=True).open())


@pytest.mark.parametrize(("token", "kind"), [(65, "killed"), (76, "hung")])
def test_a_process_that_is_killed_or_hangs_is_started_again(engine, wait, token, kind):
    one = engine()
    wait(one.open())
    before = one.process_id

    async def fails():
        with pytest.raises(EngineError) as caught:
            await answer(one, token)
        return caught.value

    assert wait(fails()).kind == "failed"
    wait(until(lambda: one.restarts == 1 and one.process_id is not None))
    assert one.process_id != before
    assert not is_running(before)
    assert wait(answer(one, 10, most=1)) == [Token(11), End("length")]
    [text] = one.reported
    assert ("was ended by SIGKILL" if kind == "killed" else "did not answer for 1 s") in text


def test_while_it_is_started_again_requests_are_unavailable_and_others_fail_at_once(engine, wait):
    one = engine(slow=0.4)
    wait(one.open())

    async def work():
        under_way = asyncio.create_task(answer(one, 10, most=1000))
        await asyncio.sleep(0.1)
        os.kill(one.process_id, signal.SIGKILL)
        with pytest.raises(EngineError) as caught:
            await under_way
        kinds = [caught.value.kind]
        await asyncio.sleep(0.1)
        with pytest.raises(EngineError) as caught:
            await answer(one, 10)
        return [*kinds, caught.value.kind, await one.is_ready()]

    assert wait(work()) == ["failed", "unavailable", False]


def test_after_several_failures_it_is_given_up_with_the_reason(engine, wait):
    one = engine(never_again=True)
    wait(one.open())
    os.kill(one.process_id, signal.SIGKILL)
    wait(until(lambda: one.failure is not None))
    assert one.failure.code == "run.engine-failed"
    assert "failed 3 times" in one.failure.what
    with pytest.raises(EngineError, match="failed 3 times"):
        wait(answer(one, 10))


def test_a_fault_in_a_step_ends_the_process_and_it_is_started_again(engine, wait):
    one = engine()
    wait(one.open())
    with pytest.raises(EngineError):
        wait(answer(one, 87))
    wait(until(lambda: one.restarts == 1))
    assert "a fault in a step" in one.reported[0]


def test_a_process_that_ignores_sigterm_is_killed(engine, wait):
    one = engine(stubborn=True)
    wait(one.open())
    process, began = one.process_id, time.monotonic()
    wait(one.close())
    assert not is_running(process)
    assert time.monotonic() - began < 5


def test_an_answer_that_is_closed_is_cancelled(engine, wait):
    one = engine()
    wait(one.open())

    async def work():
        answers = one.complete(Asked((10,), 10**9))
        async for _ in answers:
            break
        await answers.aclose()
        return await answer(one, 20, most=1)

    assert wait(work()) == [Token(21), End("length")]


def test_the_process_gets_no_secrets(engine, wait, monkeypatch):
    for name in ("HF_TOKEN", "OPENAI_API_KEY", "MY_SETTING"):
        monkeypatch.setenv(name, "hf_secret")
    one = engine()
    wait(one.open())
    names = {line.partition(b"=")[0] for line in Path(f"/proc/{one.process_id}/environ").read_bytes().split(b"\0")}
    assert b"PATH" in names
    assert not names & {b"HF_TOKEN", b"OPENAI_API_KEY", b"MY_SETTING"}


def test_the_process_ends_with_the_server(tmp_path, until):
    import subprocess
    import sys

    code = (
        "import asyncio, os, sys\nfrom pathlib import Path\nfrom burnish.serve.engines.pipe import PipeEngine\n"
        "async def main():\n"
        f"    engine = PipeEngine('llama.cpp', 'stand_in', {{'starts': '{tmp_path}/starts'}}, Path('{tmp_path}/log'))\n"
        "    await engine.open()\n    print(engine.process_id, flush=True)\n    os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())"
    )
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
        check=False,
    )
    process = int(done.stdout)
    until(lambda: not is_running(process), 10)
