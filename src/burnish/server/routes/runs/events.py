"""The events of a run as they happen, by SSE."""

import time
from collections.abc import AsyncGenerator
from typing import Annotated, Any

import orjson
from fastapi import Depends, Header, Query, Response
from starlette.responses import StreamingResponse

from burnish.server.routes.runs.parameters import Number, Recipe
from burnish.server.routing import Place, Router
from burnish.server.streams import Streams, event, event_of_line, streams_of
from burnish.server.threads import crews
from burnish.studio.views.following import Follower

router = Router(tags=["runs"])
_END = ";end"
_ENDED_SECONDS = 0.5
"""Between two looks whether a run has ended."""
_DESCRIPTION = """The events of a run, from the first or from `Last-Event-ID` on, as they happen.

Each event has `data` of the form `{step, event}`, where `event` is a line of the step's events.jsonl, and an `id`: a
client that sends it back as `Last-Event-ID` (browsers do) gets what comes after it, nothing twice. An event named
`reset` means that the events before it are not of this run any more. The event `end` is the last."""
_BRIEF = """The `cursor` of the run, or `now`: before it, metrics are left out, which `curves` has, and of
the progress of a phase all but the first and the last. For a first connection: after Last-Event-ID all is sent."""
_EXAMPLE = (
    'data: {"step":"tune","event":{"at":1.0,"kind":"metric","step":1,"values":{"loss":2.1}}}\nid: 0.98-5f2c01\n\n'
)
_CONTENT: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}}},
    204: {"description": "The run has ended, and the client has all of its events."},
}


@router.get(
    "/runs/{recipe}/{number}/events",
    scope="read",
    description=_DESCRIPTION,
    responses=_CONTENT,
    response_class=StreamingResponse,
)
async def follow_run(
    recipe: Recipe,
    number: Number,
    place: Place,
    streams: Annotated[Streams, Depends(streams_of)],
    last_event_id: Annotated[str | None, Header(max_length=4096)] = None,
    after: Annotated[str | None, Query(max_length=4096, description="As Last-Event-ID, for other clients.")] = None,
    brief: Annotated[str | None, Query(max_length=4096, description=_BRIEF)] = None,
) -> Response:
    """The events of a run, from the first or from `Last-Event-ID` on, as they happen."""
    cursor = last_event_id or after
    at_end = cursor is not None and cursor.endswith(_END)
    begin = cursor.removesuffix(_END) if cursor else None
    follower = await crews.run("quick", Follower, recipe, number, begin, workspace=place)
    if brief is not None and cursor is None:
        follower.be_brief(None if brief == "now" else brief)
    if at_end and not follower.has_news() and await crews.run("streams", follower.has_ended):
        return Response(status_code=204)
    return streams.response(_pieces(follower))


async def _pieces(follower: Follower) -> AsyncGenerator[bytes]:
    looked = 0.0
    while True:
        ended = False
        if not follower.has_news() and time.monotonic() - looked >= _ENDED_SECONDS:
            looked, ended = time.monotonic(), await crews.run("streams", follower.has_ended)
        found = await crews.run("streams", follower.read) if follower.has_news() else []
        if follower.starts_over:
            follower.starts_over = False
            yield event({}, name="reset", id=follower.cursor)
        if not found and ended and not follower.has_news():
            yield event({"skipped_bytes": follower.skipped}, name="end", id=follower.cursor + _END)
            return
        yield b"".join(event_of_line(_start(step), line, cursor) for step, line, cursor in found)


def _start(step: str) -> bytes:
    return b'"step":' + orjson.dumps(step) + b',"event":'
