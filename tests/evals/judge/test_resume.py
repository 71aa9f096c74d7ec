"""A judge as a step of a workspace: after an error it resumes in its folder, and its limit holds over all attempts."""

import json
import subprocess
import sys

import pytest


def burnish_judge(folder, settings):
    """(exit status, JSON) of the command, in a process of its own."""
    (folder / "judge.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "burnish.cli.main", "judge", "judge.json", "--json", "--workspace", str(folder)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout or done.stderr)


def test_a_limit_holds_over_the_attempts_of_a_step_and_a_higher_one_resumes(server, says, answers, tmp_path):
    says({"quality": 3})
    server.usage = lambda request: {"prompt_tokens": 100, "completion_tokens": 10}
    endpoint = {"url": server.url, "model": "judge", "max_tokens": 20, "price": {"input": 10.0, "output": 10.0}}
    settings = {
        "answers": f"file:{answers(40)}",
        "criteria": [{"name": "quality", "description": "How good it is.", "scale": "1-5"}],
    }
    for _ in range(2):  # the second attempt has nothing left
        status, said = burnish_judge(tmp_path, {**settings, "judge": {**endpoint, "max_cost": 0.03}})
        assert (status, said["error"]["code"]) == (6, "run.call-limit")
        assert 0 < len(server.charged) * 110 * 10e-6 <= 0.03
    (chosen,) = tmp_path.rglob("formats.json")
    chosen.write_text("{")  # damaged: the choice is made again, from the cache
    status, said = burnish_judge(tmp_path, {**settings, "judge": {**endpoint, "max_cost": 1.0}})
    assert status == 0
    assert len(server.seen) == 40
    metrics = said["steps"]["judge"]["metrics"]
    assert metrics["cost"] == pytest.approx(40 * 110 * 10e-6)
    assert metrics["requests"] == 40
