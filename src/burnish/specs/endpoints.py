"""Settings of calls to an OpenAI-compatible endpoint."""

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from burnish.specs.base import RUNTIME, Spec

_VARIABLE = re.compile(r"[A-Za-z_]\w*")
_OWN_FIELDS = ("model", "messages", "temperature", "max_tokens", "stream", "n")


class EndpointSpec(Spec):
    """A model behind an OpenAI-compatible URL (`POST {url}/chat/completions`)."""

    url: str
    """The address up to the version, such as https://api.openai.com/v1. It holds no key: see `api_key_env`."""
    model: str
    """The name of the model there."""
    api_key_env: str | None = None
    """The environment variable that holds the API key; null sends none."""
    temperature: float = Field(default=0.0, ge=0.0)
    """Sampling temperature."""
    max_tokens: int | None = Field(default=512, ge=1)
    """Maximum length of a reply; null leaves it to the endpoint."""
    parameters: dict[str, Any] = {}
    """Other fields of the request, such as `seed` or `response_format`."""
    timeout: Annotated[float, RUNTIME] = Field(default=60.0, gt=0, le=3600)
    """Seconds until an attempt is given up, from the connection to the last byte."""
    retries: Annotated[int, RUNTIME] = Field(default=5, ge=0, le=100)
    """Attempts after the first one, for a timeout, a broken connection, an unreadable reply and the statuses 408, 425,
    429, 500, 502, 503, 504 and 529."""
    backoff: Annotated[float, RUNTIME] = Field(default=1.0, ge=0.0, le=600)
    """Seconds before the first retry, doubled with each one; a `Retry-After` of the endpoint counts if it is longer."""
    concurrency: Annotated[int, RUNTIME] = Field(default=4, ge=1, le=1024)
    """Number of requests at a time."""
    max_calls: Annotated[int | None, RUNTIME] = Field(default=None, ge=1)
    """Stop the run before it sends more requests than this, retries and those of earlier attempts of the run included.
    Replies from the cache do not count."""
    max_cost_tokens: Annotated[int | None, RUNTIME] = Field(default=None, ge=1)
    """Stop the run before another request once the endpoint has counted this many tokens, of prompts and replies."""

    @field_validator("url")
    @classmethod
    def url_is_plain(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"'{value}' is not an address: write https://host/v1")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError("the address may hold no user, password, query or fragment: put the key in api_key_env")
        return value.rstrip("/").removesuffix("/chat/completions")

    @field_validator("api_key_env")
    @classmethod
    def api_key_env_names_a_variable(cls, value: str | None) -> str | None:
        if value is not None and not _VARIABLE.fullmatch(value):
            raise ValueError("it must be the name of an environment variable, such as OPENAI_API_KEY, not a key")
        return value

    @field_validator("parameters")
    @classmethod
    def parameters_are_not_settings(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in _OWN_FIELDS:
            if name in value:
                raise ValueError(f"{name} cannot be set in parameters")
        return value
