"""Files at URLs: opened without reaching private addresses, and pinned to what the server says of their content.

    https://host/rows.jsonl                    pinned to its ETag or date, where the server gives one
    https://host/rows.jsonl#sha256=9f86d0…     pinned to its content

A private address (of this machine, of a local network, of a cloud's metadata) is refused unless its host is allowed by
name: an address in a recipe, or a redirect, could otherwise read what only this machine may.
"""

import http.client
import ipaddress
import re
import socket
import urllib.error
import urllib.request
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urldefrag, urlsplit

from burnish.core.errors import AskError, MachineError
from burnish.core.files import file_size
from burnish.core.version import VERSION

FAULTS = (OSError, http.client.HTTPException)
"""Errors of an exchange that a second attempt may not meet; URLError and timeouts are among them."""
_PLAN_SECONDS = 10.0
_CHECKSUM = re.compile(r"sha256=([0-9a-fA-F]{64})")
_NO_HEAD = (400, 403, 405, 501)
"""What servers that only answer GET say to HEAD."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True)
class UrlPin:
    """What is known of the content: `validator` is its sha256, or what the server gave, or "" for nothing."""

    validator: str
    sha256: str
    note: str


def is_this_machine(url: str) -> bool:
    """Whether an address is on the loopback, which no proxy can reach."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def is_url(ref: str) -> bool:
    """Whether a reference is a URL."""
    return ref.startswith(("https:", "http:"))


def split_checksum(ref: str) -> tuple[str, str]:
    """The address and the sha256 after `#sha256=`, "" if there is none. AskError `ask.bad-reference` for others."""
    url, fragment = urldefrag(ref)
    parts = urlsplit(url)
    try:
        is_address = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_address = False
    if not is_address or not url.isascii() or re.search(r"[\x00-\x20\x7f]", url):
        fix = "write https://host/path, with spaces and other letters escaped (%20)"
        raise AskError("ask.bad-reference", f"{ref} is not a URL", fix)
    if not fragment:
        return url, ""
    checksum = _CHECKSUM.fullmatch(fragment)
    if checksum is None:
        what = f"{ref}: '#{fragment}' is no checksum"
        raise AskError("ask.bad-reference", what, "write #sha256= and its 64 hex digits, or leave it out")
    return url, checksum[1].lower()


def pin(ref: str, allowed: Collection[str] = ()) -> UrlPin:
    """What the server says of a file now. It is not asked about one whose sha256 is given.

    Errors: AskError `ask.bad-reference` if the server refuses it, `ask.private-address`; MachineError
    `machine.no-network`.
    """
    url, sha256 = split_checksum(ref)
    if sha256:
        return UrlPin(sha256, sha256, "")
    try:
        with asked(url, allowed, _PLAN_SECONDS) as reply:
            validator, size = validator_of(reply.headers), reply.headers.get("Content-Length", "")
    except urllib.error.HTTPError as refused:
        refused.close()
        raise AskError("ask.bad-reference", f"{url}: the server returned {refused.code}", _fix(refused.code)) from None
    except FAULTS as error:
        raise unreachable(url, error) from error
    about = f"is {file_size(int(size))}" if size.isdecimal() else "is of unknown size"
    if validator:
        return UrlPin(validator, "", f"{about}, {validator}")
    doubt = "whether it changes is not known: its server gives no ETag and no date; --force fetches it again"
    return UrlPin("", "", f"{about}; {doubt}")


def validator_of(headers: Mapping[str, str]) -> str:
    """What identifies the content at a server: its ETag unless that is weak, else its date; "" if neither is given."""
    etag = headers.get("ETag", "")
    if etag and not etag.startswith("W/"):
        return f"ETag {etag}"
    date = headers.get("Last-Modified", "")
    return f"of {date}" if date else f"ETag {etag}" if etag else ""


def open_url(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    allowed: Collection[str] = (),
    seconds: float = 60.0,
    method: str = "GET",
) -> Any:
    """The reply, its body unread: redirects followed, the address checked at each. `seconds` is the longest silence.

    Proxies are those of the environment, except to this machine. A header Authorization is not sent to other hosts.

    Errors: HTTPError for a refusal; AskError `ask.private-address`; else one of FAULTS.
    """
    request = urllib.request.Request(
        url, headers={"User-Agent": f"burnish/{VERSION}", **(headers or {})}, method=method
    )
    return _opener(url, frozenset(name.lower() for name in allowed)).open(request, timeout=seconds)


