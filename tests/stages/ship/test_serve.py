"""`burnish serve` as a command: it answers, drains on SIGTERM, and ends."""

import asyncio
import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from burnish.core.catalog import stage
from burnish.core.errors import AskError, ModelError, RunError
from burnish.core.events import Note
from burnish.core.fingerprint import of_path
from burnish.core.http.snippets import curl
from burnish.specs.ship import ServeSpec
from burnish.stages.ship import gguf
from burnish.stages.ship.cached_gguf import cached_gguf
from burnish.stages.ship.engines import chosen_engine
from burnish.stages.ship.served import open_served
from burnish.testing import input_at, temporary_context
from certified import edit_json, make_adapter, make_base
from gguf_files import written

POCKET = Path(__file__).parents[3] / "src" / "burnish" / "builtin" / "pocket"
ADDRESS = re.compile(r"serving (.+) at (http://\S+)/v1")


class Command:
    """A `burnish serve` that answers, or has ended: its lines so far, and its address."""

    def __init__(self, workspace, *arguments):
        command = [sys.executable, "-m", "burnish.cli.main", "serve", *arguments]
        environment = {**os.environ, "BURNISH_WORKSPACE": str(workspace), "COLUMNS": "200"}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, cwd=workspace
        )
        self.lines, self.address = [], ""
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()
        end = time.monotonic() + 100
        while not self.address and self._reading.is_alive() and time.monotonic() < end:
            time.sleep(0.05)

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)
            if found := ADDRESS.search(line):
                self.address = found[2]

    @property
    def text(self):
        return "".join(self.lines)

    def post(self, path, body):
        data = json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.loads(reply.read())

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        status = self.process.wait(60)
        self._reading.join(10)
        return status


@pytest.fixture(scope="module")
def pocket_file(tmp_path_factory):
    return written(POCKET, tmp_path_factory.mktemp("pocket") / "pocket.gguf", "Q8_0")[0]


@pytest.fixture
def serve(tmp_path):
    started = []

    def serve(*arguments):
        started.append(Command(tmp_path, *arguments, "--port", "0", "--threads", "1"))
        assert started[-1].address, started[-1].text
        return started[-1]

    yield serve
    for one in started:
        one.process.kill()
        one.process.wait()
        one.process.stdout.close()


def greedy(text, most=8, **more):
    return {"prompt": text, "max_tokens": most, "temperature": 0, **more}


def test_a_model_is_served_until_a_stop_that_loses_no_answer(serve, tmp_path, pocket_file):
    server = serve(str(pocket_file), "--name", "small")
    found = server.post("/v1/completions", greedy("The ", model="small"))
    assert found["system_fingerprint"].startswith("fp_")
    assert found["usage"]["completion_tokens"] == 8
    answers = []
    threads = [
        threading.Thread(
            target=lambda seed: answers.append(server.post("/v1/completions", greedy("abc", 400))),
            args=(seed,),
        )
        for seed in range(6)
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.15)

    assert server.end() == 0

    for thread in threads:
        thread.join(10)
    assert len({answer["choices"][0]["text"] for answer in answers}) == 1
    assert len(answers) == 6
    [out] = tmp_path.glob("runs/serve/1/serve/out")
    record = json.loads((out / "serve.json").read_text())
    assert record["names"] == ["small"]
    assert record["engine"] == "llama.cpp"
    assert record["counts"]["requests"] == 7
    assert len((out.parent / "access.jsonl").read_text().splitlines()) == 7
    assert "requests under way are answered" in server.text
    assert "curl http://127.0.0.1:" in server.text


def test_a_killed_engine_is_started_again_and_the_second_ctrl_c_ends_at_once(serve, pocket_file):
    server = serve(str(pocket_file), "--drain-seconds", "60")
    [engine] = _processes_with("burnish.serve.engines.llama_process", str(pocket_file))
    expected = server.post("/v1/completions", greedy("The "))["choices"]
    os.kill(engine, signal.SIGKILL)
    end = time.monotonic() + 10
    found = None
    while found is None:
        try:
            found = server.post("/v1/completions", greedy("The "))["choices"]
        except urllib.error.HTTPError as error:
            error.close()
            time.sleep(0.1)
        assert time.monotonic() < end, "it was not started again within ten seconds"
    assert found == expected
    hanging = threading.Thread(target=_ignore, args=(lambda: server.post("/v1/completions", greedy("x", 10**6, n=8)),))
    hanging.start()
    time.sleep(0.1)
    server.process.send_signal(signal.SIGINT)
    time.sleep(1.2)
    began = time.monotonic()
    server.end(signal.SIGINT)
    assert time.monotonic() - began < 5
    hanging.join(10)


