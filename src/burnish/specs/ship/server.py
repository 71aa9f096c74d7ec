"""Settings of the HTTP side of `serve`: where it listens, who may ask, and its limits."""

from typing import Annotated

from pydantic import Field, model_validator

from burnish.specs.base import LocalPath, Spec

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class ServerSpec(Spec):
    """The HTTP server of `serve`."""

    host: str = "127.0.0.1"
    """The address to listen on. One that other machines reach needs keys, or `allow_no_key`."""
    port: int = Field(default=8001, ge=0, le=65_535)
    """The port; 0 takes a free one."""
    keys_file: Annotated[str, LocalPath()] | None = None
    """A file of API keys, made by burnish keys add. It is read again when it changes."""
    api_key_env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """The name of an environment variable with one API key, without limits."""
    allow_no_key: bool = False
    """Answer other machines without a key, and requests to any host name."""
    cors: list[Annotated[str, Field(pattern=r"^(\*|null|[a-z][a-z0-9+.-]*://[^/\s?#]+)$")]] = []
    """Origins whose web pages may ask, such as `https://chat.example.com`; `*` is any. None by default."""
    max_request_bytes: int = Field(default=4 << 20, ge=1024)
    """The largest body of a request."""
    body_timeout: float = Field(default=20.0, gt=0)
    """Seconds in which the headers and the body of a request must arrive."""
    request_timeout: float = Field(default=600.0, gt=0)
    """Seconds after which a request that is not answered is ended."""
    max_queue: int = Field(default=256, ge=0)
    """Completions that wait for the engine; a request beyond them gets 429 with Retry-After."""
    max_choices: int = Field(default=16, ge=1, le=128)
    """The largest `n` of a request, and the most prompts in one."""
    drain_seconds: float = Field(default=30.0, ge=0)
    """Seconds that answers under way have to finish after a stop is requested; new requests get 503."""
    load_adapters: bool = False
    """Offer `/v1/load_lora_adapter` and `/v1/unload_lora_adapter`; where there are keys, to those with `admin`."""

    @model_validator(mode="after")
    def other_machines_need_a_key(self) -> "ServerSpec":
        values = self.__dict__
        if values["host"] in LOOPBACK or values["allow_no_key"] or values["keys_file"] or values["api_key_env"]:
            return self
        raise ValueError(
            f"host {values['host']} is open to other machines: set keys_file (burnish keys add NAME), or api_key_env, "
            "or allow_no_key: true to answer anybody"
        )
