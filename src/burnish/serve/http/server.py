"""Runs the app: binds its address, serves until a stop is requested, and drains."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator

import uvicorn
from fastapi import FastAPI

from burnish.core.http.connection import connection_type
from burnish.core.http.sockets import address_of
from burnish.serve.http.connection import refuse
from burnish.serve.http.state import ServerState
from burnish.specs.ship.server import ServerSpec

_SECONDS = 0.1
_SECONDS_TO_SAY_SO = 1.0
"""In which clients get the error of an answer that is cut short."""
_LARGEST_HEADERS = 32 << 10


class _Server(uvicorn.Server):
    """Signals are those of the worker, which asks the stage to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve_app(
    app: FastAPI,
    settings: ServerSpec,
    bound: socket.socket,
    is_stopping: Callable[[], bool],
    on_ready: Callable[[str], None],
) -> dict[str, int]:
    """Serve until `is_stopping()`; `on_ready` gets the address once requests are answered. Returns the counts.

    Then new requests get 503, those under way have `drain_seconds` to finish, and end with an error then.
    `bound` is what `bound_socket` gives; it is closed at the end.
    """
    state: ServerState = app.state.server
    config = uvicorn.Config(
        app,
        http=connection_type(refuse, settings.body_timeout),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=max(5, round(settings.body_timeout)),
        h11_max_incomplete_event_size=_LARGEST_HEADERS,
        backlog=1024,
    )
    server = _Server(config)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of an earlier server may not be over
    serving = asyncio.create_task(server.serve(sockets=[bound]))
    try:
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)
        if not serving.done():
            on_ready(address_of(bound))
        while not is_stopping() and not serving.done():
            await asyncio.sleep(_SECONDS)
        state.is_draining = True
        await _drain(state, settings.drain_seconds)
    finally:
        state.is_draining = True
        server.should_exit = True
        if state.under_way:
            server.force_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await serving
        state.log.close()
        bound.close()
    return dict(state.counts)


async def _drain(state: ServerState, seconds: float) -> None:
    end = asyncio.get_running_loop().time() + seconds
    while state.under_way and asyncio.get_running_loop().time() < end:
        await asyncio.sleep(0.02)
    if state.under_way:
        state.cut()
        end = asyncio.get_running_loop().time() + _SECONDS_TO_SAY_SO
        while state.under_way and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.02)
