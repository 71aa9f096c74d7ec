"""An engine that writes scripted tokens, and an app on it: the shapes of the server without a model."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

import burnish
from burnish.serve.chat.model import ServedModel
from burnish.serve.engines.protocol import Asked, End, EngineError, Token
from burnish.serve.http.app import make_app
from burnish.specs.ship.server import ServerSpec
from burnish.tokens.load import load_tokenizer

FEATURES = frozenset({"schema", "log_probs", "embeddings", "adapters", "penalties", "logit_bias", "min_p"})
Script = Callable[[Asked], str | Sequence[int]]


@dataclass
class ScriptedEngine:
    """Writes what `script` says for each prompt: a text, or ids. A bias of 100 forces a token, as engines do."""

    tokenizer: object
    script: Script = lambda asked: "Hello there"
    context: int = 512
    slots: int = 4
    pause: float = 0.0
    features: frozenset = FEATURES
    name: str = "scripted"
    restarts: int = 0
    fails_after: int | None = None
    fault: str = "failed"
    ready: bool = True
    is_restarting: bool = False
    asked: list[Asked] = field(default_factory=list)
    running: int = 0
    most_running: int = 0
    closed: int = 0
    """How many completions were closed before their end."""
    adapters: dict[str, Path] = field(default_factory=dict)

    async def complete(self, asked):
        self.asked.append(asked)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        done = False
        try:
            forced = [token for token, bias in asked.draw.logit_bias.items() if bias == 100]
            written = forced or self.script(asked)
            ids = self.tokenizer.encode(written, add_special_tokens=False) if isinstance(written, str) else written
            for place, token in enumerate(ids):
                if self.fails_after is not None and place >= self.fails_after:
                    raise EngineError(self.fault, "scripted")
                if token in asked.stop_ids:
                    done = True
                    yield End("stop", token, self._log_prob(asked))
                    return
                if place == asked.max_tokens:
                    done = True
                    yield End("length")
                    return
                await asyncio.sleep(self.pause)
                top = tuple((token + more, -0.5 - more) for more in range(asked.top_log_probs or 0))
                yield Token(token, self._log_prob(asked), top)
            done = True
            yield End("stop" if len(ids) < asked.max_tokens else "length")
        finally:
            self.running -= 1
            self.closed += not done

    @staticmethod
    def _log_prob(asked):
        return None if asked.top_log_probs is None else -0.5

    async def embed(self, prompts):
        return [[float(len(prompt)), 1.0] for prompt in prompts]

    async def add_adapter(self, name, source):
        self.adapters[name] = source

    async def remove_adapter(self, name):
        if self.is_restarting:
            raise EngineError("unavailable", "the engine is being started again")
        del self.adapters[name]

    async def is_ready(self):
        return self.ready

    async def close(self):
        pass


class Served:
    """An app with a scripted engine, asked without a socket."""

    def __init__(self, folder: Path, tokenizer=None, adapters=(), load_adapter=None, engine=None, **settings):
        names = {name for name in ServerSpec.model_fields if name in settings}
        spec = ServerSpec(**{name: settings.pop(name) for name in names})
        self.tokenizer = tokenizer or pocket_tokenizer()
        self.engine = engine or ScriptedEngine(self.tokenizer, **settings)
        self.models = [ServedModel("pocket", self.tokenizer)]
        self.models += [ServedModel(name, self.tokenizer, adapter=name) for name in adapters]
        self.settings, self.folder = spec, folder
        self.app = make_app(self.engine, self.models, spec, folder=folder, load_adapter=load_adapter)
        self.state = self.app.state.server

    async def ask(self, path="/v1/chat/completions", method="POST", **how):
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, **how)

    def post(self, body, path="/v1/chat/completions", **how):
        return asyncio.run(self.ask(path, json=body, **how))

    def get(self, path, **how):
        return asyncio.run(self.ask(path, "GET", **how))

    def chat_with(self, headers, text="Hi", **more):
        return self.post({"messages": [{"role": "user", "content": text}], **more}, headers=headers)

    def chat(self, text="Hi", **more):
        return self.post({"messages": [{"role": "user", "content": text}], **more})


def pocket_folder():
    """The folder of the built-in model."""
    return Path(burnish.__file__).parent / "builtin" / "pocket"


def pocket_tokenizer():
    """The tokenizer of the built-in model."""
    return load_tokenizer(pocket_folder())


def chunks_of(answer):
    """The chunks of a stream, without its end."""
    lines = [line for line in answer.text.split("\n\n") if line]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def joined(chunks, field="content", index=0):
    deltas = [c["choices"][0]["delta"] for c in chunks if c["choices"] and c["choices"][0]["index"] == index]
    return "".join(delta.get(field) or "" for delta in deltas)
