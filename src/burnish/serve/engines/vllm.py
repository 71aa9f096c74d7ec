"""vLLM as a supervised process, asked over its OpenAI-compatible HTTP with token ids."""

import asyncio
import contextlib
import json
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from burnish.core.errors import RunError
from burnish.core.processes import module_command
from burnish.models.adapters.vllm import fitting_rank
from burnish.serve.engines.process import EngineProcess, engine_environment
from burnish.serve.engines.protocol import Asked, End, EngineError, Feature, Token
from burnish.serve.engines.supervision import EngineProbeError, Limits, Supervisor, engine_failed

VERSION = "0.33.0"
"""Its argument parser has checked the command line that is written here."""
_FEATURES: frozenset[Feature] = frozenset(
    ("schema", "log_probs", "adapters", "penalties", "logit_bias", "min_p"),
)
_POLL = 0.2


def vllm_arguments(
    model: Path,
    name: str,
    port: int,
    *,
    context: int | None = None,
    slots: int | None = None,
    adapters: Mapping[str, Path] | None = None,
    loads_adapters: bool = False,
    rank: int = 16,
    dtype: str = "auto",
    tensor_parallel: int = 1,
    more: Sequence[str] = (),
) -> list[str]:
    """The arguments of `vllm serve`. `rank` is the highest of the adapters."""
    given = ["serve", str(model), "--served-model-name", name, "--host", "127.0.0.1", "--port", str(port)]
    given += ["--dtype", dtype, "--tensor-parallel-size", str(tensor_parallel), "--generation-config", "vllm"]
    given += ["--disable-uvicorn-access-log"]
    given += [] if context is None else ["--max-model-len", str(context)]
    given += [] if slots is None else ["--max-num-seqs", str(slots)]
    if adapters or loads_adapters:
        given += ["--enable-lora", "--max-lora-rank", str(fitting_rank(rank))]
    if adapters:
        given += ["--lora-modules", *(json.dumps({"name": one, "path": str(path)}) for one, path in adapters.items())]
    return [*given, *more]


class HttpChild:
    """A process that answers at an address."""

    def __init__(self, process: EngineProcess, url: str, key: str = ""):
        self._process, self.url = process, url
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.client = httpx.AsyncClient(
            base_url=url, headers=headers, timeout=httpx.Timeout(None, connect=5.0), trust_env=False
        )

    @classmethod
    async def start(
        cls, command: Sequence[str], port: int, log: Path, environment: Mapping[str, str], key: str = ""
    ) -> "HttpChild":
        """`key` is that of requests."""
        guarded = module_command("burnish.serve.engines.guard", *command)
        process = await EngineProcess.start(guarded, log, environment, speaks=False)
        return cls(process, f"http://127.0.0.1:{port}", key)

    @property
    def process_id(self) -> int:
        return self._process.process.pid

    async def wait_ready(self) -> None:
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if (await self.client.get("/health", timeout=5.0)).status_code == 200:
                    return
            if self._process.process.returncode is not None:
                raise engine_failed(f"vLLM {await self._process.wait_end()}", f"see {self._process.log}")
            await asyncio.sleep(_POLL)

    async def wait_end(self) -> str:
        return await self._process.wait_end()

    async def probe(self) -> None:
        reply = await self.client.get("/health")
        if reply.status_code != 200:
            raise EngineProbeError(f"answered {reply.status_code} when asked for its health")

    async def end(self, grace: float) -> None:
        await self._process.end(grace)
        await self.client.aclose()


