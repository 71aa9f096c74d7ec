"""The key of an endpoint's reply in the cache: the whole request."""

import hashlib
import json
from typing import Any


def key_of(url: str, request: dict[str, Any]) -> str:
    """The sha256 of an address and a request."""
    text = json.dumps([url, request], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
