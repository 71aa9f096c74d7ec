"""What a reverse proxy says of the request that it passes on: believed from the addresses that the server was told."""

import ipaddress
from collections.abc import Iterable

from starlette.types import Scope

from burnish.core.errors import AskError
from burnish.server.settings import Settings

_SCHEMES = ("http", "https")
_MAPPED = "::ffff:"
"""Before the IPv4 address of a connection to a socket of IPv6, and of a proxy that was given so."""


def proxies_of(given: Iterable[str]) -> tuple[str, ...]:
    """Values of `--trusted-proxy`, as connections have them. Errors: AskError `ask.wrong-value`."""
    return tuple(_address(value.strip()) for value in given)


def _address(value: str) -> str:
    try:
        found = ipaddress.ip_address(value.removeprefix("[").removesuffix("]"))
    except ValueError:
        what = f"--trusted-proxy: '{value[:80]}' is not the address of one machine"
        fix = "give the IP address that the proxy connects from, such as 127.0.0.1; once for each proxy"
        raise AskError("ask.wrong-value", what, fix) from None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)


def apply_forwarded(scope: Scope, settings: Settings) -> None:
    """Take the client's address, the scheme and the host from X-Forwarded-For, -Proto and -Host, if a trusted proxy
    sent them; of several values the last, which that proxy wrote. From anybody else they are ignored."""
    client = scope.get("client")
    if client is None or client[0].removeprefix(_MAPPED) not in settings.trusted_proxies:
        return
    given = {name: value.decode("latin-1").rpartition(",")[2].strip() for name, value in scope["headers"]}
    if address := given.get(b"x-forwarded-for"):
        scope["client"] = (address[:100], 0)
    if (scheme := given.get(b"x-forwarded-proto", "").lower()) in _SCHEMES:
        scope["scheme"] = scheme
    if host := given.get(b"x-forwarded-host"):
        scope["headers"] = [*((n, v) for n, v in scope["headers"] if n != b"host"), (b"host", host.encode("latin-1"))]
