"""The built page: its files, and index.html for every other address, so that each view has a URL of its own.

What is named after its contents is read and compressed once, and kept by browsers for ever. A browser that is logged in
is told with index.html what the screen asks first, so that it asks beside the scripts and not after them.

In index.html, each `__CSP_NONCE__` is replaced by the nonce of the answer (`<meta name="csp-nonce" …>`), which styles
need that a script inserts.
"""

import gzip
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from burnish.server.security.access import access_of
from burnish.server.security.headers import new_nonce, policy_of_page
from burnish.server.threads import crews

NONCE = "__CSP_NONCE__"
_OF_API = ("/api/", "/v1/")
_IN_EVERY_SCREEN = ("/api/v1/session",)
_OF_HOME = ("/api/v1/runs/grouped?limit=100", "/api/v1/jobs", "/api/v1/machine")
"""What the page asks first, to the letter: a browser complains of what it was told to fetch and nobody asked for."""
_KEPT, _ASKED_AGAIN = "public, max-age=31536000, immutable", "public, max-age=3600"
_PACKED = frozenset({".js", ".css", ".svg"})
_NOT_BUILT = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>burnish</title></head>
<body><h1>The page is not built</h1>
<p>The API under <code>/api/v1</code> answers. In a checkout, build the page with <code>make web</code> (it needs
Node); <code>pip install 'burnish[ui]'</code> installs it built.</p></body></html>
"""


class _PageRoute(Route):
    """Every path but those of the API, whose routes say themselves which methods they take."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.NONE, {}) if scope["path"].startswith(_OF_API) else super().matches(scope)


def page_routes(folder: Path) -> list[BaseRoute]:
    """The routes of the page in `folder`; the last of the app's, since they take every path."""

    known: dict[str, _Asset] = {}

    async def page(request: Request) -> Response:
        path: str = request.path_params["path"]
        asset = known.get(path) or await crews.run("quick", _asset, folder, path)
        if asset is not None and path.startswith("assets/"):
            return known.setdefault(path, asset).answer(request, _KEPT)
        if asset is not None:
            return asset.answer(request, _ASKED_AGAIN)
        if path.startswith("assets/"):
            raise HTTPException(404)
        return await crews.run("quick", _index, folder, request)

    return [_PageRoute("/{path:path}", page, methods=["GET"], name="page", include_in_schema=False)]


@dataclass(frozen=True)
class _Asset:
    """A file of the page, and its bytes as most browsers take them."""

    media_type: str | None
    plain: bytes
    packed: bytes | None

    def answer(self, request: Request, kept: str) -> Response:
        headers = {"Cache-Control": kept, "Vary": "Accept-Encoding"}
        if self.packed is None or "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(self.plain, media_type=self.media_type, headers=headers)
        return Response(self.packed, media_type=self.media_type, headers={**headers, "Content-Encoding": "gzip"})


def _asset(folder: Path, path: str) -> _Asset | None:
    found = _file(folder, path)
    if found is None:
        return None
    plain = found.read_bytes()
    packed = gzip.compress(plain, 6, mtime=0) if found.suffix in _PACKED else None
    return _Asset(mimetypes.guess_type(found.name)[0], plain, packed)


def _file(folder: Path, path: str) -> Path | None:
    """The file of the page at a path; None for its own addresses."""
    parts = path.split("/")
    if (
        not path
        or path == "index.html"
        or any(part in ("", ".", "..") or "\0" in part or "\\" in part for part in parts)
    ):
        return None
    found = folder.joinpath(*parts)
    try:
        is_ours = found.resolve().is_relative_to(folder.resolve()) and found.is_file()
    except OSError:
        return None
    return found if is_ours else None


def _index(folder: Path, request: Request) -> Response:
    nonce = new_nonce()
    headers = {"Content-Security-Policy": policy_of_page(nonce), "Cache-Control": "no-store"}
    index = folder / "index.html"
    if not index.is_file():
        return HTMLResponse(_NOT_BUILT, 404, headers)
    if access_of(request).has_session(request):
        asked = (*_IN_EVERY_SCREEN, *(_OF_HOME if request.url.path == "/" else ()))
        headers["Link"] = ", ".join(f"<{path}>; rel=preload; as=fetch; crossorigin" for path in asked)
    return HTMLResponse(index.read_text(encoding="utf-8").replace(NONCE, nonce), headers=headers)
