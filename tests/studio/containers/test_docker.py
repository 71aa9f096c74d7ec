"""What is wrong with docker on a machine is said before anything starts, with the way out."""

import os
import shutil
import socket
import subprocess

import pytest

from burnish.core.errors import BurnishError
from burnish.core.paths.system import Mount, System
from burnish.studio.containers import bash, down, logs, up
from burnish.studio.containers.docker import Docker
from burnish.studio.containers.ports import holder, is_free


def refusal(call):
    with pytest.raises(BurnishError) as caught:
        call()
    return f"{caught.value.code} | {caught.value.what} | {caught.value.fix}"


@pytest.fixture
def start(docker, workspace):
    return lambda *profiles, **options: up(profiles or ("tensorboard",), workspace=workspace.root, **options)


def test_a_machine_without_docker_is_told_to_install_it(docker, start, as_system):
    docker.program.unlink()
    os.environ["PATH"] = str(docker.folder)
    for kind, fix in (
        ("posix", "docs.docker.com"),
        ("wsl", "WSL integration"),
        ("container", "on the machine that runs"),
    ):
        as_system(kind)
        said = refusal(start)
        assert said.startswith("machine.no-docker | docker is not installed")
        assert fix in said


@pytest.mark.parametrize(
    ("command", "answer", "said"),
    [
        ("compose version", {"status": 125, "err": "unknown flag: --short\n\nUsage: docker"}, "has no compose plugin"),
        (
            "compose version",
            {"status": 1, "err": "docker: 'compose' is not a docker command."},
            "has no compose plugin",
        ),
        ("compose version", {"out": "1.29.2\n"}, "docker compose is version 1.29.2, and 2.20 is needed"),
        ("compose version", {"out": "v2.3.4-desktop.1\n"}, "is version v2.3.4-desktop.1, and 2.20 is needed"),
        ("compose version", {"out": ""}, "docker compose is version unknown"),
        (
            "info",
            {"status": 1, "out": "{}", "err": "Cannot connect to the Docker daemon. Is the docker daemon running?"},
            "the docker daemon is not running: Cannot connect",
        ),
        (
            "info",
            {"out": '{"ServerErrors": ["permission denied while trying to connect to the Docker daemon socket"]}'},
            "you have no permission to use docker",
        ),
        ("info", {"out": '{"OSType": "windows"}'}, "docker runs windows containers"),
        (
            "info",
            {"status": 1, "err": "error during connect"},
            "the docker daemon is not running: error during connect",
        ),
    ],
)
def test_a_docker_that_cannot_start_containers_is_named_with_its_own_words(docker, start, command, answer, said):
    docker.answer(command, **answer)
    found = refusal(start)
    assert found.startswith("machine.no-docker | ")
    assert said in found
    assert not docker.calls("compose up", "compose run", "compose build")


def test_every_command_checks_docker_first(docker, workspace):
    docker.answer("info", status=1, err="Cannot connect to the Docker daemon")
    for call in (
        lambda: down(workspace=workspace.root),
        lambda: logs(workspace=workspace.root),
        lambda: bash("serve", workspace=workspace.root),
    ):
        assert "is not running" in refusal(call)


def test_a_docker_that_does_not_answer_is_not_waited_for(docker, start, monkeypatch):
    monkeypatch.setattr("burnish.studio.containers.docker._SECONDS", 1.5)
    docker.answer("info", seconds=60)
    assert " did not answer in 1.5 s" in refusal(start)


def test_a_remote_daemon_that_is_off_is_named(docker, start, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.9:2375")
    docker.answer("info", status=1, err="Cannot connect")
    assert "no docker daemon answers at DOCKER_HOST=tcp://10.0.0.9:2375" in refusal(start)


@pytest.mark.skipif(shutil.which("docker", path="/usr/local/bin:/usr/bin") is None, reason="needs a docker client")
def test_the_real_client_without_a_daemon_or_compose_is_refused(start, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/local/bin:/usr/bin:/bin")
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0:
        pytest.skip("docker works here")
    assert refusal(start).startswith("machine.no-docker | ")


def test_a_busy_port_is_named_with_the_process_that_has_it(docker, start, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not is_free("127.0.0.1", port)
        assert f"process {os.getpid()} (" in holder(port)
        monkeypatch.setenv("TENSORBOARD_PORT", str(port))
        said = refusal(start)
        assert said.startswith(f"machine.port-in-use | port {port}, of the service tensorboard, is in use by process")
        assert said.endswith("stop that program, or set TENSORBOARD_PORT to another port")
        assert not docker.calls("compose up")
        docker.answer("compose ps", out="0123abcd\n")  # the container of an earlier `up` has it
        assert start().status == 0
    assert is_free("127.0.0.1", port)


def test_a_port_that_is_none_is_refused(start, monkeypatch):
    monkeypatch.setenv("TENSORBOARD_PORT", "80a")
    assert "TENSORBOARD_PORT=80a is not a port" in refusal(start)


def test_the_device_is_chosen_by_the_machine_and_said_why(docker, start):
    said = []
    assert start(say=said.append).device == "cpu"
    assert said[0] == "containers use the CPU: there is no NVIDIA driver (no nvidia-smi)"
    assert start(device="cpu").why == "requested"
    assert "machine.no-device | --device cuda: there is no NVIDIA driver" in refusal(lambda: start(device="cuda"))
    assert "write auto, cpu or cuda" in refusal(lambda: start(device="gpu"))


def test_a_gpu_without_the_runtime_of_nvidia_is_not_passed_over(docker, gpu, start):
    said = refusal(start)
    assert said.startswith("machine.no-device | this machine has an NVIDIA GPU (NVIDIA H200), and docker has no NVIDIA")
    assert "nvidia-ctk runtime configure" in said
    assert start(device="cpu").device == "cpu"


@pytest.mark.parametrize(
    "info",
    [
        '{"Runtimes": {"nvidia": {}, "runc": {}}}',
        '{"DiscoveredDevices": [{"Source": "cdi", "ID": "nvidia.com/gpu=all"}]}',
        '{"OperatingSystem": "Docker Desktop"}',
    ],
)
def test_a_gpu_that_docker_can_use_is_used(docker, gpu, start, info):
    docker.answer("info", out=info)
    assert start().device == "cuda"
    assert any(word.endswith("compose.cuda.yaml") for word in docker.calls("compose up")[0]["all"])


def test_a_driver_without_a_gpu_is_no_gpu(docker, gpu, start):
    gpu.write_text("#!/bin/sh\necho 'No devices were found' >&2\nexit 6\n")
    assert start().why == "nvidia-smi finds no GPU: No devices were found"


def test_docker_of_windows_gets_paths_of_windows_and_the_names_of_variables(docker, start, as_system, tmp_path):
    docker.program.rename(docker.folder / "docker.exe")
    as_system("wsl", distribution="Ubuntu", mounts=(Mount("W:", str(tmp_path)),))
    assert start().status == 0
    call = docker.calls("compose up")[0]
    assert call["environment"]["BURNISH_OUTPUTS"].startswith("W:\\")
    assert {"BURNISH_OUTPUTS", "BURNISH_UID"} <= set(call["environment"]["WSLENV"].split(":"))
    assert (
        Docker("docker.exe", True).path(tmp_path / "a", System("wsl", mounts=(Mount("C:", str(tmp_path)),))) == "C:\\a"
    )