class VllmEngine:
    """A `ServingEngine`. `program` is the command `vllm`, as a list."""

    name = "vllm"
    slots = 256
    features = _FEATURES
    ends: tuple[int, ...] = ()

    def __init__(
        self,
        program: Sequence[str],
        model: Path,
        name: str,
        log: Path,
        *,
        adapters: Mapping[str, Path] | None = None,
        limits: Limits | None = None,
        report: Callable[[str], None] = lambda text: None,
        **settings: Any,
    ):
        """`settings` are those of `vllm_arguments`."""
        self._program, self._model, self._served, self._log = list(program), model, name, log
        self._adapters, self._settings = dict(adapters or {}), settings
        self._supervisor = Supervisor(self._start, limits or Limits(), report)
        self.context = 0

    @property
    def restarts(self) -> int:
        return self._supervisor.restarts

    @property
    def failure(self) -> RunError | None:
        return self._supervisor.failure

    async def open(self) -> None:
        """Start it. Errors: RunError `run.engine-failed`."""
        await self._supervisor.open()
        models = (await self._child().client.get("/v1/models")).json()["data"]
        self.context = next(one["max_model_len"] for one in models if one["id"] == self._served)

    async def complete(self, asked: Asked) -> AsyncIterator[Token | End]:
        request = _request(asked, asked.adapter or self._served)
        stops = frozenset(asked.stop_ids)
        try:
            async with self._child().client.stream("POST", "/v1/completions", json=request) as reply:
                if reply.status_code != 200:
                    raise _refused(reply.status_code, await reply.aread())
                async for line in reply.aiter_lines():
                    if not line.startswith("data: ") or line == "data: [DONE]":
                        continue
                    found = json.loads(line[6:])
                    if "error" in found:
                        raise EngineError("failed", str(found["error"]))
                    for item in _items(found, stops, asked.top_log_probs is not None, asked.top_log_probs or 0):
                        yield item
                        if isinstance(item, End):
                            return
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise EngineError("failed", f"vLLM broke the answer off: {type(error).__name__}: {error}") from error
        raise EngineError("failed", "vLLM ended the answer without a reason")

    async def embed(self, prompts: Sequence[Sequence[int]]) -> list[list[float]]:
        raise EngineError("refused", "vLLM gives no embeddings of a model that generates")

    async def add_adapter(self, name: str, source: Path) -> None:
        """Load an adapter, a folder as PEFT saves it. Errors: EngineError."""
        await self._post("/v1/load_lora_adapter", {"lora_name": name, "lora_path": str(source)})
        self._adapters[name] = source

    async def remove_adapter(self, name: str) -> None:
        await self._post("/v1/unload_lora_adapter", {"lora_name": name})
        self._adapters.pop(name, None)

    async def is_ready(self) -> bool:
        child = self._supervisor.child
        with contextlib.suppress(Exception):
            async with asyncio.timeout(1):
                if child is not None:
                    await child.probe()
                    return True
        return False

    async def close(self) -> None:
        await self._supervisor.close()

    async def _start(self) -> HttpChild:
        port, key = _free_port(), secrets.token_urlsafe(32)  # other users of the machine reach the port
        given = vllm_arguments(self._model, self._served, port, adapters=self._adapters, **self._settings)
        loads = "True" if self._settings.get("loads_adapters") else "False"
        more = {"VLLM_API_KEY": key, "VLLM_ALLOW_RUNTIME_LORA_UPDATING": loads, "VLLM_NO_USAGE_STATS": "1"}
        return await HttpChild.start([*self._program, *given], port, self._log, engine_environment(more), key)

    def _child(self) -> HttpChild:
        child, failure = self._supervisor.child, self._supervisor.failure
        if child is None:
            raise EngineError("unavailable", "vLLM is being started again" if failure is None else failure.what)
        return child

    async def _post(self, path: str, body: dict[str, Any]) -> None:
        try:
            reply = await self._child().client.post(path, json=body)
        except httpx.HTTPError as error:
            raise EngineError("failed", f"vLLM did not answer: {error}") from error
        if reply.status_code != 200:
            raise _refused(reply.status_code, reply.content)


def _request(asked: Asked, name: str) -> dict[str, Any]:
    """As vLLM's `/v1/completions` takes it: every sampling setting explicitly, ends by the ids of the request alone."""
    draw = asked.draw
    request: dict[str, Any] = {
        "model": name,
        "prompt": list(asked.prompt),
        "max_tokens": asked.max_tokens,
        "temperature": draw.temperature,
        "top_p": draw.top_p,
        "top_k": 0 if draw.top_k is None else draw.top_k,
        "min_p": draw.min_p,
        "frequency_penalty": draw.frequency_penalty,
        "presence_penalty": draw.presence_penalty,
        "repetition_penalty": draw.repetition_penalty,
        "stop_token_ids": list(asked.stop_ids),
        "ignore_eos": True,
        "skip_special_tokens": False,
        "stream": True,
        "return_token_ids": True,
    }
    if draw.seed is not None:
        request["seed"] = draw.seed
    if draw.logit_bias:
        request["logit_bias"] = {str(token): value for token, value in draw.logit_bias.items()}
    if asked.top_log_probs is not None:
        request |= {"logprobs": asked.top_log_probs, "return_tokens_as_token_ids": True}
    if asked.schema is not None:
        request |= {"structured_outputs": {"json": asked.schema}, "ignore_eos": False}
    return request


def _items(found: Mapping[str, Any], stops: frozenset[int], scored: bool, top: int) -> list[Token | End]:
    """The tokens of one event, and the end."""
    items: list[Token | End] = []
    for choice in found.get("choices", ()):
        ids = choice.get("token_ids") or []
        reason = choice.get("finish_reason")
        marks = choice.get("logprobs") or {}
        values = marks.get("token_logprobs") or [None] * len(ids)
        others = marks.get("top_logprobs") or [None] * len(ids)
        tokens = [
            Token(token, value if scored else None, _top(other, top) if scored else ())
            for token, value, other in zip(ids, values, others, strict=True)
        ]
        last = tokens[-1] if tokens and reason == "stop" else None
        if last is not None and (last.id in stops or choice.get("stop_reason") is None):
            items += [*tokens[:-1], End("stop", last.id, last.log_prob)]
        elif reason in ("stop", "length"):
            items += [*tokens, End(reason)]
        elif reason is not None:
            raise EngineError("failed", f"vLLM ended the answer: {reason}")
        else:
            items += tokens
    return items


def _top(others: Mapping[str, float] | None, count: int) -> tuple[tuple[int, float], ...]:
    """The most likely tokens of `{"token_id:5": -0.1}`, the drawn one left out where it is none of them."""
    ranked = sorted(((int(key.removeprefix("token_id:")), value) for key, value in (others or {}).items()), key=_rank)
    return tuple(ranked[:count])


def _rank(pair: tuple[int, float]) -> float:
    return -pair[1]


def _refused(status: int, body: bytes) -> EngineError:
    text = body[:500].decode(errors="replace")
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
        text = json.loads(body)["error"]["message"]
    return EngineError("refused" if 400 <= status < 500 else "failed", f"vLLM answered {status}: {text}")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
