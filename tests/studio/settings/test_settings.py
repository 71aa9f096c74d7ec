"""What `.env` may hold: listed without secrets, changed whole or not at all, and taken by burnish and its workers."""

import json
import logging
import os
import subprocess
import sys
import threading

import pytest

from burnish.core.errors import AskError, BurnishError
from burnish.studio.machine import env
from burnish.studio.settings import environment
from burnish.studio.settings.changes import change_settings, settings
from burnish.studio.settings.environment import NOTE, load_env_file, source_of
from burnish.studio.settings.variables import variables

CANARY = "sk-canary-7f3d9a1c55"


@pytest.fixture(autouse=True)
def own_environment():
    """An environment in which no variable of the table is set, and which the test cannot change for others."""
    before = dict(os.environ)
    for name in (*variables(), NOTE):
        os.environ.pop(name, None)
    yield
    os.environ.clear()
    os.environ.update(before)


def of(found, name):
    return next(one for one in found["variables"] if one["name"] == name)


def test_every_variable_has_help_and_is_not_set_at_first(workspace):
    found = settings(workspace=workspace.root)
    assert [one["name"] for one in found["variables"] if not one["help"].endswith((".", ")")) or one["is_set"]] == []
    assert of(found, "WEBUI_PORT")["help"] == "The port of Open WebUI (profile webui)."
    assert of(found, "BURNISH_MODEL_NAME")["help"].startswith("Set by `burnish up`")
    assert found["path"] == str(workspace.root / ".env")


