"""`up`, `down`, `bash` and `logs` on the command line, with a stand-in for docker that succeeds or fails."""

import json
import re
import shlex
import sys
from pathlib import Path

import pytest

STAND_IN = f"""#!{sys.executable}
import json, os, sys
from pathlib import Path
words = sys.argv[1:]
if words[:2] == ["compose", "version"]:
    print("2.39.1")
elif words[0] == "info":
    print(json.dumps({{"OSType": "linux"}}))
else:
    while words[0] == "compose" or words[0].startswith("--"):
        del words[: 1 if words[0] == "compose" else 2]
    if words[0] in ("logs", "ps"):
        sys.exit(0)
    with Path(__file__).with_name("calls").open("a") as file:
        print(*words, file=file)
    print("said")
    sys.exit(int(os.environ.get("STAND_IN_STATUS", "0")))
"""


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """What compose was called with."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "docker").write_text(STAND_IN)
    (folder / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("TENSORBOARD_PORT", "29117")
    return lambda: (folder / "calls").read_text().splitlines() if (folder / "calls").exists() else []


def test_words_after_two_dashes_go_to_compose(burnish, calls):
    said = burnish("up", "tensorboard", "--device", "cpu", "--", "--force-recreate", "--json")
    assert said.status == 0, said.err
    assert calls()[-1].endswith("up --force-recreate --json --detach --wait --wait-timeout 1800 tensorboard")
    assert "tensorboard: http://127.0.0.1:29117" in said.out
    assert burnish("down", "--", "--volumes").status == 0
    assert calls()[-1].endswith("down --volumes")
    assert burnish("bash", "train", "--", "--no-deps").status == 0
    assert calls()[-1].endswith("run --rm --entrypoint bash --no-deps train")
    assert burnish("logs", "train").status == 0


def test_json_is_alone_on_standard_output(burnish, calls):
    said = burnish("up", "tensorboard", "--device", "cpu", "--json")
    assert json.loads(said.out)["addresses"] == {"tensorboard": "http://127.0.0.1:29117"}
    assert "said" in said.err
    assert "said" in burnish("up", "tensorboard", "--device", "cpu").out


def test_the_status_of_a_stage_is_that_of_the_command(burnish, calls, monkeypatch):
    monkeypatch.setenv("STAND_IN_STATUS", "4")
    monkeypatch.setenv("BURNISH_IMAGE", "registry.example/burnish")
    said = burnish("up", "train", "--recipe", "first-adapter", "--then", "merge", "--device", "cpu")
    assert said.status == 4
    assert "train ended with status 4; not started: merge" in said.err
    assert burnish("down").status == 4


def test_a_dry_run_prints_commands_that_can_be_pasted(burnish):
    said = burnish("up", "train", "--recipe", "first-adapter", "--then", "merge", "--dry-run", "--device", "cpu")
    assert said.status == 0, said.err
    lines = said.out.splitlines()
    assert lines[0] == "# cpu: requested"
    assert any(line.startswith("export BURNISH_OUTPUTS=") for line in lines)
    assert lines[-1].endswith("--no-TTY train merge --model first-adapter.tune@latest")
    found = json.loads(burnish("up", "logs", "--dry-run", "--json", "--device", "cpu").out)
    assert found["commands"][0][-6:] == ["up", "--detach", "--wait", "--wait-timeout", "1800", "logs"]


GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "containers.md"
COMMANDS = re.findall(r"^burnish (.+)$", "\n".join(re.findall(r"```\n(.*?)```", GUIDE.read_text(), re.S)), re.M)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_guide_works(burnish, calls, workspace, command):
    tune = {"stage": "sft", "base": "builtin:pocket", "data": "step:rows"}
    steps = {"rows": {"stage": "synthesize", "generator": {"rows": 20}}, "tune": tune}
    (workspace.root / "recipe.yaml").write_text(json.dumps({"name": "r", "steps": steps}))
    words = shlex.split(command)
    dry = ["--dry-run", "--device", "cpu"] if words[0] == "up" and "--dry-run" not in words else []
    said = burnish(*words, *dry)
    if {"serve", "support@production"} <= {*words}:  # nothing is promoted here: refused before an image is built
        assert (said.status, said.err.splitlines()[0]) == (2, "error: there is no artifact 'support@production'")
        return
    assert said.status == 0, said.err


def test_an_error_has_its_status_and_hint(burnish):
    said = burnish("up", "ui")
    assert said.status == 2
    assert "there is no profile 'ui'" in said.err
    assert burnish("up").status == 2
