"""serve: open an engine with the model, and answer requests over HTTP until a stop is requested."""

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any

from burnish.core.context import Context, Outcome
from burnish.core.events import Note, Progress
from burnish.core.files import write_json
from burnish.core.http.snippets import curl
from burnish.core.http.sockets import bound_socket
from burnish.core.runs.run import SERVING
from burnish.serve.http.admission.keys import KeyRing
from burnish.serve.http.app import make_app
from burnish.serve.http.server import serve_app
from burnish.specs.ship import ServeSpec
from burnish.stages.ship.served import Served, open_served

_REPORT_SECONDS = 5.0


def run(spec: ServeSpec, ctx: Context) -> Outcome:
    """Serve until a stop is requested, then finish the requests under way.

    Errors: RunError `run.engine-failed` if the engine cannot be started, or keeps failing.
    """
    return Outcome("serving", asyncio.run(_serve(spec, ctx)))


async def _serve(spec: ServeSpec, ctx: Context) -> dict[str, Any]:
    KeyRing.of(spec)  # a missing key and a taken port are reported before the long work
    with bound_socket(spec.host, spec.port) as bound:
        return await _serve_at(bound, spec, ctx)


async def _serve_at(bound: socket.socket, spec: ServeSpec, ctx: Context) -> dict[str, Any]:
    began, folder = time.time(), ctx.scratch.parent  # a run that fails at its end keeps the log there
    served = await open_served(spec, ctx)
    try:
        app = make_app(served.engine, served.models, spec, folder=folder, load_adapter=served.load_adapter)
        address, chats = "", served.models[0].has_template

        def on_ready(url: str) -> None:
            nonlocal address
            address = url
            key = None if app.state.server.keys.is_open else spec.api_key_env or "KEY"
            write_json(folder / SERVING, {"address": url, **served.as_dict(), "key": key, "chats": chats})
            _announce(ctx, url, served, key)

        reporting = asyncio.create_task(_report(ctx, app.state.server.counts, app.state.server.keys.look))
        try:

            def is_stopping() -> bool:
                return ctx.stopping or served.engine.failure is not None

            counts = await serve_app(app, spec, bound, is_stopping, on_ready)
        finally:
            reporting.cancel()
            (folder / SERVING).unlink(missing_ok=True)
        if served.engine.failure is not None:
            raise served.engine.failure
    finally:
        await served.engine.close()
    counts = {**counts, "restarts": served.engine.restarts, "seconds": round(time.time() - began, 1)}
    write_json(ctx.out / "serve.json", {"address": address, **served.as_dict(), "counts": counts})
    return counts


def _announce(ctx: Context, url: str, served: Served, key: str | None) -> None:
    """Say where it answers, and a command that asks it."""
    first = served.models[0]
    names = ", ".join(model.name for model in served.models)
    ctx.emit(Note(text=f"serving {names} at {url}/v1 with {served.engine.name}; Ctrl-C ends"))
    ctx.emit(Note(level="command", text=curl(url, first.name, key, chats=first.has_template)))


async def _report(ctx: Context, counts: dict[str, int], fault_of_keys: Callable[[], str]) -> None:
    """Report the number of requests now and then, when it has changed, and a fault of the file of keys, once."""
    reported, known_fault = -1, ""
    while True:
        if (fault := fault_of_keys()) != known_fault:
            known_fault = fault
            ctx.emit(Note(level="warning", text=fault) if fault else Note(text="keys_file: read again"))
        if counts["requests"] != reported:
            reported = counts["requests"]
            ctx.emit(Progress(phase="serving", done=reported, unit="requests"))
        await asyncio.sleep(_REPORT_SECONDS)
