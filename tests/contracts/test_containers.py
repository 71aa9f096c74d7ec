"""Dockerfile, compose files and scripts: linters of the field, and each path, port and variable against the code."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import jsonschema
import pytest
import yaml

from burnish.core.catalog import stages
from burnish.specs.base import Takes, marks_of
from burnish.specs.ship.serve import ServeSpec
from burnish.specs.ship.server import ServerSpec
from burnish.studio.containers import chain, project, served
from burnish.studio.containers.chain import QUANTIZER
from burnish.studio.planning import shipped_recipes

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in sorted(DOCKER.glob("compose*.yaml"))}
COMPOSE = {name: yaml.safe_load(text) for name, text in TEXTS.items()}
DEVICES = ("cpu", "cuda")
PORT = ServerSpec.model_fields["port"].default
OURS = ("train", "quantize", "serve")
"""The targets of the Dockerfile that become images."""
SOURCES = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))


def program(name):
    """A program of the development environment."""
    return str(Path(sys.executable).with_name(name))


def ran(*words, **options):
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def services(device):
    """The services of a device, with what compose.DEVICE.yaml adds to compose.yaml."""
    found = {name: dict(service) for name, service in COMPOSE["compose.yaml"]["services"].items()}
    for name, service in COMPOSE[f"compose.{device}.yaml"]["services"].items():
        found.setdefault(name, {}).update(service)
    return found


def default(text):
    """A value of compose with its defaults."""
    return re.sub(r"\$\{\w+(?::?-([^}]*))?\}", lambda found: found[1] or "", text)


def test_the_dockerfile_passes_hadolint():
    ran(program("hadolint"), "--failure-threshold", "style", DOCKER / "Dockerfile")


def test_hadolint_finds_what_is_wrong(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM python\nRUN cd /x\n")
    done = subprocess.run([program("hadolint"), tmp_path / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode
    assert "DL3006" in done.stdout


def schema():
    package = Path(find_spec("check_jsonschema").origin).parent
    return json.loads((package / "builtin_schemas" / "vendor" / "compose-spec.json").read_text())


@pytest.mark.parametrize("name", TEXTS)
def test_compose_files_fit_the_schema_of_compose(name):
    jsonschema.validate(COMPOSE[name], schema())


def test_the_schema_finds_what_is_wrong():
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"services": {"a": {"image": "x", "prots": []}}}, schema())


@pytest.mark.parametrize("device", DEVICES)
def test_compose_reads_the_files_together(device, tmp_path):
    """By podman-compose; by docker compose too, where there is one."""
    files = ["--file", DOCKER / "compose.yaml", "--file", DOCKER / f"compose.{device}.yaml"]
    profiles = [word for name in project.PROFILES for word in ("--profile", name)]
    podman = tmp_path / "podman"  # its version is all that is asked of it
    podman.write_text("#!/bin/sh\necho podman version 5.4.0\n")
    podman.chmod(0o755)
    readers = [[program("podman-compose"), "--podman-path", podman]]
    docker = shutil.which("docker")
    if docker and subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0:
        readers.append([docker, "compose"])
    for reader in readers:
        found = yaml.safe_load(ran(*reader, *files, *profiles, "config", cwd=tmp_path))
        assert set(found["services"]) == set(services(device)) == set(project.SERVICES)


def test_every_variable_is_explained_and_has_the_default_of_the_files():
    used = {}
    for text in TEXTS.values():
        for name, value in re.findall(r"\$\{(\w+)(?::-([^}]*))?\}", text):
            used.setdefault(name, set()).add(value)
    explained, comment = {}, False
    for line in (DOCKER / ".env.example").read_text(encoding="utf-8").splitlines():
        found = re.fullmatch(r"#(\w+)=(.*)", line)
        if found:
            assert comment, f"{line} has no explanation above it"
            explained[found[1]] = found[2]
        comment = bool(line.startswith("# ") or (found and comment))
    assert set(explained) == set(used)
    examples = {"BURNISH_MODEL"}  # its default is chosen, and the line shows the form
    for name, values in used.items():
        assert name in examples or {explained[name]} == values - {"none"} or values == {explained[name]}, name


def test_every_variable_that_burnish_sets_is_one_of_the_files():
    code = "".join(path.read_text() for path in Path(project.__file__).parent.glob("*.py"))
    chosen = set(re.findall(r"choose\(\s*\"(\w+)\"|chosen\[\"(\w+)\"\]", code))
    names = {name for pair in chosen for name in pair if name} | set(re.findall(r"\"(BURNISH_\w+)\":", code))
    assert names
    assert {*names, *(name for name, _ in project.PORTS.values())} <= set(
        re.findall(r"\$\{(\w+)", "".join(TEXTS.values()))
    )


OF_OTHERS = {
    "HF_TOKEN": "huggingface-hub",
    "HF_ENDPOINT": "huggingface-hub",
    "BURNISH_MODEL": "docker/serve.sh",
    "BURNISH_API_KEY": "docker/serve.sh names it to burnish serve",
    "NVIDIA_VISIBLE_DEVICES": "the NVIDIA runtime",
    "NVIDIA_DRIVER_CAPABILITIES": "the NVIDIA runtime",
    "PATH": "the system",
    "HOME": "the system",
    "PIP_DISABLE_PIP_VERSION_CHECK": "pip",
    "PIP_NO_CACHE_DIR": "pip",
    "PIP_PROGRESS_BAR": "pip",
    "PYTHONUNBUFFERED": "Python",
}


@pytest.mark.parametrize("device", DEVICES)
def test_a_variable_of_our_images_is_read_by_the_code(device):
    given = set(re.findall(r"^(?:ENV|   ) +([A-Z_]+)=", DOCKERFILE, re.M))
    for service in services(device).values():
        if service["image"].startswith("${BURNISH_IMAGE"):
            given |= set(service.get("environment", {}))
    read = {name for name in given if f'"{name}"' in SOURCES}
    assert {"BURNISH_WORKSPACE", "HF_HOME", "HF_HUB_OFFLINE"} <= read
    assert given - read - set(OF_OTHERS) == set()


@pytest.mark.parametrize("device", DEVICES)
def test_ports_are_those_of_the_code(device):
    found = services(device)
    inside = {"serve": PORT, "webui": 8080, "logs": 8080, "tensorboard": 6006}
    for name, (variable, published) in project.PORTS.items():
        is_open = name not in project.WITHOUT_KEY
        address = f"${{BURNISH_BIND:-{project.LOOPBACK}}}" if is_open else project.LOOPBACK
        assert found[name]["ports"] == [f"{address}:${{{variable}:-{published}}}:{inside[name]}"]
    assert not any(service.get("ports") for name, service in found.items() if name not in project.PORTS)
    assert found["webui"]["environment"]["OPENAI_API_BASE_URL"] == f"http://serve:{PORT}/v1"
    if device == "cuda":
        command = found["serve"]["command"]
        assert command[command.index("--port") + 1] == str(PORT)
        assert f"127.0.0.1:{PORT}/health" in found["serve"]["healthcheck"]["test"][-1]
    assert f"EXPOSE {PORT}\n" in DOCKERFILE
    assert f"127.0.0.1:{PORT}/ready" in DOCKERFILE


@pytest.mark.parametrize("device", DEVICES)
def test_answers_under_way_have_time_to_finish(device):
    grace = services(device)["serve"]["stop_grace_period"]
    assert int(grace.removesuffix("s")) > ServerSpec.model_fields["drain_seconds"].default


def test_profiles_are_those_of_the_command():
    for device in DEVICES:
        found = services(device)
        assert set(found) == set(project.SERVICES)
        for name, service in found.items():
            starts = {profile for profile, started in project.STARTS.items() if name in started}
            assert set(service["profiles"]) == {name} | starts


def test_commands_are_those_of_burnish():
    words = services("cpu")["train"]["command"]
    assert words[0] == "run"
    assert default(words[1]) in shipped_recipes()
    for service, at in (("quantize", 0), ("serve", None)):
        row = stages()[service]
        given = services("cpu")[service].get("command") if at == 0 else (DOCKER / "serve.sh").read_text().split()
        flags = {word[2:].replace("-", "_") for word in given if word.startswith("--")}
        assert flags <= set(row.spec_type().model_fields), service


@pytest.mark.parametrize("device", DEVICES)
def test_our_services_are_built_for_their_device_and_have_their_own_tag(device):
    tags = set()
    for name, service in services(device).items():
        if not service["image"].startswith("${BURNISH_IMAGE"):
            assert "build" not in service
            assert re.search(r":\$\{\w+_TAG:-v[\d.]+\}$", service["image"]), "a pinned tag"
            continue
        build = {**COMPOSE["compose.yaml"]["services"].get(name, {}).get("build", {}), **service["build"]}
        assert build["args"] == {"DEVICE": device}
        assert (DOCKER / default(build["context"]) / build["dockerfile"]).resolve() == (DOCKER / "Dockerfile")
        assert build["target"] in OURS
        assert f"{build['target']}:" in default(service["image"])
        tags.add(default(service["image"]).endswith("-cuda"))
    assert tags == {device == "cuda"}


def test_kinds_that_are_served_are_those_of_the_stage():
    mark = next(mark for mark in marks_of(ServeSpec.model_fields["model"]) if isinstance(mark, Takes))
    assert set(served.KINDS) == set(mark.kinds)


def test_the_quantizer_is_where_the_code_looks_for_it():
    named = set(re.findall(r"/opt/quantize[\w/.]*", SOURCES))
    assert named == {QUANTIZER}
    folder = str(Path(QUANTIZER).parents[1])
    assert f"python -m venv {folder} " in DOCKERFILE
    assert f"COPY --from=quantize-packages {folder} {folder}" in DOCKERFILE
    assert QUANTIZER in services("cpu")["quantize"]["command"]


def last_stages():
    """Target → the instructions of its stage and of those that it starts from, newest first."""
    blocks = re.split(r"^FROM ", DOCKERFILE, flags=re.M)[1:]
    found = {}
    for block in blocks:
        base, name = re.match(r"(\S+) AS (\S+)", block).groups()
        found[name] = block + found.get(base, "")
    return found


def test_images_are_pinned_run_as_a_user_and_say_what_they_are():
    stages_ = last_stages()
    assert set(OURS) <= set(stages_)
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)[0] == "python:3.12.12-slim-bookworm"
    outside = [base for base in re.findall(r"^FROM (\S+)", DOCKERFILE, re.M) if base not in stages_]
    assert all(re.search(r":\d+\.\d+\.\d+", base) for base in outside)
    for name in OURS:
        text = stages_[name]
        assert re.search(r"^USER 1000:1000$", text, re.M)
        assert re.search(r"^STOPSIGNAL SIGTERM$", text, re.M)
        assert re.search(r"^HEALTHCHECK ", text, re.M)
        assert re.search(r'^ENTRYPOINT \["tini", "--"', text, re.M)
        for label in ("title", "description", "source", "licenses"):
            assert f"org.opencontainers.image.{label}=" in text
        for line in re.findall(r"^COPY .*", text, re.M):
            assert line.startswith("COPY --") or "/opt/" in line or "./" in line
    installs = re.findall(r"pip install[^\n]*", DOCKERFILE)
    assert installs
    assert all("--only-binary :all:" in line for line in installs)
    assert all("--constraint" in line or "--no-deps" in line for line in installs)
    assert not re.search(r"(?i)^(?:ARG|ENV).*(?:token|secret|password|_key)", DOCKERFILE, re.M)


EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def extras_of(target):
    """The extras that are installed in an image, those that they name included."""
    stages_ = last_stages()
    packages = re.search(r"COPY --from=(\S+) /opt/burnish ", stages_[target])[1]
    waiting, found = re.search(r"burnish\[([\w,]+)\]", stages_[packages])[1].split(","), set()
    while waiting:
        extra = waiting.pop()
        found.add(extra)
        waiting += [name for line in EXTRAS[extra] for name in re.findall(r"^burnish\[(.*)\]", line)]
    return found


SERVED_STAGES = {"serve": "serve", "quantize": "quantize"}
"""Stages with an image of their own; `train` runs recipes, which have all others, and `quantize` too."""
RUN = [(target, name) for name, target in SERVED_STAGES.items()]
RUN += [("train", name) for name in stages() if name != "serve"]


@pytest.mark.parametrize(("target", "name"), RUN)
def test_the_extras_of_an_image_cover_the_stages_that_it_runs(target, name):
    assert stages()[name].extra in extras_of(target)


@pytest.mark.parametrize("target", OURS)
def test_every_image_loads_the_models_that_quantize_writes(target):
    """To train on them, to evaluate them, to certify them, to serve them."""
    assert "quantize" in extras_of(target)


def test_the_stages_of_a_chain_run_in_an_image_that_is_tested_here():
    assert {name: SERVED_STAGES[name] for name in chain._OWN_IMAGE} == chain._OWN_IMAGE


def ignored():
    """Whether .dockerignore keeps a path out: the last pattern that fits decides."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]

    def is_ignored(path):
        result = False
        for rule in rules:
            pattern = rule.removeprefix("!")
            fits = any(part.match(pattern.removeprefix("**/")) for part in (path, *path.parents) if part.parts)
            if pattern == "*" or (
                fits if pattern.startswith("**/") else (path == Path(pattern) or Path(pattern) in path.parents)
            ):
                result = not rule.startswith("!")
        return result

    return is_ignored


