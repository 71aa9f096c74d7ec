"""The processes of the playground: shared, limited, ended when idle, started again; with a stand-in for the models."""

import asyncio
import os
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import pytest

from burnish.core.context import Input
from burnish.studio.playground import asking, process
from burnish.studio.playground.asking import Playground
from burnish.studio.playground.pool import Limits
from burnish.studio.playground.references import Placed


@pytest.fixture
def playground(workspace, monkeypatch):
    """Makes a playground of stand-ins: `base` is a model, `base+a1` an adapter of it."""
    tests = str(Path(__file__).parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setattr(process, "_MODULE", "model_stand_in")

    def placed(ref, *, workspace, allowed):
        base, _, adapter = ref.partition("+")
        source = Input(base, "model", workspace / base, base)
        return Placed(ref, source, Input(ref, "adapter", workspace / adapter, adapter) if adapter else None)

    monkeypatch.setattr(asking, "placed", placed)
    return lambda **limits: Playground(workspace.root, Limits(**limits))


@pytest.fixture
def log(workspace):
    """What the stand-ins did so far."""
    return lambda: (workspace.root / "log").read_text().splitlines()


async def answers(playground, *models):
    """The last event of each model."""
    return {e["model"]: e async for e in playground.generate(models, [{"role": "user", "content": "x"}])}


def run(work):
    """Run a coroutine within a minute."""
    return asyncio.run(asyncio.wait_for(work, 60))


async def until(holds):
    while not holds():
        await asyncio.sleep(0.01)


def test_a_base_and_its_adapters_share_one_process_and_the_unused_adapter_makes_room(playground, log):
    async def work():
        made = playground(adapters=2)
        found = await answers(made, "base", "base+a1", "base+a2")
        assert [found[ref]["answer"] for ref in ("base", "base+a1", "base+a2")] == [
            "base says hi",
            "aa1 says hi",
            "aa2 says hi",
        ]
        assert [(one["model"], one["adapters"]) for one in made.loaded()] == [("base", 2)]
        await answers(made, "base+a2")
        await answers(made, "base+a3")
        await answers(made, "base+a2")
        await made.close()

    run(work())
    assert sorted(log()[2:4]) == ["load aa1", "load aa2"]
    assert log()[4:] == ["unload aa1", "load aa3"]


def test_a_model_that_the_pool_releases_is_no_failure_in_the_log(playground, log, caplog):
    async def work():
        made = playground()
        await answers(made, "base")
        asked = asyncio.create_task(answers(made, "base+stuck"))
        await until(lambda: any(line.startswith("load") for line in log()))
        await made.close()
        return await asked

    found = run(work())
    assert found["base+stuck"]["code"] == "run.interrupted"
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_prompt_is_continued_by_a_model_without_chat_template_and_a_conversation_is_refused(playground):
    async def work():
        made = playground()
        continued = [one async for one in made.generate(["plain"], "x")][-1]
        refused = (await answers(made, "plain"))["plain"]
        await made.close()
        return continued, refused

    continued, refused = run(work())
    assert (continued["event"], continued["answer"]) == ("done", "plain says hi")
    assert (refused["event"], refused["code"], refused["detail"]) == ("error", "ask.wrong-value", "no chat template")


def test_an_idle_process_makes_room_for_another_model(playground, log):
    async def work():
        made = playground(processes=1)
        await answers(made, "base")
        first = made.loaded()[0]["process"]
        found = await answers(made, "other", "third")  # one after the other
        assert {event["event"] for event in found.values()} == {"done"}
        assert not os.path.exists(f"/proc/{first}")
        assert len(made.loaded()) == 1
        await made.close()

    run(work())
    assert next(line for line in log() if line.startswith("start")) == "start base"
    assert len(log()) == 6


def test_a_model_waits_while_all_processes_answer_and_is_refused_in_the_end(playground):
    async def work():
        made = playground(processes=1, wait=0.2)
        slow = made.generate(["slow"], "x")
        async for event in slow:
            if event["event"] == "token":
                break
        found = await answers(made, "base")
        assert (found["base"]["event"], found["base"]["code"]) == ("error", "run.busy")
        await slow.aclose()
        assert (await answers(made, "base"))["base"]["event"] == "done"
        await made.close()

    run(work())


def test_an_answer_that_is_closed_is_ended_in_the_process(playground, log):
    async def work():
        made = playground()
        slow = made.generate(["slow"], "x")
        async for event in slow:
            if event["event"] == "token":
                break
        await slow.aclose()
        await until(lambda: "left" in log())
        assert [one["answering"] for one in made.loaded()] == [0]
        await made.close()

    run(work())


def test_an_idle_process_ends_after_its_time(playground):
    async def work():
        made = playground(idle=0.1)
        await answers(made, "base")
        [one] = made.loaded()
        await until(lambda: not made.loaded() and not os.path.exists(f"/proc/{one['process']}"))
        assert (await answers(made, "base"))["base"]["event"] == "done"
        await made.close()

    run(work())


@pytest.mark.parametrize(
    ("model", "code", "text"),
    [("broken", "model.broken", "truncated"), ("silent", "run.engine-failed", "loaded ended (3)")],
)
def test_why_a_model_cannot_be_loaded_is_told_each_time_it_is_asked(playground, log, model, code, text):
    async def work():
        made = playground()
        for _ in range(2):
            found = (await answers(made, model, "base"))[model]
            assert (found["event"], found["code"]) == ("error", code)
            assert text in found["detail"]
            assert found["fix"]
        await made.close()

    run(work())
    assert log().count(f"start {model}") == 2
    assert log().count("start base") == 1


def test_an_adapter_that_cannot_be_loaded_beside_its_base_answers_alone(playground):
    async def work():
        made = playground()
        events = [e async for e in made.generate(["base+unfit"], "x")]
        assert events[-1]["answer"] == "unfit says hi"
        assert any("merged into its base" in e["text"] for e in events if e["event"] == "loading")
        await made.close()

    run(work())


def test_a_model_goes_on_loading_for_the_next_request_when_the_first_is_closed(playground, log, workspace):
    async def work():
        made = playground()
        first = made.generate(["late"], "x")
        assert (await anext(first))["event"] == "loading"
        await first.aclose()
        (workspace.root / "go").touch()
        assert (await answers(made, "late"))["late"]["event"] == "done"
        await made.close()

    run(work())
    assert log().count("start late") == 1


def test_a_process_that_ends_is_started_again(playground, log):
    async def work():
        made = playground()
        await answers(made, "base")
        os.kill(made.loaded()[0]["process"], 9)
        await until(lambda: made.loaded()[0]["state"] == "ended")
        assert (await answers(made, "base"))["base"]["event"] == "done"
        await made.close()

    run(work())
    assert log().count("start base") == 2


def test_of_a_long_log_only_the_end_is_read(tmp_path, caplog):
    log = tmp_path / "process.log"
    with log.open("wb") as file:
        file.truncate(1 << 30)
        file.seek(0, os.SEEK_END)
        file.write(b"last words")
    ended = process.ModelProcess(SimpleNamespace(returncode=-9), log, print)
    tracemalloc.start()
    assert "signal 9" in ended._ended().what
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
    assert "last words" in caplog.text
