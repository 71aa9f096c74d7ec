"""`python -m burnish.server`: serves one workspace until SIGTERM or Ctrl-C. `burnish ui` starts it.

Once it answers, it prints one line of JSON: its address.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from burnish.core.errors import AskError, BurnishError
from burnish.core.faults import as_burnish_error
from burnish.core.http.connection import connection_type
from burnish.core.http.sockets import bound_socket
from burnish.core.processes import end_with_parent
from burnish.core.runs.workspace import Workspace
from burnish.server.app import make_app
from burnish.server.garbage import collect_briefly
from burnish.server.problems import refuse_connection
from burnish.server.security.forwarded import proxies_of
from burnish.server.security.hosts import hosts_of
from burnish.server.settings import PAGE, Settings
from burnish.server.streams import Streams
from burnish.studio.playground.asking import Playground
from burnish.studio.queueing.opening import kept_open
from burnish.studio.serving.logins import announced
from burnish.studio.settings.environment import load_env_file

_SWITCH_SECONDS = 0.001
"""After which a thread that computes lets another one: Python's 5 ms would delay each answer by several of them."""
_LARGEST_HEADERS = 32 << 10
_DRAIN_SECONDS = 5
_BUSY_SECONDS = 5.0
"""That a request waits for a locked database; then it is asked to try again."""
_WRITABLE = "the server keeps its state in .burnish of the workspace: make that writable, or use another --workspace"
_log = logging.getLogger(__name__)


def main() -> None:
    """Errors are printed as one line of JSON; the exit status is that of their family."""
    asked = _arguments()
    if asked.parent is not None:
        end_with_parent(asked.parent)
    sys.setswitchinterval(_SWITCH_SECONDS)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        with contextlib.ExitStack() as kept:
            server, bound = _prepared(asked, kept)
            collect_briefly()
            asyncio.run(server.serve(sockets=[bound]))
    except KeyboardInterrupt:
        sys.exit(130)


def _prepared(asked: argparse.Namespace, kept: contextlib.ExitStack) -> "tuple[_Server, socket.socket]":
    """A server that has all that it needs, and its socket; else the process ends with the error."""
    try:
        return _made(asked, kept)
    except (BurnishError, OSError) as error:
        known = as_burnish_error(error, _WRITABLE)
        print(json.dumps({"error": known.as_dict()}), flush=True)
        sys.exit(known.exit_status)


def _made(asked: argparse.Namespace, kept: contextlib.ExitStack) -> "tuple[_Server, socket.socket]":
    place = Workspace.find(asked.workspace)
    for fault in load_env_file(place.root):
        _log.warning("%s", fault)
    bound = kept.enter_context(bound_socket(asked.host, asked.port))
    settings = Settings(
        place.root,
        asked.host,
        bound.getsockname()[1],
        hosts_of(asked.allow_host),
        proxies_of(asked.trusted_proxy),
        tuple(path.resolve() for path in asked.allow_path),
        asked.page,
        body_seconds=asked.body_seconds,
    )
    app = make_app(settings)
    if settings.is_open and not app.state.access.has_tokens:
        what = f"--host {settings.host} is open to other machines, and no token exists that they could ask with"
        raise AskError("ask.missing-key", what, "make one: burnish tokens add NAME --scope run; or leave --host out")
    kept.enter_context(announced(settings.address, workspace=place.root))  # first of what is written
    try:
        kept.enter_context(kept_open(place.root, busy_seconds=_BUSY_SECONDS))
    except BurnishError as error:  # routes of the queue answer with it, the others go on
        _log.warning("%s", error)
    return _Server(_config(app, settings), settings, app.state.streams, app.state.playground), bound


def _config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=connection_type(refuse_connection, settings.body_seconds),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
        h11_max_incomplete_event_size=_LARGEST_HEADERS,
        backlog=1024,
    )


class _Server(uvicorn.Server):
    """Says where it is once it answers, and ends its streams and its playground before itself."""

    def __init__(self, config: uvicorn.Config, settings: Settings, streams: Streams, playground: Playground):
        super().__init__(config)
        self._settings, self._streams, self._playground = settings, streams, playground

    def handle_exit(self, sig: int, frame: object) -> None:
        self._streams.is_stopping = True
        super().handle_exit(sig, frame)  # pyright: ignore[reportArgumentType]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        closing = asyncio.create_task(self._playground.close())  # first: an answer that is awaited ends with it
        await super().shutdown(sockets=sockets)
        await closing

    async def startup(self, sockets: list[object] | None = None) -> None:
        await super().startup(sockets=sockets)  # pyright: ignore[reportArgumentType]
        print(json.dumps({"address": self._settings.address, "pid": os.getpid()}), flush=True)


def _arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m burnish.server", description=__doc__)
    parser.add_argument("--workspace", default=None)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8420, help="0 for a free one")
    parser.add_argument("--allow-host", action="append", default=[], help="a further Host that is answered")
    parser.add_argument("--trusted-proxy", action="append", default=[], help="the address of a reverse proxy")
    parser.add_argument("--allow-path", action="append", type=Path, default=[], help="a folder that recipes may name")
    parser.add_argument("--page", type=Path, default=PAGE, help="the folder of the built page")
    parser.add_argument("--body-seconds", type=float, default=20.0, help="for headers, and each piece of a body")
    parser.add_argument("--parent", type=int, default=None, help="the process to end with")
    return parser.parse_args(given)


if __name__ == "__main__":
    main()