def asked(url: str, allowed: Collection[str], seconds: float) -> Any:
    """The reply to HEAD, or to a GET whose body is not read, where the server refuses HEAD. Errors: as `open_url`."""
    try:
        return open_url(url, allowed=allowed, seconds=seconds, method="HEAD")
    except urllib.error.HTTPError as refused:
        refused.close()
        if refused.code not in _NO_HEAD:
            raise
    return open_url(url, allowed=allowed, seconds=seconds)


def unreachable(url: str, error: Exception) -> MachineError:
    """That a URL cannot be reached, and why."""
    why = getattr(error, "reason", None) or error
    what = f"{url} cannot be reached: {str(why) or type(why).__name__}"
    return MachineError("machine.no-network", what, "check the address and the network, or use a local file: file:PATH")


def _fix(status: int) -> str:
    if status in (401, 403):
        return "download it yourself with your login, and use the file: file:PATH"
    return "check the address" if status in (404, 410) else "try again later, or use a local file: file:PATH"


def _opener(url: str, allowed: frozenset[str]) -> urllib.request.OpenerDirector:
    direct = [urllib.request.ProxyHandler({})] if is_this_machine(url) else []
    return urllib.request.build_opener(_Redirects, _handler(False, allowed), _handler(True, allowed), *direct)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects between https URLs, or from http; without the credentials of the first host."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        before, after = urlsplit(str(req.full_url)), urlsplit(newurl)
        if after.scheme not in ("http", "https") or (before.scheme == "https" and after.scheme != "https"):
            what = f"{req.full_url} leads to {newurl}, which is not https"
            raise AskError("ask.bad-reference", what, "check the address, and use the one that it leads to")
        made: Any = super().redirect_request(req, fp, code, msg, headers, newurl)  # None: not followed
        if made is not None:
            made.method = req.get_method()
            if (before.scheme, before.netloc) != (after.scheme, after.netloc):
                made.remove_header("Authorization")
        return made


def _handler(is_https: bool, allowed: frozenset[str]) -> Any:
    """A handler of urllib whose connections are only to addresses that are public or allowed by their host's name."""
    parent: Any = urllib.request.HTTPSHandler if is_https else urllib.request.HTTPHandler
    kind: Any = http.client.HTTPSConnection if is_https else http.client.HTTPConnection

    class Direct(kind):
        def connect(self) -> None:
            own: Any = self
            host: str = own.host.lower().strip("[]")
            if host not in allowed:
                _refuse_private(host, {str(found[4][0]) for found in socket.getaddrinfo(own.host, own.port)})
            connect: Any = kind.connect
            connect(self)
            try:  # the name may lead elsewhere by now
                if host not in allowed:
                    _refuse_private(host, {str(own.sock.getpeername()[0])})
            except AskError:
                own.close()
                raise

    class Handler(parent):
        def do_open(self, http_class: Any, req: Any, **arguments: Any) -> Any:
            do_open: Any = parent.do_open
            target = urlsplit(str(req.full_url))
            if req.host.lower() == target.netloc.lower():
                return do_open(self, Direct, req, **arguments)
            host = (target.hostname or "").lower()
            refuse_private_host(host, allowed)  # by a proxy, which looks the name up itself
            return do_open(self, http_class, req, **arguments)

    return Handler()


def refuse_private_host(host: str, allowed: Collection[str]) -> None:
    """AskError `ask.private-address` for a host that has one, as far as this machine knows, and is not `allowed`."""
    host = host.lower()
    if host not in {name.lower() for name in allowed}:
        _refuse_private(host, _known_addresses(host))


def _known_addresses(host: str) -> set[str]:
    try:
        return {str(found[4][0]) for found in socket.getaddrinfo(host, None)}
    except OSError:
        return set()


def _refuse_private(host: str, addresses: Collection[str]) -> None:
    for address in addresses:
        if not _is_public(address):
            where = host if host == address else f"{host} ({address})"
            raise AskError(
                "ask.private-address",
                f"{where} is not a public address",
                f"if it is meant, allow it by name: allow_hosts: [{host}] (--allow-hosts {host})",
            )


def _is_public(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if inner is None and found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return _is_public(str(inner))
    return found.is_global and not found.is_multicast
