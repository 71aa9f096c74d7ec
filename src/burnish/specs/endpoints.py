"""Settings of calls to an OpenAI-compatible endpoint."""

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from burnish.specs.base import RUNTIME, Spec

_VARIABLE = re.compile(r"[A-Za-z_]\w*")
SMOKE_CHECKS = (
    "models",
    "chat",
    "stream",
    "completions",
    "logprobs",
    "tools",
    "json_schema",
    "wrong_model",
    "wrong_key",
)
"""Names of the checks of `smoke-test`, in their order."""
_OWN_FIELDS = ("model", "messages", "temperature", "max_tokens", "stream", "n")


class PriceSpec(Spec):
    """The prices of a million tokens, in one currency."""

    input: float = Field(ge=0.0)
    """Of prompts."""
    output: float = Field(ge=0.0)
    """Of replies."""


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
    """Seconds before the first retry, doubled with each one. A longer `Retry-After` of the endpoint is honoured, up to
    two minutes."""
    concurrency: Annotated[int, RUNTIME] = Field(default=4, ge=1, le=1024)
    """Number of requests at a time."""
    max_calls: Annotated[int | None, RUNTIME] = Field(default=None, ge=1)
    """Stop the run before it sends more requests than this, retries and those of earlier attempts of the run included.
    Replies from the cache do not count."""
    max_cost_tokens: Annotated[int | None, RUNTIME] = Field(default=None, ge=1)
    """Stop the run before a request that could exceed this many tokens, of prompts and replies. A request counts at
    the most it can use until the endpoint has counted it."""
    price: Annotated[PriceSpec | None, RUNTIME] = None
    """What tokens cost there; null means that they are free, as on one's own server."""
    max_cost: Annotated[float | None, RUNTIME] = Field(default=None, gt=0.0)
    """Stop the run before a request that could exceed this much money, in the currency of `price`."""

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

    @model_validator(mode="after")
    def limits_can_be_kept(self) -> "EndpointSpec":
        values = self.__dict__
        if values["max_cost"] is not None and values["price"] is None:
            raise ValueError("max_cost needs the prices: set price.input and price.output")
        limited = next((name for name in ("max_cost", "max_cost_tokens") if values[name] is not None), None)
        if limited and longest_reply(values["max_tokens"], values["parameters"]) is None:
            raise ValueError(f"{limited} needs max_tokens: without it a single reply could exceed the limit")
        return self


def longest_reply(max_tokens: int | None, parameters: dict[str, Any]) -> int | None:
    """The most tokens of a reply, also under the name that reasoning models take; None if there is no limit."""
    if max_tokens is not None:
        return max_tokens
    named = parameters.get("max_completion_tokens")
    return named if isinstance(named, int) and not isinstance(named, bool) else None
