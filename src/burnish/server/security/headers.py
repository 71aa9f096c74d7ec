"""The headers that tell a browser what an answer may do: nothing but what the page needs."""

import secrets

_COMMON = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "x-frame-options": "DENY",
}
NOTHING = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""The policy of every answer that is no page."""


def new_nonce() -> str:
    """A nonce for the styles of one page."""
    return secrets.token_urlsafe(16)


def policy_of_page(nonce: str) -> str:
    """The policy of the page: its own scripts, and the styles that Emotion inserts with the nonce."""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            f"style-src 'self' 'nonce-{nonce}'",
            "img-src 'self' data: blob:",
            "font-src 'self'",
            "connect-src 'self'",
            "worker-src 'self'",
            "manifest-src 'self'",
            "frame-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def policy_of_file() -> str:
    """The policy of a file of a run, such as a report: no script, nothing of elsewhere, an origin of its own."""
    return "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"


def with_defaults(headers: list[tuple[bytes, bytes]], *, of_api: bool) -> list[tuple[bytes, bytes]]:
    """The headers of an answer and those that it lacks. What the API answers is kept by no cache."""
    given = {name.lower() for name, _ in headers}
    wanted = {**_COMMON, "content-security-policy": NOTHING, **({"cache-control": "no-store"} if of_api else {})}
    return [*headers, *((n.encode(), v.encode()) for n, v in wanted.items() if n.encode() not in given)]
