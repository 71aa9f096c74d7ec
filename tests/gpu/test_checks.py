"""The checks of `make gpu-check`: on a GPU where there is one, and rehearsed on a CPU in every test run."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gpu_checks import CHECKS, Place


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("check", CHECKS)
def test_on_the_gpu(check, tmp_path):
    CHECKS[check](Place(torch.device("cuda"), folder=tmp_path))


@pytest.mark.parametrize("check", CHECKS)
def test_rehearsed_on_a_cpu(check, tmp_path):
    assert CHECKS[check](Place(torch.device("cpu"), is_rehearsal=True, folder=tmp_path))


ROOT = Path(__file__).parents[2]
SCRIPT = str(ROOT / "benchmarks" / "gpu_check.py")


@pytest.fixture
def one_thread():
    """A forked process hangs in OpenMP where the parent has used threads and it does so too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a fork cannot use a GPU that its parent used")
def test_the_report_is_written_and_a_rehearsal_says_that_it_is_one(tmp_path, monkeypatch, one_thread, capfd):
    """In this process, which has imported torch: the script forks a process for each check."""
    names = ["the_machine_is_described", "masks_of_dropout_are_those_of_a_cpu"]
    monkeypatch.setenv("BURNISH_GPU_CHECK_DEVICE", "cpu")
    monkeypatch.setenv("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    monkeypatch.setattr(sys, "argv", [SCRIPT, "--out", str(tmp_path), "--only", *names])
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(SCRIPT, run_name="__main__")
    assert ended.value.code == 0, capfd.readouterr()
    report = json.loads((tmp_path / "gpu-check.json").read_text())
    assert [check["name"] for check in report["checks"]] == names
    assert all(result["passed"] for result in [*report["checks"], *report["benchmark"]])
    assert all(result["found"]["tokens per second"] > 0 for result in report["benchmark"])
    assert "a rehearsal on a CPU" in (tmp_path / "gpu-check.md").read_text()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_nothing_is_checked_and_that_is_said(tmp_path):
    command = [sys.executable, SCRIPT, "--out", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert ran.returncode == 1
    assert "no CUDA device" in ran.stdout
    assert not list(tmp_path.iterdir())
