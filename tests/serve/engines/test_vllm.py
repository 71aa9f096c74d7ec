"""vLLM as an engine: its command line, and its dialect with a server that answers as its documented API does."""

import asyncio
import json
import logging
import os
import signal
import sys
from pathlib import Path

import httpx
import pytest

from burnish.jobs.logs import quiet_libraries
from burnish.serve.engines.protocol import Asked, Draw, End, EngineError, Token
from burnish.serve.engines.supervision import Limits
from burnish.serve.engines.vllm import VllmEngine, vllm_arguments

QUICK = Limits(start=30, probe_every=0.2, probe=1, end=1, first_pause=0.05)


def test_the_command_line_says_what_the_settings_say(tmp_path):
    given = vllm_arguments(
        tmp_path, "m", 9, context=512, adapters={"a": tmp_path / "x"}, rank=24, more=("--enforce-eager",)
    )
    text = " ".join(given)
    assert text.startswith(f"serve {tmp_path} --served-model-name m --host 127.0.0.1 --port 9 ")
    for part in ("--max-model-len 512", "--enable-lora --max-lora-rank 32", "--generation-config vllm"):
        assert part in text
    assert json.loads(given[given.index("--lora-modules") + 1]) == {"name": "a", "path": str(tmp_path / "x")}
    assert given[-1] == "--enforce-eager"
    assert "--enable-lora" not in vllm_arguments(tmp_path, "m", 9)


def test_the_dialect_of_completions_and_adapters(tmp_path, wait):
    program = [sys.executable, str(Path(__file__).with_name("vllm_stand_in.py"))]
    engine = VllmEngine(program, tmp_path, "m", tmp_path / "log", limits=QUICK, loads_adapters=True)

    async def answer(prompt, most=3, **more):
        return [item async for item in engine.complete(Asked(prompt, most, **more))]

    async def work():
        await engine.open()
        assert engine.context == 64
        assert await engine.is_ready()
        assert await answer((10,)) == [Token(11), Token(12), Token(13), End("length")]
        assert await answer((10,), stop_ids=(12,), top_log_probs=1) == [
            Token(11, -0.5, ((11, -0.5),)),
            End("stop", 12, -0.5),
        ]
        draw = Draw(temperature=0.5, top_p=0.9, top_k=7, min_p=0.1, seed=3, logit_bias={5: 1.0})
        await answer((10,), draw=draw, schema={"type": "object"})
        with pytest.raises(EngineError, match="does not exist") as caught:
            await answer((10,), adapter="a")
        assert caught.value.kind == "refused"
        await engine.add_adapter("a", tmp_path / "a")
        assert await answer((10,), 1, adapter="a") == [Token(11), End("length")]
        await engine.remove_adapter("a")
        with pytest.raises(EngineError) as caught:
            await answer((65,))
        assert caught.value.kind == "failed"
        os.kill(engine._child().process_id, signal.SIGKILL)
        for _ in range(100):
            if engine.restarts:
                break
            await asyncio.sleep(0.1)
        assert await answer((10,), 1) == [Token(11), End("length")]

    try:
        wait(work())
    finally:
        wait(engine.close())
    sent = [json.loads(line) for line in (tmp_path / "requests.jsonl").read_text().splitlines()]
    assert {"temperature": 0.5, "top_p": 0.9, "top_k": 7, "min_p": 0.1, "seed": 3, "ignore_eos": False}.items() <= sent[
        2
    ].items()
    assert sent[2]["logit_bias"] == {"5": 1.0}
    assert sent[2]["structured_outputs"] == {"json": {"type": "object"}}
    assert sent[0]["prompt"] == [10]
    assert sent[0]["return_token_ids"] is True
    assert sent[0]["ignore_eos"] is True


def test_its_port_needs_a_key_and_loads_no_adapters_unless_they_are_to_be_loaded(tmp_path, caplog):
    program = [sys.executable, str(Path(__file__).with_name("vllm_stand_in.py"))]
    engine = VllmEngine(program, tmp_path, "m", tmp_path / "log", limits=QUICK)

    async def work():
        await engine.open()
        with caplog.at_level(logging.DEBUG):
            quiet_libraries()
            assert await engine.is_ready()
        assert not [record.name for record in caplog.records if record.name.startswith("http")]
        async with httpx.AsyncClient(base_url=engine._child().url, trust_env=False) as other:
            body = {"model": "m", "prompt": [1], "max_tokens": 1}
            assert (await other.post("/v1/completions", json=body)).status_code == 401
        with pytest.raises(EngineError, match="404"):
            await engine.add_adapter("a", tmp_path / "a")
        await engine.close()

    levels = {name: logging.getLogger(name).level for name in ("httpx", "httpcore")}
    try:
        asyncio.run(work())
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
