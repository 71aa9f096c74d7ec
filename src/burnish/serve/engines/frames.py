"""Messages between the server and an engine's process: JSON with its length in front, over the process's pipes."""

import asyncio
from typing import Any, BinaryIO

import orjson

LARGEST = 1 << 28
"""In bytes."""
_HEAD = 4


def framed(message: Any) -> bytes:
    """A message as it is sent."""
    data = orjson.dumps(message, option=orjson.OPT_NON_STR_KEYS)
    return len(data).to_bytes(_HEAD, "big") + data


def read_frame(file: BinaryIO) -> Any:
    """The next message; None at the end."""
    head = file.read(_HEAD)
    if len(head) < _HEAD:
        return None
    data = file.read(_size(head))
    return orjson.loads(data) if len(data) == _size(head) else None


async def next_frame(stream: asyncio.StreamReader) -> Any:
    """The next message; None at the end. Errors: ValueError for bytes that are no message."""
    try:
        head = await stream.readexactly(_HEAD)
        return orjson.loads(await stream.readexactly(_size(head)))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def _size(head: bytes) -> int:
    size = int.from_bytes(head, "big")
    if size > LARGEST:
        raise ValueError(f"a message of {size:,} bytes")
    return size
