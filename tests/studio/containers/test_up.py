"""`up`, `down`, `bash` and `logs`: which commands of compose they run, in which order, and what they keep."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from burnish.core.errors import AskError, BurnishError
from burnish.core.recipes.recipe import recipe_of
from burnish.studio.containers import bash, down, logs, up
from burnish.studio.containers.chain import chain
from burnish.studio.containers.project import PROFILES, SERVICES
from burnish.studio.containers.served import newest_promoted
from burnish.studio.findings import check_workspace
from burnish.studio.registry import promote, register
from burnish.studio.runs import runs

TUNE = {"stage": "sft", "base": "builtin:pocket", "data": "step:rows", "max_steps": 2, "prove": "off"}
ROWS = {"stage": "synthesize", "generator": {"rows": 20}}


@pytest.fixture
def recipe(workspace, monkeypatch):
    """A recipe with a training, in the workspace, which is the current folder."""
    monkeypatch.chdir(workspace.root)
    path = workspace.root / "r.yaml"
    path.write_text(json.dumps({"name": "r", "steps": {"rows": ROWS, "tune": TUNE}}))
    return "r.yaml"


def verbs(docker):
    """The commands that started something, without those that only ask."""
    return [call["words"][1:] for call in docker.calls("compose build", "compose up", "compose run", "compose down")]


def record(workspace, number=1):
    return json.loads((workspace.runs / "up" / str(number) / "up.json").read_text())


def test_a_training_runs_to_its_end_in_its_workspace(docker, workspace, recipe):
    docker.answer("compose run", out="trained\n")
    said = []
    result = up(["train"], recipe=recipe, workspace=workspace.root, say=said.append)
    assert (result.status, result.failed, result.addresses) == (0, None, {})
    assert verbs(docker) == [["build", "train"], ["run", "--rm", "--no-TTY", "train", "run", "r.yaml"]]
    given = docker.calls("compose run")[0]["environment"]
    assert given["BURNISH_OUTPUTS"] == str(workspace.root)
    assert given["BURNISH_DATA"] == str(workspace.root / "data")
    assert given["BURNISH_UID"] == str(workspace.root.stat().st_uid)
    assert (workspace.root / "data").is_dir()
    assert f"created {workspace.root / 'data'}, which the containers have as /workspace/data" in said
    assert (result.folder / "02-train.log").read_text() == "trained\n"
    kept = record(workspace)
    assert [(step["name"], step["status"]) for step in kept["commands"]] == [("build-train", 0), ("train", 0)]
    assert kept["why"].startswith("there is no NVIDIA driver")


def test_stages_follow_a_training_each_on_the_result_before_it(docker, workspace, recipe):
    result = up(["train"], recipe=recipe, then=["merge", "gguf"], workspace=workspace.root)
    assert verbs(docker)[2:] == [
        ["run", "--rm", "--no-TTY", "train", "merge", "--model", "r.tune@latest"],
        ["run", "--rm", "--no-TTY", "train", "gguf", "--model", "merge.merge@latest"],
    ]
    assert result.status == 0


@pytest.mark.parametrize(("fails", "status", "skipped"), [("run r.yaml", 6, ["merge", "gguf"]), ("merge", 4, ["gguf"])])
def test_a_stage_that_fails_ends_the_chain_with_its_status(docker, workspace, recipe, fails, status, skipped):
    docker.answer(f"compose run --rm --no-TTY train {fails}", status=status, err="error: no\n", out="")
    result = up(["train"], recipe=recipe, then=["merge", "gguf"], workspace=workspace.root)
    assert (result.status, result.skipped) == (status, skipped)
    assert result.failed == fails.partition(" ")[0].replace("run", "train")
    assert record(workspace)["commands"][-1]["status"] == status
    assert "error: no" in next(result.folder.glob(f"*-{result.failed}.log")).read_text()


def test_a_chain_that_cannot_work_starts_nothing(docker, workspace, recipe):
    def refused(*then, **options):
        with pytest.raises(AskError) as caught:
            up(["train"], recipe=recipe, then=then, workspace=workspace.root, **options)
        return caught.value.what

    assert "unknown stage 'mrge'" in refused("mrge")
    assert "merge is twice" in refused("merge", "merge")
    assert "serve runs until it is stopped" in refused("serve", "merge")
    assert "'merge' does not take a gguf, which 'gguf' gives" in refused("gguf", "merge")
    assert "the end of --then is what is served" in _both(workspace, recipe)
    assert "the end of --then is what is served" in refused("merge", "serve", model="a@1")
    assert "--then has no effect here" in _refused(["tensorboard"], workspace, then=["merge"])
    assert "'none'" in refused("merge", step="none")
    assert verbs(docker) == []


def _both(workspace, recipe):
    return _refused(["train", "serve"], workspace, recipe=recipe, then=["merge", "serve"])


def _refused(profiles, workspace, **options):
    with pytest.raises(AskError) as caught:
        up(profiles, workspace=workspace.root, **options)
    return caught.value.what


def test_a_quantizer_runs_in_its_own_image(docker, workspace, recipe):
    up(["train"], recipe=recipe, then=["merge", "quantize", "serve"], workspace=workspace.root, dry_run=True)
    links = chain(recipe_of(json.loads((workspace.root / recipe).read_text())), ["merge", "quantize", "serve"])
    words = ("quantize", "--model", "merge.merge@latest", "--environment", "/opt/quantize/bin/python")
    assert [(link.service, link.words) for link in links[1:]] == [("quantize", words), ("serve", ())]
    assert links[-1].ref == "quantize.quantize@latest"


def test_a_model_is_quantized_alone_with_settings(docker, workspace, monkeypatch):
    up(["quantize"], model="a.b@3", settings=["method=awq", "samples=8"], workspace=workspace.root)
    job = ["quantize", "--model", "a.b@3", "--environment", "/opt/quantize/bin/python"]
    assert verbs(docker)[0] == ["build", "quantize"]
    assert verbs(docker)[1][4:] == [*job, "--set", "method=awq", "--set", "samples=8"]
    with pytest.raises(BurnishError, match="methd"):
        up(["quantize"], model="a.b@3", settings=["methd=awq"], workspace=workspace.root)
    assert "do not start together" in _refused(["quantize", "serve"], workspace, model="a.b@3")
    assert "do not start together" in _refused(["quantize", "train"], workspace, model="a.b@3")


def test_settings_and_options_are_for_their_profile(docker, workspace, recipe):
    up(["train"], recipe=recipe, settings=["tune.max_steps=3"], workspace=workspace.root)
    assert verbs(docker)[-1][-4:] == ["run", "r.yaml", "--set", "tune.max_steps=3"]
    for options in ({"settings": ["a=b"]}, {"recipe": recipe}, {"step": "tune"}, {"model": "a@1"}):
        assert "has no effect here" in _refused(["tensorboard"], workspace, **options)
    with pytest.raises(BurnishError, match="max_stepz"):
        up(["train"], recipe=recipe, settings=["tune.max_stepz=3"], workspace=workspace.root)


def test_full_training_gives_a_model_which_is_not_merged():
    steps = {"rows": ROWS, "tune": {**TUNE, "method": {"kind": "full"}}}
    with pytest.raises(AskError, match="'merge' does not take a model, which 'tune' gives"):
        chain(recipe_of({"name": "r", "steps": steps}), ["merge"])
    assert chain(recipe_of({"name": "r", "steps": steps}), ["gguf", "serve"])[1].ref == "gguf.gguf@latest"


def test_the_training_step_is_named_where_there_are_several():
    steps = {"rows": ROWS, "one": TUNE, "two": {**TUNE, "max_steps": 3}}
    recipe = recipe_of({"name": "r", "steps": steps})
    with pytest.raises(AskError) as caught:
        chain(recipe, ["merge"])
    assert "has 2 training steps (one, two)" in caught.value.what
    assert chain(recipe, ["merge"], "two")[0].words == ("merge", "--model", "r.two@latest")


def test_files_outside_of_the_workspace_are_refused_before_anything_starts(docker, workspace, recipe, tmp_path):
    (tmp_path / "elsewhere.yaml").write_text((workspace.root / recipe).read_text())
    assert "is outside of the workspace" in _refused(["train"], workspace, recipe=str(tmp_path / "elsewhere.yaml"))
    rows = {"stage": "prepare", "source": f"file:{tmp_path}/rows.jsonl"}
    (workspace.root / recipe).write_text(json.dumps({"name": "r", "steps": {"rows": rows, "tune": TUNE}}))
    assert "which is all that containers see" in _refused(["train"], workspace, recipe=recipe)
    rows["source"] = f"file:{workspace.root}/rows.jsonl"
    (workspace.root / recipe).write_text(json.dumps({"name": "r", "steps": {"rows": rows, "tune": TUNE}}))
    with pytest.raises(AskError, match="is not at that path in the containers") as caught:
        up(["train"], recipe=recipe, workspace=workspace.root)
    assert caught.value.fix == "write it relative to the workspace: file:rows.jsonl"
    assert verbs(docker) == []


def test_servers_start_detached_and_are_waited_for(docker, workspace):
    result = up(["webui", "tensorboard"], model="builtin:pocket", workspace=workspace.root)
    assert verbs(docker)[-1] == ["up", "--detach", "--wait", "--wait-timeout", "1800", "serve", "webui", "tensorboard"]
    assert set(result.addresses) == {"serve", "webui", "tensorboard"}
    assert all(address.startswith("http://127.0.0.1:") for address in result.addresses.values())
    assert docker.calls("compose up")[0]["environment"]["BURNISH_MODEL"] == "builtin:pocket"
    assert (result.folder / "serve.log").read_text() == "2026-11-22T13:00:00Z hello\n"


def test_a_server_that_does_not_start_is_an_error_with_its_log(docker, workspace):
    docker.answer("compose up", status=1, err="container burnish-serve-1 is unhealthy\n")
    with pytest.raises(BurnishError) as caught:
        up(["serve"], model="builtin:pocket", workspace=workspace.root)
    assert caught.value.code == "machine.container-failed"
    assert str(workspace.runs / "up" / "1" / "serve.log") in caught.value.fix
    assert "is unhealthy" in (workspace.runs / "up" / "1" / "02-servers.log").read_text()


def test_a_build_that_fails_is_an_error_and_nothing_is_started(docker, workspace, recipe):
    docker.answer("compose build", status=17, err="failed to solve\n")
    with pytest.raises(BurnishError, match="docker compose ended with status 17"):
        up(["train"], recipe=recipe, workspace=workspace.root)
    assert verbs(docker) == [["build", "train"]]


@pytest.mark.parametrize("name", ["ui", "trian", "vllm"])
def test_an_unknown_profile_is_refused(docker, workspace, name):
    assert f"there is no profile '{name}'" in _refused([name], workspace)
    assert "no profile is named" in _refused([], workspace)


def test_a_port_of_other_machines_needs_a_key(docker, workspace, monkeypatch):
    monkeypatch.setenv("BURNISH_BIND", "0.0.0.0")
    assert "opens the ports to other machines" in _refused(["serve"], workspace, model="builtin:pocket")
    monkeypatch.setenv("BURNISH_API_KEY", "a-key-that-is-long")
    assert up(["serve"], model="builtin:pocket", workspace=workspace.root).status == 0
    assert "a-key-that-is-long" not in json.dumps(record(workspace))


def test_a_key_does_not_open_what_asks_for_none(docker, workspace, monkeypatch):
    monkeypatch.setenv("BURNISH_BIND", "0.0.0.0")
    result = up(["logs", "tensorboard"], workspace=workspace.root)  # they stay on this machine
    assert all(address.startswith("http://127.0.0.1:") for address in result.addresses.values())
    monkeypatch.setenv("BURNISH_API_KEY", "a-key-that-is-long")
    monkeypatch.setenv("WEBUI_AUTH", "False")
    assert "WEBUI_AUTH=False lets everybody in" in _refused(["webui"], workspace, model="builtin:pocket")


def test_each_workspace_has_containers_of_its_own(docker, workspace, tmp_path, monkeypatch):
    other = tmp_path / "other"
    (other / ".burnish").mkdir(parents=True)
    for root in (workspace.root, workspace.root, other):
        assert up(["serve"], model="builtin:pocket", workspace=root).status == 0
    assert down(workspace=other) == 0
    started = [call["all"] for call in docker.calls("compose up", "compose down")]
    names = [words[words.index("--project-name") + 1] for words in started]
    assert names[0] == names[1] != names[2] == names[3]
    assert all(name.startswith("burnish-") for name in names)
    assert docker.calls("compose up")[2]["environment"]["COMPOSE_PROJECT_NAME"] == names[2]
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", "mine")
    assert down(workspace=other) == 0
    last = docker.calls("compose down")[-1]["all"]
    assert last[last.index("--project-name") + 1] == "mine"


def test_variables_of_the_shell_come_before_the_file_and_the_file_before_the_choice(docker, workspace, monkeypatch):
    (workspace.root / ".env").write_text(
        'export SERVE_PORT=1\nBURNISH_OUTPUTS="my-volume" # mine\nBURNISH_UID=7 # me\n'
    )
    result = up(["tensorboard"], workspace=workspace.root)
    call = docker.calls("compose up")[0]
    assert "--env-file" in call["all"]
    assert not {"BURNISH_OUTPUTS", "BURNISH_UID"} & set(call["environment"])
    assert "BURNISH_GID" in call["environment"]
    assert not (workspace.root / "data").exists()
    assert result.addresses["tensorboard"].rpartition(":")[2] != "1"


def test_further_arguments_go_to_the_last_command(docker, workspace, recipe):
    up(["train"], recipe=recipe, arguments=["--name", "mine"], workspace=workspace.root)
    assert verbs(docker)[-1][:4] == ["run", "--name", "mine", "--rm"]
    up(["tensorboard"], arguments=["--force-recreate"], workspace=workspace.root)
    assert verbs(docker)[-1][:3] == ["up", "--force-recreate", "--detach"]


def test_a_dry_run_needs_no_docker_and_starts_nothing(docker, workspace, recipe):
    docker.program.unlink()
    result = up(["train", "logs"], recipe=recipe, then=["merge"], dry_run=True, workspace=workspace.root)
    ends = [command[-3:] for command in result.commands]
    assert ends[-2:] == [["train", "run", "r.yaml"], ["merge", "--model", "r.tune@latest"]]
    assert result.variables["BURNISH_OUTPUTS"] == str(workspace.root)
    assert not workspace.runs.exists()
    assert not (workspace.root / "data").exists()


def test_down_keeps_the_logs_first(docker, workspace):
    up(["tensorboard"], workspace=workspace.root)
    docker.answer("compose logs", out="the end\n")
    assert down(arguments=["--volumes"], workspace=workspace.root) == 0
    kept = workspace.runs / "up" / "1"
    assert {path.stem for path in kept.glob("*.log")} >= set(SERVICES)
    assert (kept / "tensorboard.log").read_text() == "the end\n"
    order = [call["words"][1] for call in docker.calls("compose")][-2:]
    assert order == ["logs", "down"]
    assert verbs(docker)[-1] == ["down", "--volumes"]
    used = docker.calls("compose down")[0]["all"]
    assert [used[i + 1] for i, word in enumerate(used) if word == "--profile"][: len(PROFILES)] == [*PROFILES]


def test_logs_are_printed_and_kept(docker, workspace, capfd):
    up(["tensorboard"], workspace=workspace.root)
    assert logs(["tensorboard"], follow=True, arguments=["--tail", "5"], workspace=workspace.root) == 0
    assert docker.calls("compose logs --follow")[0]["words"][1:] == ["logs", "--follow", "--tail", "5", "tensorboard"]
    assert "hello" in capfd.readouterr().out
    with pytest.raises(AskError, match="there is no service 'tensorbord'"):
        logs(["tensorbord"], workspace=workspace.root)


def test_a_shell_is_in_the_running_container_or_in_a_new_one(docker, workspace):
    assert bash("train", workspace=workspace.root) == 0
    assert docker.calls("compose run")[0]["words"][1:] == ["run", "--rm", "--entrypoint", "bash", "train"]
    docker.answer("compose ps", out="0123\n")
    docker.answer("compose exec", status=3)
    assert bash("serve", workspace=workspace.root) == 3
    assert docker.calls("compose exec")[0]["words"][1:] == ["exec", "serve", "bash"]


def test_a_new_shell_is_for_the_device_of_the_newest_up_or_of_the_machine(docker, workspace, gpu):
    docker.answer("info", out=json.dumps({"OSType": "linux", "Runtimes": {"nvidia": {}}}))
    assert bash("train", workspace=workspace.root) == 0
    assert up(["tensorboard"], device="cpu", workspace=workspace.root).status == 0
    assert bash("train", workspace=workspace.root) == 0
    files = [
        [Path(word).name for word in call["all"] if word.endswith(".yaml")] for call in docker.calls("compose run")
    ]
    assert files == [["compose.yaml", "compose.cuda.yaml"], ["compose.yaml", "compose.cpu.yaml"]]


@pytest.fixture
def pocket(workspace):
    """A model in the workspace."""
    from burnish.core.inputs.references import built_ins

    folder = workspace.root / "models" / "pocket"
    shutil.copytree(built_ins()["pocket"], folder)
    return folder


def test_the_newest_version_in_production_is_served(docker, workspace, pocket, monkeypatch):
    with pytest.raises(AskError, match="has none in production"):
        up(["serve"], workspace=workspace.root)
    for name in ("one", "two"):
        register(f"file:{pocket}", name=name, workspace=workspace.root)
    for name in ("two", "one"):
        promote(f"{name}@1", to="production", because="a test", workspace=workspace.root)
    assert newest_promoted(workspace) == "one@1"
    up(["serve"], workspace=workspace.root)
    assert docker.calls("compose up")[-1]["environment"]["BURNISH_MODEL"] == "one@1"
    monkeypatch.setenv("BURNISH_MODEL", "two@1")
    up(["serve"], workspace=workspace.root)
    assert docker.calls("compose up")[-1]["environment"]["BURNISH_MODEL"] == "two@1"


def test_vllm_gets_the_folder_of_a_whole_model(docker, gpu, workspace, pocket, tmp_path):
    docker.answer("info", out='{"Runtimes": {"nvidia": {}}}')
    up(["serve"], model="file:models/pocket", workspace=workspace.root)
    given = docker.calls("compose up")[-1]["environment"]
    assert given["BURNISH_MODEL_PATH"] == "/workspace/models/pocket"
    assert given["BURNISH_MODEL_NAME"] == "pocket"
    up(["serve"], model=f"hub:owner/name@{'0' * 40}", workspace=workspace.root)
    given = docker.calls("compose up")[-1]["environment"]
    assert (given["BURNISH_MODEL_PATH"], given["BURNISH_MODEL_REVISION"]) == ("owner/name", "0" * 40)
    outside = tmp_path / "outside"
    shutil.copytree(pocket, outside)
    assert "outside of the workspace" in _refused(["serve"], workspace, model=f"file:{outside}")
    (pocket / "adapter_config.json").write_text("{}")
    assert "is of kind adapter, and vLLM gets whole models" in _refused(
        ["serve"], workspace, model="file:models/pocket"
    )


@pytest.mark.torture
def test_a_chain_really_runs_through_the_recipe_machinery(docker, workspace, recipe):
    """The stand-in runs what the containers would: two steps of training, then a merge that is certified."""
    docker.answer("compose run", really=True)
    result = up(["train"], recipe=recipe, then=["merge", "serve"], workspace=workspace.root)
    assert result.status == 0, (result.folder / "02-train.log").read_text()
    assert docker.calls("compose up")[-1]["environment"]["BURNISH_MODEL"] == "merge.merge@latest"
    merged = next(iter(Path(workspace.runs / "merge").glob("1/merge/artifact.json")))
    assert json.loads(merged.read_text())["kind"] == "model"
    assert result.failed is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_reaches_the_container_and_its_status_is_kept(docker, workspace, recipe, number):
    """The stand-in saves for a moment when it is stopped, as a training does, and ends with the status of a stop."""
    docker.answer("compose run", saves=6, seconds=30)
    command = [sys.executable, "-m", "burnish.cli.main", "up", "train", "--recipe", recipe, "--then", "merge"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    log = workspace.runs / "up" / "1" / "02-train.log"
    for _ in range(200):
        if log.exists() and "started" in log.read_text():
            break
        time.sleep(0.1)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.terminate()
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 6, errors
    assert "train ended with status 6; not started: merge" in errors
    assert log.read_text() == "started\nsaved\n"


def test_the_folders_of_up_are_no_runs(docker, workspace):
    up(["tensorboard"], workspace=workspace.root)
    assert runs(workspace=workspace.root) == []
    assert not [found for found in check_workspace(workspace, deep=False) if "runs/up" in found.what + found.subject]
