"""Credentials: refused where they would be written down, taken from Git's own ways, and nowhere on disk or in words."""

import base64
import io
import subprocess
import sys
import threading
import traceback
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

import burnish
from burnish.cli.main import entry

CANARY = "zzCanary1234567890"
KEY = "hf_" + CANARY + "abcdefgh"
REFERENCES = [
    f"git:https://user:{CANARY}@127.0.0.1:9/owner/name",
    f"git:https://{CANARY}@127.0.0.1:9/owner/name@v1",
    f"git:https://user:{CANARY}/x@127.0.0.1:9/owner/name",
    f"git:https://127.0.0.1:9/owner/name?access_token={CANARY}",
    f"git:https://127.0.0.1:9/owner/name?private_token={CANARY}@v1",
    f"git:ssh://git:{CANARY}@127.0.0.1:9/owner/name",
    f"git:https://127.0.0.1:9/{KEY}/name",
    f"gti:https://user:{CANARY}@127.0.0.1:9/owner/name",
    f"hub:owner/{KEY}",
    f"file:rows.jsonl?token={CANARY}",
]


def nowhere(workspace, *texts):
    for text in texts:
        assert CANARY not in text
    for path in workspace.root.rglob("*"):
        assert CANARY not in path.name
        assert not path.is_file() or CANARY.encode() not in path.read_bytes(), path


def words_of(error):
    return "".join(traceback.format_exception(error)) + f"{error} {error!r} {error.as_dict()}"


@pytest.mark.parametrize("ref", REFERENCES)
def test_a_reference_with_credentials_is_refused_and_shown_nowhere(ref, workspace, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    recipe = {"name": "r", "steps": {"data": {"stage": "prepare", "source": ref}}}
    wrong = {"name": "r", "steps": {"data": {"stage": "prepare", "source": ref, "sauce": 1}}}
    listed = {"name": "r", "steps": {"data": {"stage": "prepare", "source": [{"ref": ref}]}}}
    for ask in (
        lambda: burnish.plan(recipe, workspace=workspace.root),
        lambda: burnish.run(recipe, workspace=workspace.root),
        lambda: burnish.run(listed, workspace=workspace.root),
        lambda: burnish.run(wrong, workspace=workspace.root),
        lambda: burnish.run_stage("prepare", source=ref, workspace=workspace.root),
        lambda: burnish.inspect(ref, workspace=workspace.root),
        lambda: burnish.chat(ref, workspace=workspace.root),
    ):
        with pytest.raises(burnish.BurnishError) as caught:
            ask()
        assert caught.value.code.startswith("ask.")
        nowhere(workspace, words_of(caught.value))
    screen = io.StringIO()
    for words in (("prepare", "--source", ref), ("--debug", "prepare", "--source", ref), ("inspect", ref)):
        monkeypatch.setattr(sys, "argv", ["burnish", "--workspace", str(workspace.root), *words])
        with redirect_stdout(screen), redirect_stderr(screen), pytest.raises(SystemExit):
            entry()
    nowhere(workspace, screen.getvalue())


def test_a_key_in_a_setting_is_refused_and_shown_nowhere(workspace, quick_stages):
    for values in ({"word": KEY}, {"word": f"a {KEY} b", "times": 2}, {"voice": {"kind": KEY}}):
        stage = "quick-join" if "voice" in values else "quick-make"
        with pytest.raises(burnish.BurnishError) as caught:
            burnish.run_stage(stage, **values, workspace=workspace.root)
        nowhere(workspace, words_of(caught.value))
    with pytest.raises(burnish.BurnishError) as caught:
        burnish.run({"name": "r", "steps": {"a": {"stage": "quick-make", "word": KEY}}}, workspace=workspace.root)
    assert "'a.word' contains an access token" in caught.value.what
    assert "HF_TOKEN" in caught.value.fix


class Guarded(SimpleHTTPRequestHandler):
    """A server of files that wants a name and a password."""

    def do_GET(self):
        wanted = "Basic " + base64.b64encode(f"someone:{CANARY}".encode()).decode()
        if self.headers.get("Authorization") != wanted:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.end_headers()
            return
        super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def guarded(tmp_path):
    """The address of a repository behind a password."""
    folder = tmp_path / "served" / "x.git"
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.py").write_text("print(1)\n")
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    for words in (
        ("init", "-q", "-b", "main"),
        ("add", "a.py"),
        ("commit", "-q", "-m", "x"),
        ("clone", "-q", "--bare", ".", str(folder)),
        ("-C", str(folder), "update-server-info"),
    ):
        subprocess.run(["git", *identity, *words], cwd=source, check=True, capture_output=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Guarded, directory=str(tmp_path / "served")))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/x.git"
    server.shutdown()
    server.server_close()


def test_git_asks_its_own_helper_and_no_file_of_a_run_holds_what_it_says(guarded, workspace, tmp_path, monkeypatch):
    helper = tmp_path / "askpass"
    helper.write_text(f'#!/bin/sh\ncase "$1" in Username*) echo someone;; *) echo {CANARY};; esac\n')
    helper.chmod(0o700)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(burnish.BurnishError) as caught:
        burnish.run_stage("fetch", source=f"git:{guarded}", allow_hosts=["127.0.0.1"], workspace=workspace.root)
    assert "your access" in caught.value.fix
    monkeypatch.setenv("GIT_ASKPASS", str(helper))
    result = burnish.run_stage("fetch", source=f"git:{guarded}", allow_hosts=["127.0.0.1"], workspace=workspace.root)
    assert result.metrics["rows"] == 1
    nowhere(workspace, words_of(caught.value))