def test_a_model_that_changes_while_it_is_served_leaves_the_log_of_requests(serve, tmp_path, pocket_file):
    file = shutil.copy(pocket_file, tmp_path / "own.gguf")
    server = serve(str(file))
    server.post("/v1/completions", greedy("The "))
    os.utime(file)
    assert server.end() != 0
    assert "changed while the step read it" in server.text
    assert len((tmp_path / "runs/serve/1/serve/access.jsonl").read_text().splitlines()) == 1


def _ignore(work):
    with contextlib.suppress(OSError):
        work()


def _processes_with(*words):
    """The ids of the running processes with these words in their command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().decode()
        except OSError:
            continue
        if all(word in command for word in words):
            found.append(int(folder.name))
    return found


def test_a_stage_of_what_it_does_is_never_reused():
    assert not stage("serve").is_reusable
    assert all(stage(name).is_reusable for name in ("gguf", "merge", "evaluate"))


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("base"))


def notes(events):
    return " | ".join(event.text for event in events if isinstance(event, Note))


def test_a_gguf_file_is_made_once_and_again_when_it_is_damaged(base, tmp_path):
    ctx, events = temporary_context(tmp_path)
    source = input_at(base)
    made = cached_gguf(ctx, source, "F16", certify=False)
    assert "making a GGUF file" in notes(events)
    events.clear()
    assert cached_gguf(ctx, source, "F16", certify=False) == made
    assert "of the cache, not certified" in notes(events)
    assert "making" not in notes(events)

    content = made.path.read_bytes()
    made.path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    events.clear()
    again = cached_gguf(ctx, source, "F16", certify=False)
    assert again.path.read_bytes() == content
    assert "is damaged, and made again" in notes(events)

    other = cached_gguf(ctx, source, "Q8_0", certify=False)
    assert other.path != made.path
    assert not list((tmp_path / "cache" / "gguf").glob("*.part"))


@pytest.mark.parametrize(
    ("changed", "is_undone", "has_fingerprint"),
    [("adapter", True, True), ("base", False, True), ("base", False, False)],
    ids=["written and restored", "base of a plan", "base without a fingerprint"],
)
def test_a_model_that_changes_while_its_file_is_made_is_not_cached(
    changed, is_undone, has_fingerprint, tmp_path, monkeypatch
):
    base = make_base(tmp_path / "base")
    adapter = make_adapter(base, tmp_path / "adapter")
    source = input_at(adapter)
    if has_fingerprint:
        own = replace(input_at(base), fingerprint=of_path(base, {}, "model"))
        source = replace(source, fingerprint=of_path(adapter, {}, "adapter"), inputs={"model": own})
    [weights] = {"adapter": adapter, "base": base}[changed].glob("*.safetensors")
    run, content = gguf.run, weights.read_bytes()

    def changing(*arguments):
        outcome = run(*arguments)
        weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        if is_undone:
            weights.write_bytes(content)
        return outcome

    monkeypatch.setattr(gguf, "run", changing)
    ctx, _ = temporary_context(tmp_path / "run")
    with pytest.raises(RunError) as caught:
        cached_gguf(ctx, source, "F16", certify=False)
    assert caught.value.code == "run.input-changed"
    assert {path.suffix for path in (tmp_path / "run" / "cache" / "gguf").iterdir()} == {".lock"}


def test_another_adapter_or_base_is_another_file(base, tmp_path):
    ctx, _ = temporary_context(tmp_path)
    paths = set()
    for seed in (1, 2):
        adapter = make_adapter(base, tmp_path / f"adapter-{seed}", seed)
        paths.add(cached_gguf(ctx, input_at(adapter), "F32", certify=False).path)
        paths.add(cached_gguf(ctx, input_at(adapter), "F32", certify=False, form="lora").path)
    assert len(paths) == 4


def test_a_file_that_is_not_certified_is_not_used_where_a_certificate_is_requested(base, tmp_path):
    ctx, _ = temporary_context(tmp_path)
    plain = cached_gguf(ctx, input_at(base), "F16", certify=False)
    certified = cached_gguf(ctx, input_at(base), "F16", certify=True)
    assert plain.certificate is None
    assert certified.certificate["holds"]
    assert certified.path != plain.path
    assert cached_gguf(ctx, input_at(base), "F16", certify=True).certificate == certified.certificate


def test_a_failed_making_leaves_nothing_in_the_cache(base, tmp_path, monkeypatch):
    def fails(*_, **__):
        raise ModelError("model.unsupported", "no", "no")

    monkeypatch.setattr(gguf, "write", fails)
    ctx, _ = temporary_context(tmp_path)
    with pytest.raises(ModelError):
        cached_gguf(ctx, input_at(base), "F16", certify=False)
    assert {path.suffix for path in (tmp_path / "cache" / "gguf").iterdir()} == {".lock"}


def test_an_adapter_whose_tokenizer_is_not_that_of_the_file_is_not_served(base, tmp_path):
    adapter, file = make_adapter(base, tmp_path / "adapter"), written(base, tmp_path / "base.gguf", "F32")[0]
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(base / name, adapter)
    spec = ServeSpec(model=f"file:{file}", adapters={"other": f"file:{adapter}"}, engine="llama", certify=False)
    ctx, events = temporary_context(tmp_path / "run", {"model": input_at(file), "adapters.other": input_at(adapter)})

    def swap(tokenizer):
        vocab = tokenizer["model"]["vocab"]
        vocab["e"], vocab["o"] = vocab["o"], vocab["e"]

    edit_json(adapter / "tokenizer.json", swap)
    with pytest.raises(ModelError, match=r"other is not served: .* the engine's ids differ from ours"):
        asyncio.run(open_served(spec, ctx))
    assert re.search(r"base.gguf: \d+ renderings agree with the engine", notes(events))


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"adapters": {"a b": "file:x"}}, "'a b' is no name"),
        ({"name": "x", "adapters": {"x": "file:x"}}, "the model and an adapter have the name 'x'"),
        ({"engine": "vllm", "gguf_type": "F16"}, "gguf_type has no effect with engine: vllm"),
        ({"engine": "llama", "vllm_args": ["--x"]}, "vllm_args has no effect with engine: llama"),
        ({"engine": "llama", "dtype": "float16"}, "dtype has no effect with engine: llama"),
        ({"engine": "transformers", "tensor_parallel": 2}, "tensor_parallel has no effect with engine: transformers"),
        ({"host": "0.0.0.0"}, "open to other machines"),
    ],
    ids=str,
)
def test_settings_that_do_not_fit_are_refused(settings, why):
    with pytest.raises(ValueError, match=why):
        ServeSpec(model="builtin:pocket", **settings)


@pytest.mark.parametrize("settings", [{"vllm_args": ["--x"]}, {"dtype": "float16"}, {"tensor_parallel": 2}], ids=str)
def test_settings_of_vllm_are_refused_where_auto_is_llama_before_any_work(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    ctx, _ = temporary_context(tmp_path)
    spec = ServeSpec(model="builtin:pocket", **settings)
    with pytest.raises(AskError, match=rf"{next(iter(settings))}: for vLLM, but engine: auto is llama.cpp here"):
        chosen_engine(spec, input_at(POCKET), ctx)


@pytest.mark.parametrize(
    ("url", "key", "chats", "expected"),
    [
        ("http://127.0.0.1:1", None, True, ["http://127.0.0.1:1/v1/chat/completions", "messages"]),
        ("http://0.0.0.0:2", "KEY", True, ["http://127.0.0.1:2/v1/chat/completions", '"Authorization: Bearer $KEY"']),
        ("http://[::]:3", "MINE", False, ["http://[::1]:3/v1/completions", '"Authorization: Bearer $MINE"', "prompt"]),
    ],
)
def test_the_command_that_asks_has_an_address_to_ask_at_and_the_key(url, key, chats, expected):
    text = curl(url, "it's", key, chats=chats)
    assert all(part in text for part in expected), text
    assert ("Authorization" in text) is (key is not None)
    assert json.loads(shlex.split(text)[-1])["model"] == "it's"
