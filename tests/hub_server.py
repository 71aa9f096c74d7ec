"""A local server that answers as the Hub does, for uploads: repositories, commits, large files, tokens and faults.

The paths and bodies are those that huggingface_hub 2.4 sends and reads.
"""

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml

TOKEN = "secret-of-the-tests-0123456789"
LARGE = 10_000
"""Larger files go through the protocol of large files."""


@dataclass
class Repo:
    private: bool
    branches: dict[str, str] = field(default_factory=dict)
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def commit(self, branch: str, files: dict[str, bytes], message: str) -> str:
        oid = hashlib.sha1(f"{len(self.commits)}{message}".encode()).hexdigest()
        self.commits[oid], self.branches[branch] = files, oid
        self.messages.append(message)
        return oid

    def files(self, revision: str = "main") -> dict[str, bytes]:
        return self.commits[self.branches.get(revision, revision)]


class HubServer:
    """`repos` by name. `faults` maps a pattern of "METHOD /path" to what happens to the next requests that match:

    a status, "break" (the connection is closed in the middle), "half" (half of the answer), "garbage" (no JSON),
    "lost" (the request is done, and the answer never sent), "wrong" (a commit that is not the one that was made).
    """

    def __init__(self, owners: tuple[str, ...] = ("me",)):
        self.repos: dict[str, Repo] = {}
        self.owners = owners
        self.stored: dict[str, bytes] = {}
        self.faults: dict[str, list[int | str]] = {}
        self.seen: list[str] = []
        self.tokens: set[str | None] = set()
        self.created_public = False
        """Create public repositories, whatever was asked."""
        self._lock = threading.Lock()

    def __enter__(self) -> "HubServer":
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else each answer waits 40 ms between its head and its body

            def do_GET(self) -> None:
                outer._serve(self)

            def do_POST(self) -> None:
                outer._serve(self)

            def do_PUT(self) -> None:
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

    @property
    def uploads(self) -> int:
        """How often contents or a commit were sent."""
        return sum(seen.startswith("PUT ") or "/commit/" in seen for seen in self.seen)

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        path = handler.path.partition("?")[0]
        asked = f"{handler.command} {path}"
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        with self._lock:
            self.seen.append(asked)
            fault = next((left.pop(0) for one, left in self.faults.items() if left and re.search(one, asked)), None)
            if fault == "break":
                handler.close_connection = True
                handler.connection.shutdown(2)
                return
            token = (handler.headers.get("Authorization") or "").removeprefix("Bearer ")
            # a signed address; and what the client asks, without a token, where an agent runs it
            if not path.startswith(("/stored/", "/api/agent-harnesses")):
                self.tokens.add(token)
            if isinstance(fault, int):
                status, answer = fault, {"error": f"fault {fault} of the tests"}
            elif token != TOKEN and not path.startswith("/stored/"):
                status, answer = 401, {"error": "Invalid credentials in Authorization header"}
            else:
                status, answer = self._answer(handler.command, path, body)
            if fault == "wrong":
                answer["commitOid"] = next(iter(self.repos.values())).branches["first"]
            if fault == "lost":
                handler.close_connection = True
                handler.connection.shutdown(2)
                return
        data = b"<html>oops" if fault == "garbage" else json.dumps(answer).encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(data)))
        if status == 404 and "RepoNotFound" in str(answer):
            handler.send_header("X-Error-Code", "RepoNotFound")
        if status == 404 and "RevisionNotFound" in str(answer):
            handler.send_header("X-Error-Code", "RevisionNotFound")
        handler.end_headers()
        handler.wfile.write(data[: len(data) // 2] if fault == "half" else data)
        if fault == "half":
            handler.close_connection = True

    def _answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        if path.startswith("/stored/"):
            self.stored[path.removeprefix("/stored/")] = body
            return 200, {}
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path == "/api/validate-yaml":
            return self._validate(json.loads(body)["content"])
        if found := re.fullmatch(r"/([\w.-]+/[\w.-]+)\.git/info/lfs/objects/batch", path):
            return 200, {"transfer": "basic", "objects": [self._large(one) for one in json.loads(body)["objects"]]}
        found = re.fullmatch(r"/api/models/([\w.-]+/[\w.-]+)(?:/(revision|tree|preupload|commit|branch)/(.+))?", path)
        assert found is not None, path
        name, verb, revision = found[1], found[2] or "revision", (found[3] or "main").replace("%2F", "/")
        if name not in self.repos:
            return 404, {"error": "RepoNotFound"}
        repo = self.repos[name]
        if verb == "branch":
            if name.split("/")[0] not in self.owners:
                return 403, {"error": "not yours"}
            repo.branches[revision] = repo.branches["main"]
            return 200, {}
        if revision not in repo.branches and revision not in repo.commits:
            return 404, {"error": "RevisionNotFound"}
        files = repo.files(revision)
        if verb == "revision":
            sha = repo.branches.get(revision, revision)
            return 200, {"id": name, "sha": sha, "private": repo.private, "siblings": [{"rfilename": n} for n in files]}
        if verb == "tree":
            return 200, [self._entry(name, content) for name, content in files.items()]
        if name.split("/")[0] not in self.owners:
            return 403, {"error": "not yours"}
        if verb == "preupload":
            wanted = json.loads(body)["files"]
            return 200, {"files": [self._mode(one, files) for one in wanted]}
        return self._commit(name, revision, body)

    def _create(self, asked: dict[str, Any]) -> tuple[int, Any]:
        name = f"{asked['organization']}/{asked['name']}"
        if asked["organization"] not in self.owners:
            return 403, {"error": f"no right to create a model under {asked['organization']}"}
        if name in self.repos:
            return 409, {"error": "exists", "url": f"{self.url}/{name}"}
        self.repos[name] = Repo(asked.get("visibility") == "private" and not self.created_public)
        first = self.repos[name].commit("main", {".gitattributes": b"*.safetensors filter=lfs\n"}, "initial commit")
        self.repos[name].branches["first"] = first
        return 200, {"url": f"{self.url}/{name}", "id": name}

    def _validate(self, content: str) -> tuple[int, Any]:
        found = re.match(r"---\n(.*?)\n---\n", content, re.DOTALL)
        if found is None:
            return 200, {"errors": [], "warnings": [{"message": "empty or missing yaml metadata in repo card"}]}
        errors = [{"message": text} for text in faults_of(yaml.safe_load(found[1]))]
        return (400 if errors else 200), {"errors": errors, "warnings": []}

    def _large(self, one: dict[str, Any]) -> dict[str, Any]:
        if one["oid"] in self.stored:
            return one
        return {**one, "actions": {"upload": {"href": f"{self.url}/stored/{one['oid']}"}}}

    def _mode(self, one: dict[str, Any], files: dict[str, bytes]) -> dict[str, Any]:
        is_large = one["size"] > LARGE or one["path"].endswith(".safetensors")
        mode = {"path": one["path"], "uploadMode": "lfs" if is_large else "regular", "shouldIgnore": False}
        there = files.get(one["path"])
        return mode if there is None else {**mode, "oid": self._entry(one["path"], there)["oid"]}

    def _entry(self, name: str, content: bytes) -> dict[str, Any]:
        entry = {"type": "file", "path": name, "size": len(content)}
        if len(content) > LARGE or name.endswith(".safetensors"):
            sha = hashlib.sha256(content).hexdigest()
            return {**entry, "oid": sha[:40], "lfs": {"oid": sha, "size": len(content), "pointerSize": 130}}
        return {**entry, "oid": hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()}

    def _commit(self, name: str, branch: str, body: bytes) -> tuple[int, Any]:
        repo = self.repos[name]
        files, message = dict(repo.files(branch)), ""
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "header":
                message = value["summary"]
                if value.get("parentCommit") not in (None, repo.branches[branch]):
                    return 412, {"error": "A commit has happened since. Please refresh and try again."}
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.stored:
                    return 400, {"error": f"{value['path']} was not uploaded"}
                files[value["path"]] = self.stored[value["oid"]]
            else:
                del files[value["path"]]
        oid = repo.commit(branch, files, message)
        return 200, {"success": True, "commitOid": oid, "commitUrl": f"{self.url}/{name}/commit/{oid}"}


_LICENCES = {"apache-2.0", "mit", "llama3.2", "gemma", "other", "cc-by-nc-4.0"}
_RELATIONS = {"adapter", "finetune", "merge", "quantized"}


def faults_of(metadata: dict[str, Any]) -> list[str]:
    """What the Hub refuses in the front matter of a model's card."""
    faults = []
    if metadata.get("license") not in _LICENCES | {None}:
        faults.append('"license" must be one of the known identifiers')
    if metadata.get("license") == "other" and "license_name" not in metadata:
        faults.append('"license_name" is needed where "license" is "other"')
    if metadata.get("base_model_relation") not in _RELATIONS | {None}:
        faults.append('"base_model_relation" must be one of adapter, finetune, merge, quantized')
    names = [metadata.get("base_model"), *metadata.get("datasets", [])]
    faults += [
        f"{name} is no name of the hub" for name in names if name and not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name)
    ]
    faults += [
        f"language {one} is no ISO code" for one in metadata.get("language", []) if not re.fullmatch("[a-z]{2,3}", one)
    ]
    for model in metadata.get("model-index", []):
        for result in model["results"]:
            if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", result["dataset"]["type"]) or not result["dataset"]["name"]:
                faults.append('"model-index[0].results[0].dataset.type" is no name')
            for metric in result["metrics"]:
                if not re.fullmatch(r"[\w.-]+", metric["type"]) or "value" not in metric:
                    faults.append('"metrics" need a type and a value')
    return faults
