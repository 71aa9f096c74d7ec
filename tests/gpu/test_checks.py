"""The checks of `make gpu-check`: on a GPU where there is one, and rehearsed on a CPU in every test run."""

import json
import os
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


def gpu_check(folder, *arguments, **environment):
    root = Path(__file__).parents[2]
    command = [sys.executable, str(root / "benchmarks" / "gpu_check.py"), "--out", str(folder), *arguments]
    given = {**os.environ, "PYTHONPATH": str(root / "src"), "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(command, capture_output=True, text=True, env=given, check=False)


def test_the_report_is_written_and_a_rehearsal_says_that_it_is_one(tmp_path):
    names = ["the_machine_is_described", "masks_of_dropout_are_those_of_a_cpu"]
    ran = gpu_check(tmp_path, "--only", *names, BURNISH_GPU_CHECK_DEVICE="cpu")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    report = json.loads((tmp_path / "gpu-check.json").read_text())
    assert [check["name"] for check in report["checks"]] == names
    assert all(result["passed"] for result in [*report["checks"], *report["benchmark"]])
    assert all(result["found"]["tokens per second"] > 0 for result in report["benchmark"])
    assert "a rehearsal on a CPU" in (tmp_path / "gpu-check.md").read_text()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_nothing_is_checked_and_that_is_said(tmp_path):
    ran = gpu_check(tmp_path)
    assert ran.returncode == 1
    assert "no CUDA device" in ran.stdout
    assert not list(tmp_path.iterdir())
