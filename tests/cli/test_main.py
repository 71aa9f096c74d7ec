"""Every command: what it prints, as JSON too, how it fails, and with which status."""

import json
import re
import signal

import pytest

import artifacts
from burnish.core.errors import CODES
from burnish.core.version import VERSION
from burnish.studio import machine

TOKEN = "hf_" + "CANARY" * 6


def document(text: str):
    """The one JSON document that a text is."""
    return json.loads(text)


def test_the_version_and_the_help(burnish):
    assert burnish("--version").out.strip() == VERSION
    for words in (("--help",), ()):
        said = burnish(*words)
        assert said.status == 0
        assert re.search(r"^ +quick-make +Write a word", said.out, re.M), "stages are commands"
    assert "tail" in burnish("runs").out
    assert burnish("help").out == burnish("-h").out == burnish("--help").out
    for command in ("run", "quick-make"):
        assert burnish("help", command).out == burnish(command, "-h").out == burnish(command, "--help").out != ""


def test_running_printing_and_reusing(burnish, recipe, workspace):
    said = burnish("run", recipe)
    assert said.status == 0
    assert "r/1  2 steps, 0 reused" in said.out
    assert "seed 0, threads 1" in said.out
    assert "runs/r/1/join/out" in said.out
    assert re.search(r"^next: \S*burnish runs show r/1", said.out, re.M)
    assert "2 reused" in burnish("run", recipe).out
    assert "seed 0" in (workspace.runs / "r/1/make/console.log").read_text()


def test_plan_and_dry_run_say_the_same_and_do_nothing(burnish, recipe, workspace):
    planned = burnish("plan", recipe)
    assert planned.status == 0
    assert "2 of 2 steps to run" in planned.out
    assert burnish("run", recipe, "--dry-run").out == planned.out
    assert not workspace.runs.exists()


def test_set_from_force_and_only(burnish, recipe):
    assert document(burnish("--json", "run", recipe, "--only", "make").out)["steps"].keys() == {"make"}
    burnish("run", recipe)
    for options, actions in (
        (("--from", "join"), ["reuse", "run"]),
        (("--force", "make"), ["run", "reuse"]),
        (("--force", "*"), ["run", "run"]),
        (("--set", "make.word=x"), ["run", "run"]),
        (("--set", "make.threads=3"), ["reuse", "reuse"]),
    ):
        found = document(burnish("run", recipe, *options, "--json").out)
        assert [step["action"] for step in found["steps"].values()] == actions, options


def test_a_stage_is_a_command_with_a_flag_for_each_setting(burnish, workspace):
    (workspace.root / "settings.yaml").write_text("word: file\ntimes: 2\n")
    said = burnish("quick-make", "settings.yaml", "--times", "3", "--set", "seed=7", "--json")
    assert said.status == 0, said.err
    assert document(said.out)["steps"]["quick-make"]["metrics"] == {"words": 3}
    assert "seed 7" in burnish("runs", "show").out
    assert "would" not in burnish("quick-make", "--dry-run").out
    assert burnish("quick-make", "--certified", "true").status == 6, "its certificate does not hold"
    shown = burnish("runs", "show").out
    assert "does not hold: same of hub:org/parent" in shown
    assert "kl: does not hold, 0.2 nats per token (at most 0.001)" in shown
    found = document(
        burnish("quick-join", "--source", "runs/quick-make/1/quick-make/out", "--voice.marks", "2", "--json").out
    )
    assert found["steps"]["quick-join"]["metrics"] == {"words": 3}
    said = burnish("quick-join", "--help")
    assert "--voice.softness" in said.out
    assert "--voice.kind" in said.out


JSON_COMMANDS = [
    ("run", "r.yaml"),
    ("plan", "r.yaml"),
    ("run", "r.yaml", "--dry-run"),
    ("quick-make", "--dry-run"),
    ("quick-make",),
    ("schema",),
    ("schema", "sft"),
    ("runs", "list"),
    ("runs", "show"),
    ("runs", "show", "r/1"),
    ("runs", "diff", "r/1", "r/2"),
    ("runs", "resume", "r/1"),
    ("init", "demo", "--folder", "new"),
]


def test_json_is_one_document_on_stdout_and_nothing_else(burnish, recipe):
    burnish("run", recipe)
    burnish("run", recipe, "--force", "*")
    found = {}
    for words in JSON_COMMANDS:
        for place in (("--json", *words), (*words, "--json")):
            if words[0] == "init":
                place = tuple(f"new-{place.index('--json')}" if word == "new" else word for word in place)
            said = burnish(*place)
            found[" ".join(place)] = (said.status, said.err, is_document(said.out))
    assert found == dict.fromkeys(found, (0, "", True))


def is_document(text):
    try:
        return document(text) is not None
    except ValueError:
        return False


