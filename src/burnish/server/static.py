"""The built page: its files, and index.html for every other address, so that each view has a URL of its own.

In index.html, each `__CSP_NONCE__` is replaced by the nonce of the answer (`<meta name="csp-nonce" …>`), which styles
need that a script inserts.
"""

import mimetypes
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from burnish.server.security.headers import new_nonce, policy_of_page

NONCE = "__CSP_NONCE__"
_OF_API = ("/api/", "/v1/")
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

    async def page(request: Request) -> Response:
        path: str = request.path_params["path"]
        if (found := _file(folder, path)) is not None:
            kept = "public, max-age=31536000, immutable" if path.startswith("assets/") else "no-cache"
            return FileResponse(found, media_type=mimetypes.guess_type(found.name)[0], headers={"Cache-Control": kept})
        if path.startswith("assets/"):
            raise HTTPException(404)
        return _index(folder)

    return [_PageRoute("/{path:path}", page, methods=["GET"], name="page", include_in_schema=False)]


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


def _index(folder: Path) -> Response:
    nonce = new_nonce()
    headers = {"Content-Security-Policy": policy_of_page(nonce), "Cache-Control": "no-store"}
    index = folder / "index.html"
    if not index.is_file():
        return HTMLResponse(_NOT_BUILT, 404, headers)
    return HTMLResponse(index.read_text(encoding="utf-8").replace(NONCE, nonce), headers=headers)
