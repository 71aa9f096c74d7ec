"""Test doubles for stages, for burnish and for packages that extend it."""

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any

from burnish.core.context import Context, Input
from burnish.core.events import Event


def temporary_context(
    folder: Path,
    inputs: Mapping[str, Input | Path | str] = MappingProxyType({}),
    stopping: Callable[[], bool] = lambda: False,
) -> tuple[Context, list[Event]]:
    """A context with `out` and `scratch` in `folder`, and the list that collects emitted events.

    Paths are converted to inputs; their kind is detected: model, adapter, tokenizer, dataset, rows, folder or file.
    A second call with the same folder reuses its scratch, as a resumed run does.
    """
    out, scratch = folder / "out", folder / "scratch"
    out.mkdir(parents=True, exist_ok=True)
    scratch.mkdir(parents=True, exist_ok=True)
    events: list[Event] = []
    resolved = {name: value if isinstance(value, Input) else input_at(Path(value)) for name, value in inputs.items()}
    return Context(out, scratch, resolved, events.append, stopping, lambda: None, folder / "cache"), events


def input_at(path: Path) -> Input:
    """An input for `path`, with its kind detected from the files."""
    if not path.is_dir():
        kind = "gguf" if path.suffix == ".gguf" else "file"
    elif (path / "adapter_config.json").exists():
        kind = "adapter"
    elif (path / "config.json").exists():
        kind = "model"
    elif (path / "tokenizer_config.json").exists():
        kind = "tokenizer"
    elif (path / "stats.json").exists() and any(path.glob("*.parquet")):
        kind = "dataset"
    elif (path / "manifest.json").exists() and (path / "rows").is_dir():
        kind = "rows"
    elif (path / "reference.json").exists():
        kind = "log-probabilities"
    else:
        kind = "folder"
    return Input(ref=f"file:{path}", kind=kind, path=path)


CHATML = """{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' }}
{%- if message.role == 'assistant' %}
{%- generation %}{{- message.content + '<|im_end|>' }}{%- endgeneration %}
{%- else %}
{{- message.content + '<|im_end|>' }}
{%- endif %}
{{- '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""


def tiny_tokenizer(folder: Path, chat_template: str | None = CHATML) -> Path:
    """Save a byte tokenizer to `folder`: `<|endoftext|>` (0) is padding, `<|im_start|>` is 1, `<|im_end|>` (2) ends."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    vocabulary = {
        token: number for number, token in enumerate([*specials, *sorted(pre_tokenizers.ByteLevel.alphabet())])
    }
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(specials)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=specials[0], eos_token=specials[2], chat_template=chat_template
    ).save_pretrained(folder)
    return folder


