"""Local servers of files: one as plain sites have it, one that answers as the Hub does for reading a dataset.

The paths and answers of the second are those that huggingface_hub 2.4 requests and reads: revision, tree, resolve with
a redirect to a second host (the CDN), ETag, Range.
"""

import hashlib
import io
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

ROWS = [{"id": number, "text": f"row number {number}", "meta": {"n": [number]}} for number in range(400)]


def lines(rows: list) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def parquet(rows: list, group: int = 50) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file, row_group_size=group)
    return file.getvalue()


class FileServer:
    """Files by path. `faults` has what happens to the next requests of a path that matches a pattern:

    a status, "break" (closed before an answer), or a number of bytes after which the connection is closed, as "cut 10".
    """

    def __init__(self, files: dict[str, bytes] | None = None):
        self.files = dict(files or {})
        self.headers: dict[str, dict[str, str]] = {}
        """Further headers of a path; "ETag": "" leaves it out."""
        self.redirects: dict[str, str] = {}
        self.faults: dict[str, list[int | str]] = {}
        self.seen: list[str] = []
        """METHOD /path RANGE of each request."""
        self.sent = 0
        """Bytes of bodies."""
        self.seen_headers: list[dict[str, str]] = []
        self.has_ranges = True
        self.has_head = True
        self.most: int | None = None
        """Bytes of a reply, which is whole by its own length."""
        self.pause = threading.Event()
        """When set, a body stops after half of it until the event is cleared."""
        self._lock = threading.Lock()

    def __enter__(self) -> Any:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else each answer waits 40 ms between its head and its body

            def do_GET(self) -> None:
                outer._serve(self)

            def do_HEAD(self) -> None:
                outer._serve(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that gave up is part of the tests."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, handler: BaseHTTPRequestHandler, path: str) -> tuple[int, dict[str, str], bytes]:
        if path in self.redirects:
            return 302, {"Location": self.redirects[path]}, b""
        if path not in self.files:
            return 404, {}, b"no such file"
        content = self.files[path]
        return 200, {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', **self.headers.get(path, {})}, content

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        path = unquote(urlsplit(handler.path).path)
        asked = f"{handler.command} {path}"
        with self._lock:
            self.seen.append(f"{asked} {handler.headers.get('Range', '')}".strip())
            self.seen_headers.append(dict(handler.headers))
            fault = next((left.pop(0) for one, left in self.faults.items() if left and re.search(one, asked)), None)
        if fault == "break":
            self._end(handler)
            return
        status, headers, content = (fault, {}, b"fault") if isinstance(fault, int) else self.answer(handler, path)
        if not self.has_head and handler.command == "HEAD":
            status, headers, content = 405, {}, b""
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", handler.headers.get("Range", ""))
        condition = handler.headers.get("If-Range", "")
        is_same = condition in ("", headers.get("ETag"), headers.get("Last-Modified"))
        if status == 200 and wanted and self.has_ranges and is_same:
            start, end = int(wanted[1]), int(wanted[2] or len(content) - 1)
            total = len(content)
            status, content = (206, content[start : end + 1]) if start < total else (416, b"")
            headers = {**headers, "Content-Range": f"bytes {start}-{min(end, total - 1)}/{total}"}
        if self.most is not None and status == 206:
            content = content[: self.most]
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            if value:
                handler.send_header(name, value)
        handler.end_headers()
        if handler.command == "HEAD":
            return
        if isinstance(fault, str) and fault.startswith("cut "):
            content = content[: int(fault[4:])]
        self._send(handler, content)
        if isinstance(fault, str):
            self._end(handler)

    def _send(self, handler: BaseHTTPRequestHandler, content: bytes) -> None:
        half = len(content) // 2 if self.pause.is_set() else len(content)
        for part in (content[:half], content[half:]):
            for start in range(0, len(part), 1 << 14):
                handler.wfile.write(part[start : start + (1 << 14)])
                with self._lock:
                    self.sent += len(part[start : start + (1 << 14)])
            handler.wfile.flush()
            while self.pause.is_set() and part is not content[half:]:
                threading.Event().wait(0.01)

    def _end(self, handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.connection.shutdown(2)


@dataclass
class DataRepo:
    """A dataset: commits by their name, branches that point to them."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    is_gated: bool = False
    is_private: bool = False

    def commit(self, files: dict[str, bytes], branch: str = "main") -> str:
        name = hashlib.sha1(f"{len(self.commits)}{sorted(files)}".encode()).hexdigest()
        self.commits[name], self.branches[branch] = files, name
        return name


class DataHub(FileServer):
    """Datasets by name. Files of more than `large` bytes lie at a second server, `cdn`, as signed addresses."""

    def __init__(self, token: str = "", large: int = 200):
        super().__init__()
        self.repos: dict[str, DataRepo] = {}
        self.token, self.large = token, large
        self.cdn = FileServer()

    def __enter__(self) -> "DataHub":
        super().__enter__()
        self.cdn.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.cdn.__exit__()
        super().__exit__()

    def add(self, name: str, files: dict[str, bytes], **about: bool) -> DataRepo:
        repo = self.repos[name] = DataRepo(**about)
        repo.commit(files)
        return repo

    def answer(self, handler: BaseHTTPRequestHandler, path: str) -> tuple[int, dict[str, str], bytes]:
        is_known = bool(self.token) and handler.headers.get("Authorization") == f"Bearer {self.token}"
        found = re.fullmatch(r"/api/datasets/([\w.-]+/[\w.-]+)(?:/(revision|tree)/([^/]+)(?:/(.+))?)?", path)
        if found:
            return self._listed(found[1], found[2] or "revision", found[3] or "main", found[4] or "", is_known, handler)
        found = re.fullmatch(r"/datasets/([\w.-]+/[\w.-]+)/resolve/([^/]+)/(.+)", path)
        if found is None:
            return 404, {}, b"{}"
        repo = self.repos.get(found[1])
        if repo is None or (repo.is_private and not is_known):
            return 404 if repo is None else 401, {"X-Error-Code": "RepoNotFound"}, b"{}"
        if repo.is_gated and not is_known:
            return 401 if not self.token else 403, {"X-Error-Code": "GatedRepo"}, b"Access to dataset is restricted"
        files = repo.commits.get(repo.branches.get(found[2], found[2]))
        if files is None or found[3] not in files:
            code = "RevisionNotFound" if files is None else "EntryNotFound"
            return 404, {"X-Error-Code": code}, b"{}"
        content = files[found[3]]
        if len(content) <= self.large:
            return 200, {"ETag": f'"{_blob(content)}"', "X-Repo-Commit": found[2]}, content
        sha = hashlib.sha256(content).hexdigest()
        self.cdn.files[f"/{sha}"] = content
        headers = {"X-Linked-Etag": f'"{sha}"', "X-Linked-Size": str(len(content)), "X-Repo-Commit": found[2]}
        return 302, {**headers, "Location": f"{self.cdn.url}/{sha}?expires=1"}, b""

    def _listed(
        self, name: str, verb: str, revision: str, folder: str, is_known: bool, handler: BaseHTTPRequestHandler
    ) -> tuple[int, dict[str, str], bytes]:
        repo = self.repos.get(name)
        if repo is None or (repo.is_private and not is_known):
            return 401 if not is_known else 404, {"X-Error-Code": "RepoNotFound"}, b'{"error": "Repository not found"}'
        commit = repo.branches.get(revision, revision)
        files = repo.commits.get(commit)
        if files is None:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b'{"error": "Invalid rev id"}'
        if verb == "revision":
            return 200, {}, json.dumps({"id": name, "sha": commit, "private": repo.is_private}).encode()
        names = [one for one in sorted(files) if one.startswith(f"{folder}/" if folder else "")]
        if folder and not names:
            return 404, {"X-Error-Code": "EntryNotFound"}, b'{"error": "no such folder"}'
        asked = parse_qs(urlsplit(handler.path).query)
        start = int(asked.get("cursor", ["0"])[0])
        page = [self._entry(one, files[one]) for one in names[start : start + 3]]
        more = f"{self.url}{urlsplit(handler.path).path}?recursive=True&cursor={start + 3}"
        return 200, ({"Link": f'<{more}>; rel="next"'} if start + 3 < len(names) else {}), json.dumps(page).encode()

    def _entry(self, name: str, content: bytes) -> dict[str, Any]:
        entry = {"type": "file", "path": name, "size": len(content), "oid": _blob(content)}
        if len(content) <= self.large:
            return entry
        sha = hashlib.sha256(content).hexdigest()
        return {**entry, "lfs": {"oid": sha, "size": len(content), "pointerSize": 130}}


def _blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
