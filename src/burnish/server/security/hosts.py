"""The exact values of `Host` and `Origin` that the server answers.

A page of any site can point its own name at 127.0.0.1 (DNS rebinding); the browser then sends that name as `Host`.
"""

import re
from collections.abc import Iterable

from burnish.core.errors import AskError
from burnish.server.settings import Settings

_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"([a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\])(:(?P<port>[0-9]{1,5}))?")
"""As browsers send it: lower case, and other letters as `xn--`."""


def hosts_of(given: Iterable[str]) -> tuple[str, ...]:
    """Values of `--allow-host`, as browsers send them. Errors: AskError `ask.wrong-value`."""
    return tuple(_host(value.strip().lower()) for value in given)


def _host(value: str) -> str:
    found = _HOST.fullmatch(value)
    if found is None or not 0 < int(found["port"] or 1) < 65_536:
        what = f"--allow-host: '{value[:80]}' is not a host as browsers send it"
        fix = "give its name alone, with the port where the address has one, such as studio.example.org:8443"
        raise AskError("ask.wrong-value", what, fix)
    return value


def _as_sent(host: str, port: int) -> str:
    """As browsers send it: without the port that the scheme has anyway."""
    return host.removesuffix(f":{port}")


class Hosts:
    """The addresses of one server."""

    def __init__(self, settings: Settings):
        names = ["127.0.0.1", "localhost", "[::1]"]
        if settings.is_open and settings.host not in ("0.0.0.0", "::", ""):
            names.append(f"[{settings.host}]" if ":" in settings.host else settings.host)
        own = {f"{name}:{settings.port}" for name in names}
        if settings.port == _DEFAULT_PORTS["http"]:
            own |= set(names)
        given = set(settings.allowed_hosts)
        self._hosts = own | given | {_as_sent(host, port) for host in given for port in _DEFAULT_PORTS.values()}
        self._origins = {f"http://{_as_sent(host, 80)}" for host in own | given}
        self._origins |= {f"https://{_as_sent(host, 443)}" for host in given}

    def check(self, host: str | None, origin: str | None) -> None:
        """Errors: AskError `ask.not-allowed`."""
        if host is None or host.lower() not in self._hosts:
            shown = "without a Host" if host is None else f"as '{host[:80]}'"
            fix = f"use {sorted(self._hosts)[0]}, or start it with --allow-host NAME"
            raise AskError("ask.not-allowed", f"this server does not answer {shown}", fix)
        if origin is not None and origin.lower() not in self._origins:
            fix = "use burnish's own page, or start the server with --allow-host NAME where that is its address"
            raise AskError("ask.not-allowed", f"a page of {origin[:80]} sent this request", fix)