def test_a_change_is_in_the_file_and_in_force_and_a_secret_is_shown_nowhere(workspace, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    (workspace.root / ".env").write_text("# of the lab\nMINE=1\n")
    found = change_settings({"OPENAI_API_KEY": CANARY, "HF_HUB_OFFLINE": "1"}, workspace=workspace.root)
    assert (workspace.root / ".env").read_text() == f"# of the lab\nMINE=1\nOPENAI_API_KEY={CANARY}\nHF_HUB_OFFLINE=1\n"
    assert (workspace.root / ".env").stat().st_mode & 0o777 == 0o600
    key, offline = of(found, "OPENAI_API_KEY"), of(found, "HF_HUB_OFFLINE")
    assert (key["is_set"], key["value"], key["source"]) == (True, None, "file")
    assert (offline["is_set"], offline["value"], offline["source"]) == (True, "1", "file")
    assert found["others"] == ["MINE"]
    assert os.environ["OPENAI_API_KEY"] == CANARY
    everywhere = (
        json.dumps(found) + json.dumps(settings(workspace=workspace.root)) + caplog.text + "".join(capfd.readouterr())
    )
    assert CANARY not in everywhere
    others = [path for path in workspace.root.rglob("*") if path.is_file() and path.name != ".env"]
    assert all(CANARY.encode() not in path.read_bytes() for path in others)


def test_what_the_process_was_started_with_comes_first(workspace, monkeypatch):
    monkeypatch.setenv("HF_HOME", "/mine")
    found = change_settings({"HF_HOME": "/of/the/file"}, workspace=workspace.root)
    shown = of(found, "HF_HOME")
    assert (shown["value"], shown["source"], shown["in_file"]) == ("/mine", "environment", True)
    assert os.environ["HF_HOME"] == "/mine"


def test_a_removed_variable_is_gone_from_file_and_process(workspace):
    change_settings({"HF_HOME": "/a", "LAB_TOKEN": CANARY}, workspace=workspace.root)
    found = change_settings({"HF_HOME": None, "LAB_TOKEN": None}, workspace=workspace.root)
    assert not of(found, "HF_HOME")["is_set"]
    assert {"HF_HOME", "LAB_TOKEN", NOTE} & os.environ.keys() == set()
    assert (workspace.root / ".env").read_text() == ""


def test_a_process_below_takes_a_later_change_of_the_file(workspace):
    (workspace.root / ".env").write_text("HF_HOME=/first\nHF_ENDPOINT=https://hub.example\n")
    assert load_env_file(workspace.root) == []
    (workspace.root / ".env").write_text("HF_HOME=/second\n")
    code = (
        "import os, sys, pathlib\n"
        "from burnish.studio.settings.environment import load_env_file, source_of\n"
        "load_env_file(pathlib.Path(sys.argv[1]))\n"
        "print(os.environ['HF_HOME'], source_of('HF_HOME'), os.environ.get('HF_ENDPOINT'), source_of('PATH'))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(workspace.root)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["/second", "file", "None", "environment"]


def test_a_value_that_a_caller_replaced_is_the_callers(workspace, monkeypatch):
    (workspace.root / ".env").write_text("OMP_NUM_THREADS=4\n")
    load_env_file(workspace.root)
    monkeypatch.setitem(os.environ, "OMP_NUM_THREADS", "1")
    load_env_file(workspace.root)
    assert (os.environ["OMP_NUM_THREADS"], source_of("OMP_NUM_THREADS")) == ("1", "environment")


@pytest.mark.parametrize(
    "name", ["LD_PRELOAD", "PYTHONPATH", "PATH", "GIT_SSH_COMMAND", "WEBUI_PORT", "BURNISH_WORKSPACE"]
)
def test_nothing_that_steers_other_programs_is_taken_from_the_file(workspace, name):
    before = os.environ.get(name)
    (workspace.root / ".env").write_text(f"{name}=/evil\n")
    load_env_file(workspace.root)
    assert os.environ.get(name) == before


def test_a_value_that_cannot_be_used_is_reported_and_not_taken(workspace):
    (workspace.root / ".env").write_text(
        f"HF_HOME=${{NOWHERE:?}}\nOMP_NUM_THREADS=many\nOPENAI_API_KEY='{CANARY}\u00e9'\n"
    )
    faults = load_env_file(workspace.root)
    assert [fault.partition(": ")[2] for fault in faults] == [
        "the value of HF_HOME has a variable in a form that burnish does not read: it is not used",
        "OMP_NUM_THREADS='many' is not such a number: it is not used",
        "OPENAI_API_KEY has characters that no header can hold: it is not used",
    ]
    assert {"HF_HOME", "OMP_NUM_THREADS", "OPENAI_API_KEY"} & os.environ.keys() == set()
    found = settings(workspace=workspace.root)
    assert of(found, "OMP_NUM_THREADS")["problem"]
    assert CANARY not in json.dumps(found)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, f"bob:{CANARY}@proxy:8080") for name in ("HTTPS_PROXY", "PIP_INDEX_URL", "RAY_ADDRESS")),
        ("HTTPS_PROXY", f"bob:{CANARY}/x://y@proxy:8080"),
        ("HTTPS_PROXY", f"http://bob:{CANARY}@proxy:8080"),
        ("MLFLOW_TRACKING_URI", f"bob:{CANARY}/x@mlflow.example"),
        ("OMP_NUM_THREADS", f"http://bob:{CANARY}@host"),
    ],
)
@pytest.mark.parametrize("of_file", [True, False])
def test_no_password_of_an_address_is_shown(workspace, caplog, capfd, name, value, of_file):
    value = value.replace("sk-", "")  # a password that looks like any word
    if of_file:
        (workspace.root / ".env").write_text(f"{name}={value}\n")
    else:
        os.environ[name] = value
    faults = load_env_file(workspace.root)
    said = [json.dumps(settings(workspace=workspace.root)), *faults, json.dumps(env(devices=False))]
    try:
        said.append(json.dumps(change_settings({name: value}, workspace=workspace.root)))
    except AskError as error:
        said.append(f"{error.what} {error.fix}")
    said += [caplog.text, *capfd.readouterr()]
    assert [text for text in said if "canary" in text] == []


def test_a_value_that_can_be_used_is_shown(workspace):
    os.environ |= {"HTTPS_PROXY": "http://proxy:8080", "RAY_ADDRESS": "head:6379", "PIP_INDEX_URL": "https://m/@a/x"}
    found = settings(workspace=workspace.root)
    shown = [of(found, name)["value"] for name in ("HTTPS_PROXY", "RAY_ADDRESS", "PIP_INDEX_URL")]
    assert shown == ["http://proxy:8080", "head:6379", "https://m/@a/x"]