@pytest.mark.parametrize("failed", ["gate", "certificate"])
def test_json_of_a_gate_or_certificate_that_failed_has_the_results_beside_the_error(burnish, recipe, workspace, failed):
    burnish("run", recipe)
    path = workspace.root / "runs/r/1/make/artifact.json"
    record = json.loads(path.read_text())
    if failed == "gate":
        record["measures"] |= {"gate": "failed", "gate_failed": ["one rule", "another"]}
    else:
        record["certificate"] = artifacts.certificate("", holds=False)
    path.write_text(json.dumps(record))
    found = burnish("--json", "run", recipe)
    said = json.loads(found.err)
    assert found.status == said["error"]["exit_status"] == {"gate": 7, "certificate": 6}[failed]
    make = said["steps"]["make"]
    assert make["path"] == str(workspace.root / "runs/r/1/make/out")
    assert make["metrics"].get("gate_failed", ["one rule", "another"]) == ["one rule", "another"]
    assert "join" not in said["steps"]


def test_env_and_doctor_speak_json(burnish, monkeypatch):
    monkeypatch.setattr(machine, "_devices", lambda: {"names": ["cpu (2 threads)"]})
    monkeypatch.setenv("HF_TOKEN", "environment-canary")
    assert document(burnish("env", "--json").out)["environment"]["HF_TOKEN"] is True
    assert {"level", "subject", "what", "fix"} == document(burnish("doctor", "--json").out)[0].keys()
    assert "cpu (2 threads)" in burnish("env").out
    assert re.search(r"HF_TOKEN +set", burnish("env").out)
    assert "canary" not in burnish("env").out


def test_tail_speaks_one_json_event_a_line(burnish, recipe):
    burnish("run", recipe)
    lines = burnish("runs", "tail", "--json").out.splitlines()
    assert [json.loads(line)["kind"] for line in lines][:3] == ["state", "state", "note"]
    assert "r/1/make note: " in burnish("runs", "tail").out


FAULTS = [
    (("run", "absent.yaml"), "ask.recipe-unreadable", 2, "absent.yaml"),
    (("run", "absent"), "ask.bad-reference", 2, "absent"),
    (("run", "r.yaml", "--set", "make.wrod=1"), "ask.unknown-key", 2, "--set make.wrod"),
    (("run", "r.yaml", "--set", "make.times=x"), "ask.wrong-value", 2, "'times'"),
    (("run", "r.yaml", "--from", "jon"), "ask.bad-reference", 2, "'jon'"),
    (("quick-make", "--times", "x"), "ask.wrong-value", 2, "'times'"),
    (("quick-make", "--tmes", "1"), "ask.wrong-value", 2, "--tmes"),
    (("quick-join",), "ask.missing-key", 2, "'source'"),
    (("quick-join", "--source", "absent.jsonl"), "ask.bad-reference", 2, "absent.jsonl"),
    (("quick-model", "--base", "hub:owner/absent"), "machine.no-network", 5, "owner/absent"),
    (("quick-model", "--base", "builtin:absent"), "ask.bad-reference", 2, "absent"),
    (("quick-fail", "--how", "disk"), "machine.no-disk", 5, "somewhere"),
    (("quick-fail", "--how", "memory"), "machine.no-memory", 5, "12 GiB"),
    (("quick-fail", "--how", "package"), "machine.no-package", 5, "a_package_that_nobody_has"),
    (("quick-fail", "--how", "value"), "run.failed", 6, "ValueError"),
    (("runs", "show", "r/77"), "ask.no-such-run", 2, "r/77"),
    (("runs", "stop"), "ask.no-such-run", 2, "no runs"),
    (("schema", "stf"), "ask.unknown-stage", 2, "'stf'"),
    (("nothing",), "ask.wrong-value", 2, "nothing"),
    (("run",), "ask.wrong-value", 2, "files"),
    (("chat", "file:absent", "--ask", "x"), "ask.bad-reference", 2, "absent"),
]


@pytest.mark.parametrize(("words", "code", "status", "part"), FAULTS, ids=[" ".join(fault[0]) for fault in FAULTS])
def test_every_fault_is_told_with_a_fix_and_never_with_a_traceback(burnish, recipe, words, code, status, part):
    said = burnish(*words)
    assert said.status == status
    assert said.err.startswith("error: ")
    assert part in said.err
    assert "hint:  " in said.err
    assert "Traceback" not in said.err + said.out
    told = burnish(*words, "--json")
    assert (told.status, told.out) == (status, "")
    error = document(told.err)["error"]
    assert (error["code"], error["exit_status"]) == (code, status)
    assert code in CODES
    assert error["fix"]
    assert "Traceback" in burnish("--debug", *words).err


