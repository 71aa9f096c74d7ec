"""Runs the launcher in the `quantize` container: the same command, with the folders of the job mounted.

/model   the model, read-only          /job      the job, the samples, the report
/out     the folder of the result      /launcher.py
"""

import hashlib
import os
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from burnish.core.errors import MachineError
from burnish.export.quantize.job import LAUNCHER, OFFLINE, Job

_PYTHON = "/opt/quantize/bin/python"
_SECONDS = 60.0
OF_DOCKER = (
    *("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"),
    *("DOCKER_API_VERSION", "SSH_AUTH_SOCK", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME"),
)
"""Variables that docker's client reads."""


@dataclass(frozen=True)
class Container:
    """The image, and the name of the container that one job runs in."""

    image: str
    name: str
    uses_gpu: bool

    @classmethod
    def for_job(cls, uses_gpu: bool, folder: Path) -> "Container":
        """A container of the image that `docker/` builds: `BURNISH_IMAGE` and `BURNISH_TAG` name another.

        Its name is that of every start of the job in `folder`; one that a killed process left running is removed.
        Errors: MachineError `machine.no-package` without docker, or without the image.
        """
        image, tag = os.environ.get("BURNISH_IMAGE") or "burnish", os.environ.get("BURNISH_TAG") or "local"
        name = f"burnish-{hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:12]}"
        found = cls(f"{image}-quantize:{tag}{'-cuda' if uses_gpu else ''}", name, uses_gpu)
        if shutil.which("docker") is None:
            what = "environment: container needs docker, which is not on the PATH"
            raise MachineError("machine.no-package", what, "install it, or remove the setting environment")
        asked = _docker("image", "inspect", found.image)
        if asked.returncode != 0:
            said = next(iter(asked.stderr.strip().splitlines()), "no message")
            what = f"docker has no image {found.image}: {said}"
            fix = "build the image from the folder docker/ (profile quantize), or remove the setting environment"
            raise MachineError("machine.no-package", what, fix)
        found.remove()
        return found

    def command(self, job: Job, folder: Path) -> list[str]:
        """The command for the job that `folder` holds, as `inside` writes it."""
        mounts = {f"{_real(job.model, folder)}": "/model:ro", f"{job.out}": "/out", f"{folder}": "/job"}
        mounts[str(LAUNCHER)] = "/launcher.py:ro"
        values = {**OFFLINE, "OMP_NUM_THREADS": str(job.threads), "HOME": "/tmp"}
        return [
            *("docker", "run", "--rm", "--init", "--name", self.name, "--network", "none"),
            *("--user", f"{os.getuid()}:{os.getgid()}", "--workdir", "/job"),
            *(["--gpus", "all"] if self.uses_gpu else []),
            *(word for host, inside in mounts.items() for word in ("--volume", f"{Path(host).resolve()}:{inside}")),
            *(word for name, value in values.items() for word in ("--env", f"{name}={value}")),
            *("--entrypoint", _PYTHON, self.image, "-I", "/launcher.py", "/job/job.json"),
        ]

    def remove(self) -> None:
        """End the container, if it still runs: it does not end with docker's client."""
        with suppress(OSError, subprocess.TimeoutExpired):
            _docker("rm", "--force", self.name)


def inside(job: Job) -> Job:
    """The job with the paths that the container has."""
    samples = None if job.samples is None else Path("/job") / job.samples.name
    return Job(
        **{
            **vars(job),
            "model": Path("/model"),
            "out": Path("/out"),
            "report": Path("/job") / job.report.name,
            "samples": samples,
        }
    )


def _real(model: Path, folder: Path) -> Path:
    """The folder of the model, or one of hard links where it holds symbolic ones, as a hub's cache does."""
    files = [path for path in model.iterdir() if path.is_file()]
    if not any(path.is_symlink() for path in files):
        return model
    linked = folder / "model"
    linked.mkdir(exist_ok=True)
    for path in files:
        target = linked / path.name
        target.unlink(missing_ok=True)
        try:
            os.link(path.resolve(), target)
        except OSError:
            shutil.copyfile(path, target)
    return linked


def _docker(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["docker", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SECONDS, check=False
    )