HOSTILE = [
    ("OPENAI_API_KEY", f"{CANARY}\nLD_PRELOAD=/evil.so", "ask.wrong-value"),
    ("OPENAI_API_KEY", f"{CANARY}\r", "ask.wrong-value"),
    ("OPENAI_API_KEY", f"{CANARY}\0", "ask.wrong-value"),
    ("OPENAI_API_KEY", f"{CANARY}\u2028x", "ask.wrong-value"),
    ("OPENAI_API_KEY", f"{CANARY}\udc80", "ask.wrong-value"),
    ("OPENAI_API_KEY", f" {CANARY}", "ask.wrong-value"),
    ("OPENAI_API_KEY", CANARY * 1000, "ask.wrong-value"),
    ("OPENAI_API_KEY", "", "ask.wrong-value"),
    ("HF_HUB_OFFLINE", "maybe", "ask.wrong-value"),
    ("OMP_NUM_THREADS", "0", "ask.wrong-value"),
    ("OMP_NUM_THREADS", "\u0663", "ask.wrong-value"),
    ("WEBUI_PORT", "65536", "ask.wrong-value"),
    ("HF_ENDPOINT", "hub.example", "ask.wrong-value"),
    ("WANDB_MODE", "sometimes", "ask.wrong-value"),
    ("CUDA_VISIBLE_DEVICES", "0;1", "ask.wrong-value"),
    ("BURNISH_WORKSPACE", "/elsewhere", "ask.wrong-value"),
    ("LD_PRELOAD", "/evil.so", "ask.unknown-key"),
    ("HF_TOKEM", CANARY, "ask.unknown-key"),
    ("A=B_API_KEY", CANARY, "ask.unknown-key"),
    ("X\nY_API_KEY", CANARY, "ask.unknown-key"),
    ("", CANARY, "ask.unknown-key"),
    ("../HF_TOKEN", CANARY, "ask.unknown-key"),
]


@pytest.mark.parametrize(("name", "value", "code"), HOSTILE)
def test_what_cannot_be_set_changes_nothing_and_its_error_has_no_secret(workspace, name, value, code):
    (workspace.root / ".env").write_text("A=1\n")
    with pytest.raises(AskError) as caught:
        change_settings({"HF_HOME": "/good", name: value}, workspace=workspace.root)
    assert caught.value.code == code
    assert CANARY not in str(caught.value)
    assert (workspace.root / ".env").read_text() == "A=1\n"


def test_an_unknown_name_is_answered_with_the_nearest(workspace):
    with pytest.raises(AskError, match="HF_TOKEM") as caught:
        change_settings({"HF_TOKEM": "x"}, workspace=workspace.root)
    assert "did you mean 'HF_TOKEN'?" in caught.value.fix


def test_no_change_loses_one_of_another_thread(workspace):
    names = [f"LAB{number}_API_KEY" for number in range(12)]
    threads = [
        threading.Thread(target=change_settings, args=({name: f"key-of-{name}"},), kwargs={"workspace": workspace.root})
        for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted((workspace.root / ".env").read_text().split()) == sorted(f"{name}=key-of-{name}" for name in names)


@pytest.mark.parametrize(("older", "newer", "taken"), [("", "", None), ("HF_HOME=/older", "HF_HOME=/newer", "/newer")])
def test_of_two_threads_the_later_text_is_taken(workspace, monkeypatch, older, newer, taken):
    path, failed, is_read, is_overtaken = workspace.root / ".env", [], threading.Event(), threading.Event()
    path.write_text("HF_HOME=/first")
    load_env_file(workspace.root)
    read = environment._read

    def load():
        try:
            load_env_file(workspace.root)
        except Exception as error:
            failed.append(error)
        if threading.current_thread() is second:
            is_overtaken.set()

    def read_slowly(*given):
        found = read(*given)
        if threading.current_thread() is first:
            is_read.set()
            is_overtaken.wait(0.5)  # which does not come
        return found

    monkeypatch.setattr(environment, "_read", read_slowly)
    first, second = threading.Thread(target=load), threading.Thread(target=load)
    path.write_text(older)
    first.start()
    assert is_read.wait(20)
    path.write_text(newer)
    second.start()
    for thread in (first, second):
        thread.join(20)
    assert (failed, os.environ.get("HF_HOME")) == ([], taken)


def test_a_link_stays_a_link_and_other_files_are_refused(workspace, tmp_path):
    file = tmp_path / "shared.env"
    file.write_bytes(b"A=\xff\n")
    (workspace.root / ".env").symlink_to(file)
    change_settings({"HF_HOME": "/a"}, workspace=workspace.root)
    assert file.read_bytes() == b"A=\xff\nHF_HOME=/a\n"
    assert (workspace.root / ".env").is_symlink()
    (workspace.root / ".env").unlink()
    os.mkfifo(workspace.root / ".env")
    with pytest.raises(BurnishError, match="no regular file"):
        settings(workspace=workspace.root)
