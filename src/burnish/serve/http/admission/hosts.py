"""The host names under which a server that only this machine reaches answers: no page of another site may ask it."""

import ipaddress
from urllib.parse import urlsplit

from burnish.serve.http.wire.errors import ApiError
from burnish.specs.ship.server import LOOPBACK, ServerSpec


class Hosts:
    """On the loopback without keys, a request's `Host` must be an address or localhost.

    A web page of any site can point its own name at 127.0.0.1 (DNS rebinding). The browser then takes the server for
    the page's own, whatever `cors` says, but still sends the page's name as `Host`.
    """

    def __init__(self, settings: ServerSpec, *, has_keys: bool):
        self._checks = settings.host in LOOPBACK and not has_keys
        if self._checks and (settings.allow_no_key or "*" in settings.cors):
            self._checks = False
        self._allowed = {"localhost"} | {_name(urlsplit(origin).netloc) for origin in settings.cors}

    def check(self, header: str | None) -> None:
        """Errors: ApiError 403 for another name. A request without the header is not one of a browser."""
        if not self._checks or not header:
            return
        name = _name(header)
        if name in self._allowed or name.endswith(".localhost") or _is_address(name):
            return
        message = (
            f"this server answers as localhost or by its address, not as '{name[:80]}': use http://127.0.0.1, or start "
            "it with keys_file, or allow_no_key: true"
        )
        raise ApiError(403, message, code="host_not_allowed")


def _name(host: str) -> str:
    """A host without its port."""
    try:
        return (urlsplit(f"//{host.strip()}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
