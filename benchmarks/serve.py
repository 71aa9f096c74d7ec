"""`burnish serve` against `transformers serve` on the same model: tokens/s, time to the first token, p99 of requests.

    python benchmarks/serve.py [--clients 1,8,32] [--rounds 2] [--tokens 48] [--servers a,b] [--small]

The model is made on the spot: Qwen3's shape, 80M random parameters in bfloat16 (`--small`: 3M), whose end token is
never the most likely one, so that every answer has the same length. Servers run in turn, each round starts them anew;
every client streams chats of its own at temperature 0. CPU time is that of the server's processes. Prints the table of
docs/benchmarks.md.
"""

import argparse
import contextlib
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from burnish.core.inputs.references import built_ins
from burnish.endpoints.faults import words_of
from burnish.endpoints.smoke.probe import Probe
from burnish.endpoints.streams import Gathered, NotStreamedError, UnfinishedStreamError, stream_json
from burnish.models.quiet import quiet_transformers

SIZES = {"hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 14, "num_attention_heads": 12}
SMALL = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 4, "num_attention_heads": 4}
BIN = Path(sys.executable).parent
SERVERS = {
    "burnish": "burnish serve, Q8_0 (default)",
    "burnish-f32": "burnish serve, F32",
    "transformers": "transformers serve, float32",
    "transformers-batching": "transformers serve, float32, continuous batching",
    "transformers-bfloat16": "transformers serve, bfloat16 (default)",
}
TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Load:
    """What clients saw: per request its tokens, seconds to the first text, and seconds in all."""

    wall: float = 0.0
    cpu: float = 0.0
    requests: list[tuple[int, float, float]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return sum(tokens for tokens, _, _ in self.requests) / self.wall if self.wall else 0.0

    @property
    def cells(self) -> tuple[str, ...]:
        """Tokens a second, first token, p99, CPU time a token, errors; "–" without an answer."""
        if not self.requests:
            return *["–"] * 4, str(len(self.errors))
        first = sorted(first for _, first, _ in self.requests)
        whole = sorted(whole for _, _, whole in self.requests)
        tokens = sum(tokens for tokens, _, _ in self.requests)
        p99 = whole[min(len(whole) - 1, int(0.99 * len(whole)))]
        times = f"{statistics.median(first):.2f} s", f"{p99:.2f} s", f"{1000 * self.cpu / tokens:.1f}"
        return f"{self.rate:.1f}", *times, str(len(self.errors))


def make_model(folder: Path, sizes: dict[str, int]) -> int:
    """Save the model with the tokenizer of the built-in one; returns its number of parameters."""
    source = built_ins()["pocket"]
    known = json.loads((Path(source) / "config.json").read_text())
    ends = known["eos_token_id"]
    kept = {name: known[name] for name in ("vocab_size", "bos_token_id", "eos_token_id", "pad_token_id")}
    more = {"num_key_value_heads": sizes["num_attention_heads"] // 2, "head_dim": 64, "max_position_embeddings": 4096}
    torch.manual_seed(0)
    config = AutoConfig.for_model("qwen3", tie_word_embeddings=True, **sizes, **more, **kept)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    with torch.no_grad():
        model.get_input_embeddings().weight[ends] = 0.0  # logit 0: another token always has a higher one
    with quiet_transformers():
        model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"):
        if (Path(source) / name).exists():
            shutil.copy(Path(source) / name, folder / name)
    return sum(parameter.numel() for parameter in model.parameters())


class Server:
    """One server on a free port; `seconds` is how long it took to be ready."""

    def __init__(self, kind: str, model: Path, folder: Path, clients: int):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url, self.name = f"http://127.0.0.1:{port}/v1", str(model)
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hf")}
        (folder / "hf/hub").mkdir(parents=True, exist_ok=True)  # /v1/models of transformers lists it
        if kind.startswith("burnish"):
            self.name = "model"
            command = [str(BIN / "burnish"), "serve", str(model), "--port", str(port), "--name", self.name]
            command += ["--parallel", str(min(clients, 32)), "--context", "512", "--certify", "false"]
            command += ["--gguf-type", "F32"] if kind.endswith("f32") else []
            command += ["--workspace", str(folder)]
        else:
            command = [str(BIN / "transformers"), "serve", str(model), "--device", "cpu", "--port", str(port)]
            command += ["--dtype", "bfloat16" if kind.endswith("16") else "float32"]
            command += ["--continuous-batching"] if kind.endswith("batching") else []
        self.log = (folder / f"{kind}.log").open("ab")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env=environment)
        began = time.monotonic()
        said = Probe(self.url, {}, 10).wait(300)
        if said or self.process.poll() is not None:
            self.close()
            raise SystemExit(f"{kind} does not start: {said}; see {self.log.name}")
        self.seconds = time.monotonic() - began

    def cpu(self) -> float:
        """CPU seconds so far, of the process and its descendants."""
        children: dict[int, list[int]] = {}
        used: dict[int, int] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                text = stat.read_text()
            except OSError:
                continue
            fields = text.rpartition(")")[2].split()
            pid = int(stat.parent.name)
            children.setdefault(int(fields[1]), []).append(pid)
            used[pid] = int(fields[11]) + int(fields[12])
        waiting, total = [self.process.pid], 0
        while waiting:
            pid = waiting.pop()
            total += used.get(pid, 0)
            waiting += children.get(pid, [])
        return total / TICK

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def ask(server: Server, number: int, tokens: int) -> tuple[int, float, float]:
    """Stream one chat; returns (tokens, seconds to the first text, seconds)."""
    words = " ".join(f"order {number * 7 + place} of {place} May" for place in range(12))
    body = {"model": server.name, "messages": [{"role": "user", "content": words}], "temperature": 0}
    body |= {"max_tokens": tokens, "stream": True, "stream_options": {"include_usage": True}}
    gathered, began, first = Gathered(), time.perf_counter(), 0.0
    with contextlib.suppress(UnfinishedStreamError):  # transformers sends no [DONE]
        for chunk in stream_json(f"{server.url}/chat/completions", json.dumps(body).encode(), {}, 600):
            if any(gathered.add(chunk)) and not first:
                first = time.perf_counter() - began
    usage = gathered.reply.usage
    if gathered.reply.finish_reason != "length":
        raise ValueError(f"finish_reason is {gathered.reply.finish_reason!r}, not length")
    return tokens if usage is None else usage.reply, first, time.perf_counter() - began


def load(server: Server, clients: int, each: int, tokens: int) -> Load:
    """All clients at once, each with some requests one after the other."""
    found, lock = Load(), threading.Lock()

    def client(place: int) -> None:
        for turn in range(each):
            try:
                one = ask(server, place * each + turn, tokens)
            except Exception as error:
                why = words_of(error.posted) if isinstance(error, NotStreamedError) else words_of(error)
                with lock:
                    found.errors.append(why)
                continue
            with lock:
                found.requests.append(one)

    threads = [threading.Thread(target=client, args=(place,)) for place in range(clients)]
    before, began = server.cpu(), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found.wall, found.cpu = time.perf_counter() - began, server.cpu() - before
    return found


def machine() -> str:
    names = ("transformers", "xllamacpp", "torch", "fastapi", "uvicorn")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    return f"{platform.machine()}, {os.cpu_count()} cores, python {platform.python_version()}, {versions}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", default="1,8,32")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--servers", default="burnish,transformers,burnish-f32,transformers-batching")
    parser.add_argument("--small", action="store_true")
    given = parser.parse_args()
    loads = [int(text) for text in given.clients.split(",")]
    kinds = given.servers.split(",")
    found: dict[tuple[str, int], list[Load]] = {}
    with tempfile.TemporaryDirectory(prefix="burnish-serve-") as name:
        folder = Path(name)
        parameters = make_model(folder / "model", SMALL if given.small else SIZES)
        print(f"{parameters / 1e6:.0f}M parameters; {given.tokens} tokens an answer; {machine()}\n", flush=True)
        for number in range(given.rounds):
            for kind in kinds:
                server = Server(kind, folder / "model", folder, max(loads))
                try:
                    load(server, 1, 1, 4)  # warm up
                    for clients in loads:
                        one = load(server, clients, max(1, 4 // clients), given.tokens)
                        found.setdefault((kind, clients), []).append(one)
                        text = f"round {number + 1}, {kind}, {clients} clients, ready after {server.seconds:.1f} s"
                        print(f"{text}: {one.cells} {one.errors[:1]}", file=sys.stderr, flush=True)
                finally:
                    server.close()
    columns = ("server", "clients", "tokens/s", "times transformers", "first token", "p99", "CPU-ms a token", "errors")
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for clients in loads:
        base = [one.rate for one in found.get(("transformers", clients), ())]
        for kind in kinds:
            for number, one in enumerate(found[kind, clients]):
                times = f"{one.rate / base[number]:.2f}" if number < len(base) and base[number] else "–"
                rate, *others = one.cells
                print(f"| {' | '.join((SERVERS[kind], str(clients), rate, times, *others))} |")


if __name__ == "__main__":
    main()
