"""What the server answers to a connection that sends no HTTP, or its headers too slowly: errors in OpenAI's shape."""

from burnish.core.http.connection import Fault
from burnish.serve.http.wire.encoding import json_bytes
from burnish.serve.http.wire.errors import ApiError

_FAULTS = {
    "invalid": ApiError(400, "the request is not valid HTTP, or its headers are too large", code="invalid_http"),
    "too-slow": ApiError(408, "the headers did not arrive in time", code="request_timeout"),
}


def refuse(fault: Fault) -> tuple[int, str, bytes]:
    """The status, content type and body for a fault of a connection."""
    error = _FAULTS[fault]
    return error.status, "application/json", json_bytes(error.body)