def test_the_context_has_what_is_copied_and_little_else():
    is_ignored = ignored()
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    tracked = [Path(name) for name in listed.split("\0") if name and (ROOT / name).is_file()]
    sent = [path for path in tracked if not is_ignored(path)]
    for line in re.findall(r"^COPY (?!--from)(.*)", DOCKERFILE, re.M):
        *names, _ = [word for word in line.split() if not word.startswith("--")]
        for name in names:
            assert any(path == Path(name) or Path(name) in path.parents for path in sent), name
    assert sum((ROOT / path).stat().st_size for path in sent) < 20 << 20
    for path in (
        "runs/a",
        ".venv/bin/python",
        ".git/config",
        "docker/.env",
        ".env",
        "src/a/__pycache__/b.pyc",
        "tests/a.py",
    ):
        assert is_ignored(Path(path)), path


@pytest.mark.parametrize("device", DEVICES)
def test_volumes_are_declared_and_their_folders_are_in_the_images(device):
    folders = re.search(r"install --directory --mode 1777 ([^\\]*)", DOCKERFILE)[1].split()
    for name, service in services(device).items():
        for volume in service.get("volumes", ()):
            source, target = re.match(r"(.*):(/[^:]*)(?::ro)?$", default(volume)).groups()
            assert source.startswith("/var/run/") or source in COMPOSE["compose.yaml"]["volumes"]
            if service["image"].startswith("${BURNISH_IMAGE"):
                assert target in folders, name
