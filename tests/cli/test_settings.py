"""`burnish settings`: a secret is read from a pipe, kept in `.env`, used by a run's worker, and printed nowhere."""

import json
import os
import subprocess
import sys

from burnish.studio.settings.variables import variables

CANARY = "sk-canary-5b8e2f7a91"


def burnish(workspace, *words, given=""):
    code = "import sys; from burnish.cli.main import entry; sys.argv[0] = 'burnish'; entry()"
    command = [sys.executable, "-c", code, *words, "--workspace", str(workspace.root)]
    environment = {key: value for key, value in os.environ.items() if key not in variables()}
    return subprocess.run(command, input=given, capture_output=True, text=True, check=False, env=environment)


def test_a_key_that_is_set_reaches_the_worker_of_a_run_and_is_printed_nowhere(workspace):
    (workspace.root / "rows.jsonl").write_text('{"messages": [{"role": "user", "content": "a"}]}\n')
    done = burnish(workspace, "settings", "set", "LAB_API_KEY", given=f"{CANARY}\n")
    assert done.returncode == 0, done.stderr
    listed = burnish(workspace, "settings", "list", "--json")
    said = done.stdout + done.stderr + listed.stdout
    one = next(one for one in json.loads(listed.stdout)["variables"] if one["name"] == "LAB_API_KEY")
    assert (one["is_set"], one["value"], one["source"]) == (True, None, "file")
    recipe = workspace.root / "r.yaml"
    endpoint = "{url: 'http://127.0.0.1:9/v1', model: m, api_key_env: LAB_API_KEY, retries: 0, timeout: 1}"
    recipe.write_text(f"name: r\nsteps:\n  g: {{stage: generate, data: 'file:rows.jsonl', endpoint: {endpoint}}}\n")
    ran = burnish(workspace, "run", str(recipe))
    said += ran.stdout + ran.stderr
    assert "127.0.0.1:9" in ran.stderr  # it got past the check of the key, to an endpoint that is not there
    assert "LAB_API_KEY" not in ran.stderr
    assert burnish(workspace, "settings", "unset", "LAB_API_KEY").returncode == 0
    ran = burnish(workspace, "run", str(recipe))
    assert "LAB_API_KEY" in ran.stderr
    assert "is not set" in ran.stderr
    assert CANARY not in said
    files = [path for path in workspace.root.rglob("*") if path.is_file()]
    assert [path for path in files if CANARY.encode() in path.read_bytes()] == []


def test_an_unknown_name_is_an_error_with_the_nearest(workspace):
    done = burnish(workspace, "settings", "set", "HF_TOKEM", CANARY)
    assert done.returncode == 2
    assert "did you mean 'HF_TOKEN'?" in done.stderr
    assert CANARY not in done.stderr
