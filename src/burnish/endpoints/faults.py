"""Why an endpoint gave no answer, in words, and what to do about it."""

import http.client
import socket
import ssl
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from burnish.core.faults import reason
from burnish.core.inputs.urls import is_this_machine
from burnish.endpoints.post import Posted

GENERAL = "check the address, the model's name and the key (api_key_env), or raise retries, backoff or timeout"
REDIRECTS = (301, 302, 303, 307, 308)
_KEY = "name the environment variable that holds the right key (api_key_env, or --key-env)"
_BY_STATUS = {
    401: _KEY,
    403: f"{_KEY}; the key may not be allowed to use this model",
    404: "check the path of the address, which usually ends in /v1, and the model's name",
    405: "check the path of the address, which usually ends in /v1",
    407: "the proxy wants a user: set it in HTTPS_PROXY, or name the host in NO_PROXY",
    413: "the request is too large for the endpoint: shorten the prompt",
    429: "the endpoint limits requests: wait, lower concurrency, or check the account's quota",
    502: "a proxy in front of the endpoint does not reach it: check that the model's server runs",
    503: "the endpoint starts or is overloaded: try again later",
    504: "a proxy in front of the endpoint gave up: raise its timeout, or shorten the answer",
}


def fix_of(problem: Exception | Posted, url: str) -> str:
    """The next step after a failed request."""
    if isinstance(problem, Posted):
        return _fix_of_reply(problem)
    cause = problem.reason if isinstance(problem, urllib.error.URLError) else problem
    parts = urlsplit(url)
    if proxy := _proxy(parts.scheme, parts.hostname or "", url):
        if isinstance(cause, OSError) and "Tunnel" in str(cause):
            return f"the proxy {proxy} does not connect to {parts.hostname}: name the host in NO_PROXY"
        if isinstance(cause, ConnectionRefusedError | socket.gaierror):
            return f"check the proxy {proxy} (HTTPS_PROXY, HTTP_PROXY), or name {parts.hostname} in NO_PROXY"
    if isinstance(cause, ConnectionRefusedError):
        return f"nothing listens at {parts.netloc}: start the server, or check host and port"
    if isinstance(cause, socket.gaierror):
        return f"the host {parts.hostname} is unknown: check its spelling, the network and DNS"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return "the certificate is not trusted: set SSL_CERT_FILE to the file of its authority, and use the host's name"
    if isinstance(cause, ssl.SSLError):
        return f"the server may speak no TLS: write http://{parts.netloc}{parts.path}"
    if isinstance(cause, TimeoutError):
        return "raise timeout, or check that the server is not overloaded"
    if isinstance(cause, http.client.BadStatusLine | ConnectionResetError) and parts.scheme == "http":
        return f"read the server's log; if it speaks TLS, write https://{parts.netloc}{parts.path}"
    return GENERAL


def words_of(problem: Exception | Posted) -> str:
    """What happened, in one line."""
    if isinstance(problem, Posted):
        return f"status {problem.status}: {said_in(problem)}"
    cause = problem.reason if isinstance(problem, urllib.error.URLError) else problem
    return f"{type(cause).__name__}: {reason(cause)}" if isinstance(cause, Exception) else str(cause)


def said_in(posted: Posted) -> str:
    """The message of an error's body, or the start of another body."""
    error = (posted.body or {}).get("error", posted.body or {})
    said = error.get("message") or error.get("detail") if isinstance(error, dict) else error
    return said if isinstance(said, str) and said else " ".join(posted.text.split())[:200] or "an empty body"


def is_a_page(posted: Posted) -> bool:
    """Whether a body is HTML."""
    return posted.text.lstrip()[:1] == "<"


def _fix_of_reply(posted: Posted) -> str:
    if posted.status in REDIRECTS:
        return "set url to the address where the API is: a redirect is not followed, as it would receive the key"
    if "HTTPS port" in posted.text:
        return "the server speaks TLS: write https:// in the address"
    if is_a_page(posted) and posted.status in (200, 404):
        return "the address is that of a web page: the API is usually at the same host under /v1"
    return _BY_STATUS.get(posted.status, GENERAL)


def _proxy(scheme: str, host: str, url: str) -> str:
    """The proxy that a request goes through, without its password; empty if there is none."""
    if is_this_machine(url) or urllib.request.proxy_bypass(host):
        return ""
    found = urlsplit(urllib.request.getproxies().get(scheme, ""))
    return found.hostname + (f":{found.port}" if found.port else "") if found.hostname else ""
