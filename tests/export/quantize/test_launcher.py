"""The launcher's job: what it refuses before anything is loaded. What it does is tested with the stage."""

import json
import subprocess
import sys

import pytest

from burnish.export.quantize.job import LAUNCHER, Job

JOB = {
    "model": "m",
    "out": "o",
    "report": "r",
    "samples": "s",
    "method": "gptq",
    "scheme": "W4A16",
    "group_size": 128,
    "ignore": ["lm_head"],
    "settings": {"damping": 0.01},
    "seed": 0,
    "threads": 1,
}


def launched(*arguments):
    return subprocess.run(
        [sys.executable, "-I", "-S", LAUNCHER, *arguments], capture_output=True, text=True, check=False
    )


def test_it_takes_one_file():
    ended = launched()
    assert ended.returncode == 2
    assert "usage: python launcher.py job.json" in ended.stderr


@pytest.mark.parametrize(
    ("change", "what"),
    [
        *(({name: None}, f"has no '{name}'") for name in JOB),
        ({"threads": "one"}, "'threads' is 'one'"),
        ({"seed": True}, "'seed' is True"),
        ({"method": "magic"}, "unknown method 'magic'"),
        ({"settings": {"smoothing": 1}}, "'smoothing' is no setting of gptq"),
        ({"method": "rtn", "settings": {}}, "samples do not fit the method rtn"),
        ({"more": 1}, "unknown key 'more'"),
    ],
    ids=str,
)
def test_a_job_that_is_not_complete_is_refused_by_name(change, what, tmp_path):
    job = {name: value for name, value in {**JOB, **change}.items() if value is not None}
    (tmp_path / "job.json").write_text(json.dumps(job))
    ended = launched(tmp_path / "job.json")
    assert ended.returncode == 2
    assert what in ended.stderr


@pytest.mark.parametrize(
    ("text", "what"), [("[]", "is not a JSON object"), ("{", "cannot be read"), (None, "cannot be read")]
)
def test_a_file_that_is_no_job_is_refused(text, what, tmp_path):
    if text is not None:
        (tmp_path / "job.json").write_text(text)
    ended = launched(tmp_path / "job.json")
    assert ended.returncode == 2
    assert what in ended.stderr


def test_a_written_job_is_one_that_it_takes(tmp_path):
    path = tmp_path / "job.json"
    Job(tmp_path, tmp_path, tmp_path / "report.json", None, "rtn", "FP8_DYNAMIC", None, ["lm_head"]).write(path)
    ended = launched(path)
    assert ended.returncode == 1
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["error"]["type"] == "ModuleNotFoundError"
    assert [phase["name"] for phase in report["phases"]] == ["import"]
    assert report["peak_memory_bytes"] > 0