def test_a_secret_is_never_printed_nor_written(burnish, workspace, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "environment-canary")
    monkeypatch.setenv("SAFE_1", TOKEN)
    monkeypatch.setenv("SAFE_2", f"{TOKEN} environment-canary")
    shown = ""
    for words, status in (
        (("quick-fail", "--how", "print", "--token", "SAFE_1"), 0),
        (("quick-fail", "--how", "value", "--token", "SAFE_2"), 6),
        (("quick-fail", "--how", "value", "--token", "SAFE_1", "--debug"), 6),
        (("quick-fail", "--how", "print", "--token", TOKEN), 2),
        (("quick-fail", "--how", "print", "--token", "environment-canary", "--debug"), 2),
        (("quick-make", "--times", TOKEN), 2),
        (("quick-fail", "--how", TOKEN, "--json"), 2),
        (("plan", TOKEN), 2),
        (("runs", "show"), 0),
        (("runs", "show", "--json"), 0),
        (("runs", "list"), 0),
        (("runs", "tail"), 0),
        (("runs", "diff", "quick-fail/1", "quick-fail/2"), 0),
        (("doctor", "latest"), 1),
        (("quick-fail", "--how", "print", "--token", TOKEN, "--dry-run", "--json"), 2),
    ):
        said = burnish(*words)
        assert said.status == status, (words, said.err)
        shown += said.out + said.err
    assert "CANARY" not in shown
    assert "environment-canary" not in shown
    for path in workspace.root.rglob("*"):
        if path.is_file():
            assert b"CANARY" not in path.read_bytes(), path
            assert b"environment-canary" not in path.read_bytes(), path


def test_a_fault_of_our_own_is_one_line_and_a_file(burnish, monkeypatch, tmp_path):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def broken(*_, **__):
        raise ZeroDivisionError("by nought " + TOKEN)

    monkeypatch.setattr("burnish.studio.runs.runs", broken)
    said = burnish("runs", "list", "--json")
    assert said.status == 6
    error = document(said.err)["error"]
    assert error["what"].startswith("internal error: ZeroDivisionError: by nought")
    (log,) = tmp_path.glob("burnish-fault-*.log")
    assert "Traceback" in log.read_text()
    assert "CANARY" not in log.read_text() + said.err
    log.unlink()


def test_a_full_disk_here_is_told_as_one_and_takes_no_number(burnish, monkeypatch, recipe, workspace):
    import errno

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("burnish.core.runs.workspace.write_json", full)
    said = burnish("run", recipe)
    assert (said.status, "No space left" in said.err) == (5, True)
    assert list((workspace.runs / "r").iterdir()) == []


def test_ctrl_c_is_for_the_chat_to_hear(burnish, monkeypatch):
    from burnish.studio import exploration

    def chat(*_, **__):
        signal.raise_signal(signal.SIGINT)
        return 3

    monkeypatch.setattr(exploration, "chat", chat)
    before = signal.getsignal(signal.SIGINT)
    assert burnish("chat", "builtin:pocket").status == 3
    assert signal.getsignal(signal.SIGINT) is before


def test_a_resumed_run_shows_no_error_of_its_past(burnish, monkeypatch):
    from burnish.studio import runs

    step = {
        "run": "r/1/make", "state": "succeeded", "seconds": 1.0, "stage": "quick-make", "folder": "f", "inputs": {},
        "settings": {}, "chosen": [{"field": "device", "value": "cpu", "reason": "no GPU"}] * 2, "metrics": {},
        "notes": ["twice"] * 2, "error": {"what": "the run was stopped", "fix": "run it again"}, "path": "p",
        "checks": [], "certificate": None,
    }  # fmt: skip
    monkeypatch.setattr(runs, "show", lambda *_, **__: [step])
    shown = burnish("runs", "show").out
    assert shown.count("twice") == shown.count("device = cpu") == 1
    assert "stopped" not in shown
    step["state"] = "interrupted"
    assert "the run was stopped" in burnish("runs", "show").out


def test_init_says_where_to_go_on(burnish, workspace):
    said = burnish("init", "--folder", "a folder")
    assert re.search(r"^next: cd 'a folder'\nnext: \S*burnish plan first-adapter.yaml$", said.out, re.M)
    assert "cd" not in burnish("init").out
    assert burnish("init").status == 2


def test_a_row_cannot_drive_the_terminal(burnish, workspace):
    burnish("quick-fail", "--how", "print", "--token", '"\\e[2J\\x07 plain"')
    said = burnish("quick-fail", "--how", "print", "--token", '"\\e[2J\\x07 plain2"')
    assert "\x1b" not in said.out
    assert "\x07" not in said.out
    assert "plain2" in said.out


@pytest.mark.parametrize(
    "words", ["runs list", "runs show", "runs show r/1", "runs tail r", "runs diff a b", "runs stop", "runs resume"]
)
@pytest.mark.parametrize("place", ["none", "a-file"])
def test_a_workspace_that_does_not_exist_is_named(burnish, workspace, words, place):
    (workspace.root / "a-file").touch()
    done = burnish("--workspace", workspace.root / place, *words.split())
    assert done.status == 2
    assert (
        f"the workspace {workspace.root / place} {'does not exist' if place == 'none' else 'is not a folder'}"
        in done.err
    )
    assert "check --workspace" in done.err
    assert not (workspace.root / "none").exists()


def test_a_workspace_without_runs_says_so(burnish):
    assert burnish("runs", "list").out == "there are no runs in this workspace; start one: burnish demo\n"
    assert burnish("runs", "list", "--json").out.strip() == "[]"
