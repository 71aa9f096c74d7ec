"""Hub names, offline: pinned to the commit in the local cache and loaded from it; missing ones are reported."""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from burnish.core.context import Input
from burnish.core.errors import AskError, MachineError
from burnish.core.inputs import hub
from burnish.core.inputs.references import check_kind, fetched, resolve

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache with the layout of huggingface_hub."""
    import huggingface_hub.constants as constants

    home = tmp_path / "home"
    monkeypatch.setenv("HF_HOME", str(home))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    def add(kind: str, repo: str, files: dict[str, str]):
        root = home / "hub" / f"{kind}s--{repo.replace('/', '--')}"
        snapshot = root / "snapshots" / COMMIT
        snapshot.mkdir(parents=True)
        (root / "refs").mkdir()
        (root / "refs" / "main").write_text(COMMIT)
        for name, text in files.items():
            (snapshot / name).write_text(text)
        return snapshot

    return add


def test_a_model_in_the_cache_is_pinned_and_fetched_without_a_network(cache, workspace):
    snapshot = cache("model", "owner/name", {"config.json": "{}", "model.safetensors": ""})
    value = resolve("hub:owner/name", ("model", "adapter"), workspace, {})
    assert (value.kind, value.revision) == ("hub-model", COMMIT)
    check_kind(value, ("model", "adapter"), "base")
    found = fetched(value)
    assert (found.kind, found.path.resolve()) == ("model", snapshot)
    assert resolve(f"hub:owner/name@{COMMIT}", ("model",), workspace, {}).fingerprint == value.fingerprint


def test_an_adapter_is_detected_when_it_is_downloaded(cache, workspace):
    cache("model", "owner/lora", {"adapter_config.json": "{}", "adapter_model.safetensors": ""})
    assert fetched(resolve("hub:owner/lora", ("model", "adapter"), workspace, {})).kind == "adapter"


def test_the_base_of_an_adapter_is_fetched_with_it(cache, workspace, tmp_path):
    snapshot = cache("model", "owner/name", {"config.json": "{}"})
    base = resolve("hub:owner/name", ("model",), workspace, {})
    adapter = fetched(Input("r.tune@1", "adapter", tmp_path, inputs={"base": base}))
    assert adapter.inputs["base"].path.resolve() == snapshot


def test_a_dataset_is_a_folder(cache, workspace):
    snapshot = cache("dataset", "owner/rows", {"train.jsonl": "{}\n"})
    value = resolve("hub:owner/rows", ("dataset", "file", "folder"), workspace, {})
    check_kind(value, ("dataset", "file", "folder"), "source")
    assert (value.kind, fetched(value).kind, fetched(value).path.resolve()) == ("hub-dataset", "folder", snapshot)


def test_a_name_that_is_not_in_the_cache_is_reported_with_a_fix(workspace):
    with pytest.raises(MachineError) as caught:
        resolve("hub:owner/absent", ("model",), workspace, {})
    assert caught.value.code == "machine.no-network"
    assert "hub:owner/absent" in caught.value.what
    for way in ("HF_ENDPOINT", "file:"):
        assert way in caught.value.fix


def test_a_commit_that_is_not_in_the_cache_is_reported_when_it_is_downloaded(workspace):
    value = resolve(f"hub:owner/absent@{COMMIT}", ("model",), workspace, {})
    with pytest.raises(MachineError) as caught:
        fetched(value)
    assert caught.value.code == "machine.no-network"
    assert COMMIT in caught.value.fix


def test_a_model_and_a_dataset_may_have_the_same_name(cache, workspace):
    cache("model", "owner/both", {})
    cache("dataset", "owner/both", {})
    one, other = (resolve("hub:owner/both", (kind,), workspace, {}) for kind in ("model", "dataset"))
    assert one.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    "name", ["a b", "a/b/c", "a/b@", "@x", "", "a//b", "../x", "a/..", "a/b@../../secret", "a--b/c"]
)
def test_no_name_leads_out_of_the_cache(workspace, name, tmp_path):
    (tmp_path / "secret").write_text("x" * 40)
    with pytest.raises((AskError, MachineError)):
        fetched(resolve(f"hub:{name}", ("model",), workspace, {}))


def test_a_ref_without_a_commit_is_ignored(cache, workspace, tmp_path):
    snapshot = cache("model", "owner/name", {})
    (snapshot.parents[1] / "refs" / "main").write_text("../../../../etc")
    with pytest.raises(MachineError):
        resolve("hub:owner/name", ("model",), workspace, {})


def test_the_cache_folder_comes_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "elsewhere"))
    assert hub.cache_folder() == tmp_path / "elsewhere"


def test_an_unreachable_hub_falls_back_to_the_cache_and_a_refusal_is_an_error(cache, workspace, monkeypatch):
    import huggingface_hub

    cache("model", "owner/name", {})
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    assert hub.pin("owner/name", "model") == COMMIT
    with pytest.raises(MachineError) as unreachable:
        hub.pin("owner/absent", "model")
    assert unreachable.value.code == "machine.no-network"

    def denied(*_, **__):
        import httpx

        response = httpx.Response(403, request=httpx.Request("GET", "https://hub"))
        raise huggingface_hub.errors.HfHubHTTPError("denied", response=response)

    monkeypatch.setattr(huggingface_hub.HfApi, "repo_info", denied)
    with pytest.raises(AskError) as caught:
        hub.pin("owner/name", "model")
    assert "403" in caught.value.what
    assert "HF_TOKEN" in caught.value.fix


@pytest.fixture
def online(monkeypatch):
    """A hub on this machine: `online(status, **answer)` makes it answer so; gives the paths that were requested."""
    import huggingface_hub.constants as constants

    servers = []

    def online(status: int, **answer) -> list[str]:
        asked = []

        class Hub(BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        monkeypatch.delenv("HF_HUB_OFFLINE")
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        return asked

    yield online
    for server in servers:
        server.shutdown()
        server.server_close()


def test_online_the_hub_says_the_commit_and_the_cache_is_not_looked_into(cache, online, workspace):
    cache("model", "owner/name", {"config.json": "{}"})
    newer = "f" * 40
    asked = online(200, id="owner/name", sha=newer)
    assert resolve("hub:owner/name", ("model",), workspace, {}).revision == newer
    assert hub.pin("owner/name@v1", "dataset") == newer
    assert asked == ["/api/models/owner/name/revision/main", "/api/datasets/owner/name/revision/v1"]
    assert hub.pin(f"owner/name@{COMMIT}", "model") == COMMIT
    assert len(asked) == 2


@pytest.mark.parametrize("status", [401, 404])
def test_a_refusal_of_the_hub_is_an_error_although_the_cache_has_the_name(cache, online, workspace, status):
    cache("model", "owner/name", {"config.json": "{}"})
    online(status, error="no")
    with pytest.raises(AskError, match=f"the hub returned {status}") as caught:
        resolve("hub:owner/name", ("model",), workspace, {})
    assert caught.value.code == "ask.bad-reference"


def test_a_hub_that_cannot_be_reached_leaves_the_cache(cache, online, workspace, monkeypatch):
    import huggingface_hub.constants as constants

    online(200)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    cache("model", "owner/name", {"config.json": "{}"})
    assert resolve("hub:owner/name", ("model",), workspace, {}).revision == COMMIT
    with pytest.raises(MachineError) as caught:
        resolve("hub:owner/other", ("model",), workspace, {})
    assert caught.value.code == "machine.no-network"


def test_a_name_that_no_hub_could_have_is_refused(online):
    online(200)
    for call in (lambda: hub.pin("owner/na--me..", "model"), lambda: hub.fetch("owner/na--me..", COMMIT, "model")):
        with pytest.raises(AskError) as caught:
            call()
        assert caught.value.code == "ask.bad-reference"


def said(call, *args) -> str:
    with pytest.raises((AskError, MachineError)) as caught:
        call(*args)
    return f"{caught.value.code} | {caught.value.what} | {caught.value.fix}"


NAME_FIX = "write hub:owner/name or hub:owner/name@commit"


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("owner/name", ("owner/name", "main")),
        ("gpt2", ("gpt2", "main")),
        ("a-b.c/d_e@v1.0", ("a-b.c/d_e", "v1.0")),
        ("a/b@refs/pr/1--x", ("a/b", "refs/pr/1--x")),
    ],
)
def test_a_name_is_a_repository_and_a_revision(name, parts):
    assert hub.split_name(name) == parts


@pytest.mark.parametrize(
    "name", ["", "a b", "a/b/c", "a/b@", "a/b@c@d", "..", "a/..", "a/b@..", "a/b@x/../y", "a--b", "a/b--c@d"]
)
def test_another_name_is_refused_as_a_whole(name):
    assert said(hub.split_name, name) == f"ask.bad-reference | 'hub:{name}' is not a valid hub name | {NAME_FIX}"


def test_the_cache_is_in_its_own_folder_that_of_the_hub_or_the_home(monkeypatch):
    monkeypatch.setenv("HOME", "/homes/me")
    monkeypatch.setenv("HF_HOME", "~/hf")
    assert hub.cache_folder() == Path("/homes/me/hf/hub")
    monkeypatch.delenv("HF_HOME")
    assert hub.cache_folder() == Path("/homes/me/.cache/huggingface/hub")
    monkeypatch.setenv("HF_HUB_CACHE", "~/cache")
    assert hub.cache_folder() == Path("/homes/me/cache")


@pytest.mark.parametrize(
    ("setting", "is_offline"),
    [
        *((word, True) for word in ("1", "true", "yes", "on", "TRUE", "On")),
        *((word, False) for word in ("0", "", "no")),
    ],
)
def test_offline_the_hub_is_not_asked(cache, online, monkeypatch, setting, is_offline):
    snapshot = cache("model", "owner/name", {})
    (snapshot.parents[1] / "refs" / "main").write_text(f" {COMMIT}\n")
    asked = online(200, id="owner/name", sha="f" * 40)
    monkeypatch.setenv("HF_HUB_OFFLINE", setting)
    assert hub.pin("owner/name", "model") == (COMMIT if is_offline else "f" * 40)
    assert len(asked) == (0 if is_offline else 1)


def test_each_refusal_names_the_repository_and_the_fix(cache, online, monkeypatch, tmp_path):
    folder = tmp_path / "home" / "hub"
    assert said(hub.pin, "owner/name@v1", "dataset") == (
        f"machine.no-network | hub:owner/name@v1: the hub cannot be reached, and {folder}/datasets--owner--name "
        "lacks the revision | go online once, set HF_ENDPOINT to a mirror, or use a local folder: file:PATH"
    )
    with pytest.raises(MachineError) as caught:
        hub.fetch("owner/name@v1", COMMIT, "model")
    assert caught.value.what.startswith(f"hub:owner/name@{COMMIT} could not be downloaded: ")
    assert caught.value.fix == (
        f"go online, set HF_ENDPOINT to a mirror, or put the files in {folder}/models--owner--name/snapshots/{COMMIT}"
    )
    online(404, error="no")
    assert said(hub.pin, "owner/name", "model") == (
        "ask.bad-reference | hub:owner/name@main: the hub returned 404 | "
        "check the name and revision; for a gated or private repository set HF_TOKEN"
    )
    for call in (lambda: hub.pin("owner/name.", "model"), lambda: hub.fetch("owner/name.", COMMIT, "model")):
        assert said(call) == f"ask.bad-reference | 'hub:owner/name.' is not a valid hub name | {NAME_FIX}"
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert said(hub.pin, "owner/name", "model") == (
        "machine.no-package | hub: names need the package huggingface-hub | pip install 'burnish[data]'"
    )


@pytest.fixture
def repository_online(monkeypatch):
    """A hub on this machine with one repository, `owner/name`, of the given files."""
    import huggingface_hub.constants as constants

    files: dict[str, str] = {}

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self):
            *_, name = self.path.partition(f"owner/name/resolve/{COMMIT}/")
            listed = [{"type": "file", "path": path, "size": len(text), "oid": "0"} for path, text in files.items()]
            about = {"id": "owner/name", "sha": COMMIT, "siblings": [{"rfilename": path} for path in files]}
            answer = listed if "/tree/" in self.path else about
            body = (files[name] if name else json.dumps(answer)).encode()
            self.send_response(200)
            for key, value in (("ETag", f'"{name}"'), ("X-Repo-Commit", COMMIT), ("Content-Length", str(len(body)))):
                self.send_header(key, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def do_HEAD(self):
            self.do_GET()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    yield files
    server.shutdown()
    server.server_close()


def test_of_a_model_only_the_files_that_are_used_are_downloaded_and_all_of_a_dataset(repository_online, tmp_path):
    used = {"config.json", "model.safetensors", "tokenizer.model", "chat_template.jinja", "merges.txt", "a.tiktoken"}
    used.add("README.md")  # with the licence
    others = {"pytorch_model.bin", "rows.parquet"}
    repository_online.update({name: f"content of {name}" for name in used | others})
    for repo_type, expected in (("model", used), ("dataset", used | others)):
        folder = hub.fetch("owner/name@v1", COMMIT, repo_type)
        assert folder == tmp_path / "home/hub" / f"{repo_type}s--owner--name" / "snapshots" / COMMIT
        assert {path.name: path.read_text() for path in folder.iterdir()} == {
            name: f"content of {name}" for name in expected
        }


def test_of_a_model_without_its_weights_all_else_is_downloaded(repository_online):
    small = {"config.json", "tokenizer.json", "chat_template.jinja"}
    repository_online.update({name: f"content of {name}" for name in {*small, "model-1.safetensors"}})
    folder = hub.fetch("owner/name@v1", COMMIT, "model", weights=False)
    assert {path.name for path in folder.iterdir()} == small
    whole = hub.fetch("owner/name@v1", COMMIT, "model")
    assert {path.name for path in whole.iterdir()} == {*small, "model-1.safetensors"}