def tiny_model(
    folder: Path,
    family: str = "qwen3",
    *,
    seed: int = 0,
    dtype: str = "float32",
    tokenizer: bool = True,
    max_shard_bytes: int | None = None,
    **config: Any,
) -> Path:
    """Save a model of two small layers with seeded random weights, as on a hub; returns the folder.

    `family` is a transformers model type (qwen2, qwen3, llama, mistral, gemma2, gemma3_text, gpt2), `config` overrides
    its config. `tiny_tokenizer` is saved with it, unless `tokenizer` is False.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from burnish.models.quiet import quiet_transformers

    sizes = {
        "vocab_size": 264,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 512,
        "pad_token_id": 0,
        "bos_token_id": None,
        "eos_token_id": 2,
    }
    if family == "gpt2":
        sizes = {"vocab_size": 264, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 512}
        sizes |= {"pad_token_id": 0, "bos_token_id": None, "eos_token_id": 2}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        settings = AutoConfig.for_model(family, **{**sizes, **config})
        model = AutoModelForCausalLM.from_config(settings, dtype=getattr(torch, dtype))
    shards = {} if max_shard_bytes is None else {"max_shard_size": max_shard_bytes}
    with quiet_transformers():
        model.save_pretrained(folder, **shards)
    if tokenizer:
        tiny_tokenizer(folder)
    return folder


class ChatServer:
    """A local HTTP server that speaks the chat-completions protocol, for tests of judges and other endpoints.

    `answer` maps a request's JSON to the reply's text, or to a whole message; `usage` to the tokens that are charged.
    `faults` are consumed first, one per request: a status, or "reset", "half", "garbage", "empty", "slow", "drip" or
    "not-a-chat". `seen` lists the requests, `keys` the keys, `charged` the usage of the replies that were sent, whole
    or not. `models` are the fingerprints that /models gives, by the names of models.
    """

    def __init__(self, answer: Callable[[dict[str, Any]], str | dict[str, Any]] = lambda request: "Score: 10"):
        self.answer = answer
        self.usage: Callable[[dict[str, Any]], dict[str, int]] = lambda request: {"total_tokens": 10}
        self.charged: list[dict[str, int]] = []
        self.faults: list[int | str] = []
        self.models: dict[str, str] = {}
        self.headers: dict[str, str] = {}
        self.finish_reason = "stop"
        self.seen: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.released = threading.Event()
        self.most_at_once = self._at_once = 0
        self._lock = threading.Lock()

    def __enter__(self) -> "ChatServer":
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                listed = [{"id": name, "fingerprint": value} for name, value in outer.models.items()]
                content = json.dumps({"data": listed}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_POST(self) -> None:
                with outer._lock:
                    outer._at_once += 1
                    outer.most_at_once = max(outer.most_at_once, outer._at_once)
                try:
                    outer._serve(self)
                finally:
                    with outer._lock:
                        outer._at_once -= 1

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256
            """With the default of 5, a burst of connections is reset under load, and a reset may have been charged."""

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that gave up is part of the tests."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _fault(self, request: dict[str, Any]) -> int | str | None:
        """The fault of a request, under the lock; a subclass may refuse some."""
        return self.faults.pop(0) if self.faults else None

    def _body(self, request: dict[str, Any], path: str) -> tuple[int, dict[str, Any]]:
        """Status and body of the reply to a request; a subclass may answer other paths."""
        answer = self.answer(request)
        message = {"role": "assistant", "content": "", **(answer if isinstance(answer, dict) else {"content": answer})}
        choice = {"index": 0, "message": message, "finish_reason": self.finish_reason}
        return 200, {"choices": [choice], "usage": self.usage(request)}

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        content = handler.rfile.read(int(handler.headers["Content-Length"]))
        request = json.loads(content)
        with self._lock:
            self.seen.append(request)
            self.keys.append(handler.headers["Authorization"])
            fault = self._fault(request)
        status = fault if isinstance(fault, int) else 200
        if isinstance(fault, int):
            body: dict[str, Any] = {"error": {"message": f"fault {fault}"}}
        elif fault == "not-a-chat":
            body = {"hello": "world"}
        else:
            status, body = self._body(request, handler.path)
            if "usage" in body:
                with self._lock:
                    self.charged.append(body["usage"])
        text = "<html>oops" if fault == "garbage" else "" if fault == "empty" else json.dumps(body)
        data = text.encode()
        if fault == "reset":
            handler.connection.close()
            return
        if fault == "slow":
            self.released.wait(30)
            return
        handler.send_response(status)
        for name, value in {**self.headers, "Content-Length": str(len(data))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        if fault == "drip":
            for place in range(len(data)):
                handler.wfile.write(data[place : place + 1])
                if self.released.wait(0.05):
                    return
        handler.wfile.write(data[: len(data) // 2] if fault == "half" else data)


class ScoringServer(ChatServer):
    """A local server of `/completions` that gives log-probabilities of prompts, as servers of models do.

    `log_probs` maps the ids of a prompt [T] to the log-probabilities of the next token after each [T, V]. `form` is
    "vllm" (`prompt_logprobs`, by id), "echo" (the legacy `echo` with `logprobs`, by text) or "none" (of generated
    tokens only). `tokenize`, if given, maps the JSON of a request to `/tokenize` to ids; `most` limits alternatives.
    """

    def __init__(
        self,
        log_probs: Callable[[list[int]], Any],
        decode: Callable[[int], str],
        form: str = "vllm",
        most: int = 20,
        tokenize: Callable[[dict[str, Any]], list[int]] | None = None,
    ):
        super().__init__()
        self.log_probs, self.decode, self.form, self.most, self.tokenize = log_probs, decode, form, most, tokenize

    def _body(self, request: dict[str, Any], path: str) -> tuple[int, dict[str, Any]]:
        if path == "/tokenize" and self.tokenize is not None:
            ids = self.tokenize(request)
            return 200, {"count": len(ids), "max_model_len": 512, "tokens": ids}
        if path != "/v1/completions":
            return 404, {"error": {"message": f"no such path: {path}"}}
        asked = request.get("prompt_logprobs" if self.form == "vllm" else "logprobs") or 0
        if asked > self.most:
            return 400, {"error": {"message": f"at most {self.most} log-probabilities"}}
        ids: list[int] = request["prompt"]
        choice: dict[str, Any] = {"index": 0, "text": "x", "finish_reason": "length", "logprobs": None}
        usage = {"prompt_tokens": len(ids), "completion_tokens": 1, "total_tokens": len(ids) + 1}
        if self.form == "none" or not asked:
            return 200, {"choices": [choice], "usage": usage}
        places: list[dict[int, float]] = []
        for row, token in zip(self.log_probs(ids)[:-1], ids[1:], strict=True):
            best = sorted(range(len(row)), key=lambda number: -row[number])[:asked]
            places.append({number: float(row[number]) for number in dict.fromkeys([token, *best])})
        if self.form == "vllm":
            choice["prompt_logprobs"] = [
                None,
                *({str(number): {"logprob": value} for number, value in place.items()} for place in places),
            ]
        elif request.get("echo"):
            chosen = [place[token] for place, token in zip(places, ids[1:], strict=True)]
            choice["logprobs"] = {
                "tokens": [*map(self.decode, ids), "x"],
                "token_logprobs": [None, *chosen, -1.0],
                "top_logprobs": [
                    None,
                    *({self.decode(number): value for number, value in place.items()} for place in places),
                    {"x": -1.0},
                ],
            }
        return 200, {"choices": [choice], "usage": usage}
