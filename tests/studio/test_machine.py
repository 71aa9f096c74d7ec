"""env and doctor: what this machine is, and what is wrong with it or with a run."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys

import pytest

import burnish
from burnish.core.errors import RunError
from burnish.core.files import write_json
from burnish.studio import machine


def levels(findings):
    return {finding.subject: finding.level for finding in findings}


@pytest.fixture
def quick_devices(monkeypatch):
    """Asking torch takes seconds; one test does it for real."""
    monkeypatch.setattr(machine, "_devices", lambda: {"names": ["cpu (2 threads)"]})


def test_env_tells_versions_devices_paths_and_endpoints(workspace):
    found = burnish.env(workspace=workspace.root)
    assert found["burnish"] == burnish.__version__
    assert found["packages"]["pydantic"]
    assert found["devices"]["names"][0].startswith("cpu (")
    assert found["paths"]["workspace"] == str(workspace.root)
    assert found["paths"]["python"] == sys.executable
    assert found["machine"]["cores"] >= 1
    assert "HF_ENDPOINT" in found["environment"]


def test_env_shows_no_secret(workspace, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "canary-1")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:canary-2@proxy:3128")
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror?token=canary-3")
    found = burnish.env(devices=False, workspace=workspace.root)
    assert found["environment"]["HF_TOKEN"] is True
    assert "proxy:3128" in found["environment"]["HTTPS_PROXY"]
    assert "canary" not in str(found)


def test_a_sound_machine_has_no_problem(workspace, quick_devices):
    found = burnish.doctor(workspace=workspace.root)
    assert "problem" not in {finding.level for finding in found if finding.subject != "disk"}
    assert levels(found)["workspace"] == "ok"


def test_a_missing_package_is_a_problem_with_the_command_that_mends_it(workspace, quick_devices, monkeypatch):
    monkeypatch.setattr(machine, "_PACKAGES", (*machine._PACKAGES, "a-package-that-nobody-has"))
    (found,) = (finding for finding in burnish.doctor(workspace=workspace.root) if finding.subject == "packages")
    assert found.level == "problem"
    assert "a-package-that-nobody-has" in found.what
    assert found.fix.startswith("pip install")


def test_a_broken_torch_is_a_problem_told_in_its_own_words(workspace, monkeypatch, tmp_path):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise ImportError('libtorch.so: cannot open shared object')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (found,) = (finding for finding in burnish.doctor(workspace=workspace.root) if finding.subject == "torch")
    assert found.level == "problem"
    assert "libtorch.so" in found.what
    assert "pip install" in found.fix


def test_doctor_says_why_texts_are_cleaned_without_kernels(workspace, monkeypatch):
    monkeypatch.setenv("BURNISH_KERNELS", "numpy")
    (found,) = (finding for finding in burnish.doctor(workspace=workspace.root) if finding.subject == "kernels")
    assert found.level == "warning"
    assert found.fix == "unset it"


def test_too_many_threads_are_warned_of(workspace, quick_devices, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1000")
    assert levels(burnish.doctor(workspace=workspace.root))["threads"] == "warning"


def test_a_full_disk_and_little_memory_are_told(workspace, quick_devices, monkeypatch):
    monkeypatch.setattr(machine, "_MIN_FREE", 10**18)
    monkeypatch.setattr(machine, "_memory_bytes", lambda: 10**9)
    found = levels(burnish.doctor(workspace=workspace.root))
    assert (found["disk"], found["memory"]) == ("problem", "warning")


def test_a_workspace_that_cannot_be_written_is_a_problem(workspace, quick_devices, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert levels(burnish.doctor(workspace=workspace.root))["workspace"] == "problem"


def test_a_failed_run_is_explained_with_its_fix_and_the_last_words_of_its_log(
    quick_stages, workspace, quick_devices, monkeypatch
):
    monkeypatch.setenv("CANARY", "hf_" + "CANARY" * 6)
    with pytest.raises(RunError):
        burnish.run_stage("quick-fail", how="value", token="CANARY", workspace=workspace.root)
    found = burnish.doctor("latest", workspace=workspace.root)
    assert found[0].level == "problem"
    assert "ValueError: no good" in found[0].what
    assert "run.failed" in found[0].what
    assert found[0].fix
    assert "ValueError" in found[1].what
    assert "CANARYCANARY" not in str(found)
    assert levels(burnish.doctor(workspace=workspace.root))["run quick-fail/1/quick-fail"] == "warning"


def test_a_killed_run_is_told_with_the_way_on(quick_stages, workspace, in_background, until, quick_devices):
    thread, _ = in_background({"name": "r", "steps": {"s": {"stage": "quick-slow", "release": "never"}}})
    until(lambda: any(any(run.scratch.glob("*/1")) for run in workspace.all_runs()))
    os.kill(workspace.all_runs()[0].record["pid"], signal.SIGKILL)
    thread.join()
    (found, *_) = burnish.doctor("r", workspace=workspace.root)
    assert found.level == "problem"
    assert "SIGKILL" in found.what
    assert "run the same command again" in found.fix


def test_a_run_whose_output_was_removed_is_a_problem(recipe, workspace):
    result = burnish.run(recipe, workspace=workspace.root)
    assert [finding.level for finding in burnish.doctor("r", workspace=workspace.root)] == ["ok", "ok"]
    shutil.rmtree(result["make"].path)
    assert burnish.doctor("r/1/make", workspace=workspace.root)[0].level == "problem"


def test_a_deep_look_finds_what_size_and_times_hide(recipe, workspace, quick_devices):
    made = burnish.run(recipe, workspace=workspace.root)["make"].path / "words.txt"
    made.write_text("HI\n")
    record, status = workspace.root / "runs/r/1/make/artifact.json", made.stat()
    content = json.loads(record.read_text())
    content["files"]["words.txt"] |= {"mtime_ns": status.st_mtime_ns, "ctime_ns": status.st_ctime_ns}
    write_json(record, content)
    assert levels(burnish.doctor(workspace=workspace.root))["artifacts"] == "ok"
    for name in (None, "r/1/make"):
        found = burnish.doctor(name, deep=True, workspace=workspace.root)
        (damaged,) = (finding for finding in found if finding.subject == "artifact r/1/make")
        assert damaged.level == "problem"
        assert "words.txt has changed" in damaged.what
        assert damaged.fix.startswith("burnish runs resume r/1 ")


def test_the_repair_that_doctor_names_repairs(recipe, workspace, quick_devices):
    made = burnish.run(recipe, workspace=workspace.root)["make"].path
    (made / "words.txt").write_text("more words\n")
    (found,) = burnish.doctor("r/1/make", workspace=workspace.root)
    assert found.level == "problem"
    again = burnish.resume("r/1", workspace=workspace.root)
    assert again["make"].action == "run"
    assert [finding.level for finding in burnish.doctor("latest", workspace=workspace.root)] == ["ok", "ok"]


def test_artifacts_of_an_older_burnish_are_named_as_unchecked(recipe, workspace, quick_devices):
    run = burnish.run(recipe, workspace=workspace.root)["make"].run
    record = run.record_of("artifact.json")
    del record["files"]
    write_json(run.folder / "artifact.json", record)
    assert burnish.doctor("r/1/make", workspace=workspace.root)[0].level == "warning"
    (_, found) = (one for one in burnish.doctor(workspace=workspace.root) if one.subject == "artifacts")
    warning = next(one for one in burnish.doctor(workspace=workspace.root) if one.level == "warning")
    assert "r/1/make" in warning.what
    assert found.level == "ok"


def test_a_lost_record_is_named(recipe, workspace, quick_devices):
    result = burnish.run(recipe, workspace=workspace.root)
    (result["make"].run.folder / "artifact.json").unlink()
    (result["join"].run.folder / "run.json").unlink()
    found = [one.what for one in burnish.doctor(workspace=workspace.root) if one.level == "problem"]
    assert any("make/artifact.json is missing" in what for what in found)
    assert any("join/run.json is missing" in what for what in found)


def test_run_folders_are_for_their_owner_alone(recipe, workspace):
    run = burnish.run(recipe, workspace=workspace.root)["make"].run
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (run.folder.parent, run.folder)}
    assert set(modes.values()) == {0o700}
    assert stat.S_IMODE((run.folder / "job.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((run.folder.parent / "plan.json").stat().st_mode) == 0o600


def test_env_says_what_came_from_the_env_file(workspace):
    (workspace.root / ".env").write_text("LAB_API_KEY=canary-4\nHF_HOME=/of/the/file\nOTHER=1\n")
    code = "import sys; from burnish.cli.main import entry; sys.argv[0] = 'burnish'; entry()"
    command = [sys.executable, "-c", code, "env", "--json", "--workspace", str(workspace.root)]
    environment = {key: value for key, value in os.environ.items() if key not in ("HF_HOME", "HF_HUB_CACHE")}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found = json.loads(done.stdout)
    assert found["from_env_file"] == ["HF_HOME", "LAB_API_KEY"]
    assert found["environment"]["HF_HOME"] == "/of/the/file"
    assert found["paths"]["hub_cache"] == "/of/the/file/hub"
    assert "canary" not in done.stdout
