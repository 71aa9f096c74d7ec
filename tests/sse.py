"""Server-sent events as a client reads them."""

import json


def parsed(lines):
    """(id, name, data) of each event of an SSE stream."""
    id, name, data = None, "message", None
    for line in lines:
        key, _, value = line.partition(": ")
        if key == "id":
            id = value
        elif key == "event":
            name = value
        elif key == "data":
            data = json.loads(value)
        elif not line and data is not None:
            yield id, name, data
            name, data = "message", None
