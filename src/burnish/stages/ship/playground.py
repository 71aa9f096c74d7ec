"""Serves one model to the studio's playground: `python -m burnish.stages.ship.playground PARENT_PID`.

    studio ─▶ {"model": INPUT, "folder", "cache"}, then {"op": "load", "id", "name", "adapter": INPUT} and
              {"op": "unload", "id", "name"}, each on a line of the standard input
           ◀─ {"note": …}, {"ready": {"address", "key", "model", "engine", "context"}} or {"error": …}, then
              {"id", "done": true} or {"id", "error": …}

Answers are asked for over HTTP at the address, with the key, as of `burnish serve`. The process ends with its standard
input, and with the studio.
"""

import asyncio
import json
import os
import secrets
import signal
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from burnish.core.context import Context, Input
from burnish.core.errors import BurnishError, ModelError, RunError
from burnish.core.events import Chosen, Event, Note
from burnish.core.http.sockets import bound_socket
from burnish.core.processes import end_with_parent
from burnish.serve.engines.protocol import EngineError
from burnish.serve.http.app import make_app
from burnish.serve.http.server import serve_app
from burnish.serve.http.state import ServerState
from burnish.specs.ship import ServeSpec
from burnish.stages.ship.served import Served, open_served

_KEY = "BURNISH_PLAYGROUND_KEY"
Say = Callable[[dict[str, Any]], None]


def main() -> None:
    end_with_parent(int(sys.argv[1]))
    output = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # what libraries print is no message

    def say(message: dict[str, Any]) -> None:
        output.write(json.dumps(message) + "\n")

    asyncio.run(_serve(json.loads(sys.stdin.readline()), say))
    sys.stdout.flush()
    os._exit(0)  # the thread that reads would be waited for


async def _serve(request: dict[str, Any], say: Say) -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    folder = Path(request["folder"])
    ctx = _context(folder, Path(request["cache"]), Input.from_json(request["model"]), say, stopping)
    orders = _orders(stopping)
    try:
        served = await _opened(ctx)
    except Exception as error:
        say({"error": _as_dict(error, f"the model cannot be loaded; see {folder / 'engine.log'}")})
        return
    try:
        await _answer(served, ctx, orders, say, stopping)
    finally:
        await served.engine.close()


async def _opened(ctx: Context) -> Served:
    """The model in the engine that `serve` takes here; in transformers where that one cannot read its family."""
    source = ctx.input("model")
    try:
        return await open_served(_spec(source, "auto"), ctx)
    except ModelError as error:
        if error.code != "model.unsupported" or source.kind == "gguf":
            raise
        ctx.emit(Note(text=f"{error.reason}; transformers answers instead, one request at a time"))
        return await open_served(_spec(source, "transformers"), ctx)


def _spec(source: Input, engine: str) -> ServeSpec:
    """A GGUF file is made without a certificate: `burnish serve` makes one that has it."""
    settings: dict[str, Any] = {} if engine == "transformers" or source.kind == "gguf" else {"certify": False}
    settings |= {"engine": engine, "port": 0, "api_key_env": _KEY, "load_adapters": True, "drain_seconds": 1.0}
    return ServeSpec(model=source.ref, name="model", **settings)


async def _answer(
    served: Served, ctx: Context, orders: AsyncIterator[dict[str, Any]], say: Say, stopping: asyncio.Event
) -> None:
    os.environ[_KEY] = key = secrets.token_urlsafe(32)
    app = make_app(served.engine, served.models, served.spec, folder=ctx.scratch.parent)
    name = served.models[0].name
    facts = {"key": key, "model": name, "engine": served.engine.name, "context": served.engine.context}

    def is_over() -> bool:
        return stopping.is_set() or served.engine.failure is not None

    async def obey() -> None:
        async for order in orders:
            say({"id": order["id"], **await _done(order, served, app.state.server)})

    obeying = asyncio.create_task(obey())
    try:
        with bound_socket("127.0.0.1", 0) as bound:
            await serve_app(app, served.spec, bound, is_over, lambda url: say({"ready": {"address": url, **facts}}))
    finally:
        obeying.cancel()


async def _done(order: dict[str, Any], served: Served, state: ServerState) -> dict[str, Any]:
    """Load or unload an adapter."""
    name = order["name"]
    try:
        async with state.changing:
            if order["op"] == "load":
                _refuse_beside(served)
                state.models[name] = await served.load(name, Input.from_json(order["adapter"]))
            else:
                del state.models[name]  # no new request gets it while the engine lets it go
                await served.engine.remove_adapter(name)
    except Exception as error:
        return {"error": _as_dict(error, f"the adapter cannot be {order['op']}ed; see the log of the server")}
    return {"done": True}


def _refuse_beside(served: Served) -> None:
    """An engine that has one model: the studio starts another process for the adapter."""
    if "adapters" not in served.engine.features:
        what = f"{served.engine.name} loads no adapters beside a model"
        raise ModelError("model.unsupported", what, "serve the adapter alone")


async def _orders(stopping: asyncio.Event) -> AsyncIterator[dict[str, Any]]:
    """The orders of the standard input; at its end the process is to stop."""
    loop, lines = asyncio.get_running_loop(), asyncio.Queue[str]()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(stopping.set)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield json.loads(await lines.get())


def _context(folder: Path, cache: Path, source: Input, say: Say, stopping: asyncio.Event) -> Context:
    def emit(event: Event) -> None:
        if isinstance(event, Note) and event.level != "command":
            say({"note": event.text})
        elif isinstance(event, Chosen):
            say({"note": f"{event.field}: {event.value} ({event.reason})"})

    scratch = folder / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    return Context(folder / "out", scratch, {"model": source}, emit, stopping.is_set, lambda: None, cache)


def _as_dict(error: Exception, fix: str) -> dict[str, Any]:
    if isinstance(error, BurnishError):
        return error.as_dict()
    if isinstance(error, EngineError) and error.kind == "refused":  # such as an adapter of a higher rank than it takes
        return ModelError("model.unsupported", error.what, "serve the adapter alone").as_dict()
    if not isinstance(error, EngineError):
        traceback.print_exc()
    return RunError("run.engine-failed", str(error) or type(error).__name__, fix).as_dict()


if __name__ == "__main__":
    main()
