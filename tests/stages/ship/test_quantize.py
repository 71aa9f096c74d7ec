"""The quantize stage, with stand-ins for llm-compressor: what it hands over, and how its failures end."""

import json
import os
import sys
from pathlib import Path

import pytest
import torch

import burnish
from burnish.core.errors import BurnishError
from burnish.core.events import Chosen, Note, Progress
from burnish.export.quantize.container import Container
from burnish.export.quantize.environment import Installing, environment
from burnish.specs.ship import QuantizeSpec
from burnish.stages.ship.quantize import run
from burnish.testing import temporary_context
from certified import copy_of, edit_json, make_adapter, make_base
from quantizer_stand_in import ends, make_wheels, use_wheels, waited_for

POCKET = Path(burnish.__file__).parent / "builtin" / "pocket"


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The Python of an environment of stand-ins."""
    folder = tmp_path_factory.mktemp("environment")
    with pytest.MonkeyPatch.context() as patch:
        constraints = make_wheels(folder / "wheels")
        use_wheels(patch, folder / "wheels", folder)
        return environment(Installing(folder / "log", lambda event: None), constraints, (("llmcompressor",),))


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    turns = [[{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": "a" * n}] for n in range(1, 41)]
    path.write_text("".join(json.dumps({"messages": messages}) + "\n" for messages in turns))
    return path


def quantized(folder, model, python, rows=None, stopping=lambda: False, **settings):
    inputs = {"model": model} | ({} if rows is None else {"data": rows})
    ctx, events = temporary_context(folder, inputs, stopping)
    given = {"model": "file:x", "environment": str(python), "threads": 1, **settings}
    spec = QuantizeSpec(**given, **({} if rows is None else {"data": "file:y"}))
    return run(spec, ctx), ctx, events


def metadata(folder):
    return json.loads((folder / "metadata.json").read_text())


def test_a_model_is_quantized_and_certified_with_our_tokens(base, rows, python, tmp_path):
    outcome, ctx, events = quantized(tmp_path, base, python, rows, samples=8, max_length=40)
    assert outcome.kind == "model"
    assert outcome.certificate["holds"]
    assert outcome.certificate["change"] == "GPTQ"
    names = {path.name for path in ctx.out.iterdir()}
    assert names >= {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja", "metadata.json"}
    assert [event.value for event in events if isinstance(event, Chosen)] == [32]
    found = metadata(ctx.out)
    assert found["state"] == "succeeded"
    assert found["exit_status"] == 0
    assert found["command"][0] == str(python)
    assert found["versions"]["llmcompressor"] == "0.14.0"
    assert [phase["name"] for phase in found["phases"]] == ["import", "load", "quantize", "save", "done"]
    assert found["settings"] == {"method": "gptq", "scheme": "W4A16", "group_size": 32}
    assert outcome.measures["samples"] == 8
    assert f"8 samples, {outcome.measures['calibration_tokens']} tokens" in "\n".join(found["log"])
    assert [event.done for event in events if isinstance(event, Progress) and event.phase == "quantize"] == [1, 2]


def test_the_draw_of_samples_depends_on_the_seed(base, rows, python, tmp_path):
    found = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        _, ctx, _ = quantized(tmp_path / name, base, python, rows, samples=8, seed=seed, certify=False)
        found.append(json.loads((ctx.scratch / "quantize" / "samples.json").read_text()))
    assert found[0] == found[1] != found[2]
    assert all(len(ids) == 8 for ids in found)


def test_an_adapter_is_merged_first(base, python, tmp_path):
    adapter = make_adapter(base, tmp_path / "adapter")
    outcome, ctx, _ = quantized(tmp_path, adapter, python, method="rtn")
    assert outcome.certificate["holds"]
    assert outcome.certificate["change"] == "FP8"
    assert (ctx.out / "model.safetensors").read_bytes() != (base / "model.safetensors").read_bytes()


def test_nf4_needs_no_environment(tmp_path):
    ctx, _ = temporary_context(tmp_path, {"model": POCKET})
    outcome = run(QuantizeSpec(model="file:x", method="nf4", threads=1), ctx)
    assert outcome.certificate["holds"]
    assert outcome.certificate["change"] == "NF4"
    assert outcome.measures["bytes"] < 0.45 * outcome.measures["bytes_before"]
    found = metadata(ctx.out)
    assert found["state"] == "succeeded"
    assert "bitsandbytes" in found["versions"]


@pytest.mark.parametrize(
    ("fault", "code", "what"),
    [
        ("fail", "run.failed", "ValueError: this layer cannot be quantized"),
        ("memory", "machine.no-memory", "cannot hold the Hessian"),
        ("disk", "machine.no-disk", "the disk is full"),
        ("kill", "run.killed", "was killed"),
        ("load", "model.unsupported", "ValueError: the family is too new"),
        ("exit", "run.failed", "failed with status 0"),
        ("half", "run.failed", "failed with status 3"),
    ],
)
def test_a_failure_names_its_cause_and_leaves_metadata(fault, code, what, base, python, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_STAND_IN", fault)
    with pytest.raises(BurnishError, match=what) as error:
        quantized(tmp_path, base, python, method="rtn")
    assert error.value.code == code
    found = metadata(tmp_path / "scratch")
    assert found["state"] == "failed"
    assert found["error"]["code"] == code
    assert found["exit_status"] == {"kill": -9, "exit": 0, "half": 3}.get(fault, 1)
    assert found["versions"]["llmcompressor"] == "0.14.0"
    assert found["log"]
    assert not (tmp_path / "out" / "metadata.json").exists()


@pytest.mark.parametrize("how", ["stop", "timeout"])
def test_a_stop_and_a_limit_end_every_process(how, base, python, tmp_path, monkeypatch):
    pids = tmp_path / "pids"
    monkeypatch.setenv("TORCH_STAND_IN", "hang")
    monkeypatch.setenv("TORCH_STAND_IN_PIDS", str(pids))
    more = {"stopping": pids.is_file} if how == "stop" else {"timeout": 3.0}
    with pytest.raises(BurnishError) as error:
        quantized(tmp_path, base, python, method="rtn", **more)
    assert error.value.code == {"stop": "run.interrupted", "timeout": "run.failed"}[how]
    assert metadata(tmp_path / "scratch")["cause"] == {"stop": "stopped", "timeout": "timeout"}[how]
    assert all(ends(int(pid)) for pid in waited_for(pids).split())


def test_an_environment_that_cannot_be_made_leaves_metadata(base, tmp_path, monkeypatch):
    use_wheels(monkeypatch, tmp_path / "none", tmp_path / "cache")
    with pytest.raises(BurnishError, match="torch could not be installed") as error:
        quantized(tmp_path, base, "auto", method="rtn")
    assert error.value.code == "machine.no-package"
    found = metadata(tmp_path / "scratch")
    assert "install" in found["command"]
    assert found["exit_status"] == 1
    assert "torch==2.13.0" in "\n".join(found["log"])
    assert [path.suffix for path in (tmp_path / "cache" / "environments").iterdir()] == [".lock"]


@pytest.mark.parametrize(("method", "package"), [("rtn", "compressed_tensors"), ("nf4", "bitsandbytes")])
def test_a_missing_package_that_loads_the_result_is_reported_before_the_quantizer_starts(
    method, package, base, python, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, package, None)
    given = {"environment": str(python)} if method == "rtn" else {}
    ctx, _ = temporary_context(tmp_path, {"model": base})
    with pytest.raises(BurnishError) as error:
        run(QuantizeSpec(model="file:x", method=method, **given), ctx)
    assert error.value.code == "machine.no-package"
    assert package.replace("_", "-") in error.value.what
    assert "burnish[" in error.value.fix
    assert not list(ctx.scratch.rglob("*.log"))
    assert not list(ctx.out.iterdir())


def test_without_a_certificate_nothing_here_loads_the_result(base, python, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "compressed_tensors", None)
    outcome, _, _ = quantized(tmp_path, base, python, method="rtn", certify=False)
    assert outcome.kind == "model"


def test_a_python_without_llm_compressor_is_refused(base, tmp_path):
    with pytest.raises(BurnishError, match="/nowhere does not start"):
        quantized(tmp_path, base, "/nowhere", method="rtn")
    assert metadata(tmp_path / "scratch")["state"] == "failed"


DOCKER = """#!{python}
import json, pathlib, subprocess, sys
words = sys.argv[1:]
(pathlib.Path(__file__).parent / "said").open("a").write(json.dumps(words) + "\\n")
if words[0] == "image":
    sys.exit(words[2] != "burnish-quantize:local")
if words[0] == "run":
    mounts = [words[n + 1].split(":") for n, word in enumerate(words) if word == "--volume"]
    host = {{mount[1]: mount[0] for mount in mounts}}
    job = pathlib.Path(host["/job"], "job.json")
    text = job.read_text()
    for inside in ("/model", "/out", "/job"):
        text = text.replace('"' + inside, '"' + host[inside])
    job.write_text(text)
    at = words.index("--entrypoint")
    assert words[at + 1 :][:3] == ["/opt/quantize/bin/python", "burnish-quantize:local", "-I"]
    assert words[-2:] == ["/launcher.py", "/job/job.json"]
    sys.exit(subprocess.run([{stand_in!r}, "-I", host["/launcher.py"], str(job)]).returncode)
"""


def test_the_container_runs_the_same_command(base, python, tmp_path, monkeypatch):
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(DOCKER.format(python=sys.executable, stand_in=str(python)))
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{docker.parent}:{os.environ['PATH']}")
    links = tmp_path / "links"
    links.mkdir()
    for path in base.iterdir():
        (links / path.name).symlink_to(path)
    outcome, ctx, _ = quantized(tmp_path, links, "container", method="rtn")
    assert outcome.certificate["holds"]
    said = [json.loads(line) for line in (docker.parent / "said").read_text().splitlines()]
    assert [words[0] for words in said] == ["image", "rm", "run", "rm"]
    assert said[2][5:7] == ["--network", "none"]
    name = said[2][said[2].index("--name") + 1]
    assert said[1] == said[3] == ["rm", "--force", name]
    assert Container.for_job(False, ctx.scratch / "quantize").name == name, "a resumed step finds what was left"
    assert Container.for_job(False, tmp_path / "other").name != name
    assert metadata(ctx.out)["command"][:2] == ["docker", "run"]
    monkeypatch.setenv("BURNISH_TAG", "absent")
    with pytest.raises(BurnishError, match="docker has no image burnish-quantize:absent"):
        quantized(tmp_path / "other", base, "container", method="rtn")


def test_a_container_needs_docker(base, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BurnishError, match="needs docker, which is not on the PATH"):
        quantized(tmp_path, base, "container", method="rtn")
    assert metadata(tmp_path / "scratch")["state"] == "failed"


def test_a_method_that_calibrates_needs_data(base, python, tmp_path):
    with pytest.raises(BurnishError, match="names no data of its training") as error:
        quantized(tmp_path, base, python, method="awq")
    assert error.value.code == "ask.missing-key"


def test_a_quantized_model_is_not_quantized_again(base, python, tmp_path):
    copy = copy_of(base, tmp_path / "copy")
    edit_json(copy / "config.json", lambda config: config.update(quantization_config={"quant_method": "gptq"}))
    with pytest.raises(BurnishError, match="is quantized already"):
        quantized(tmp_path, copy, python, method="rtn")


def test_experts_are_refused_where_the_environment_cannot_take_them_apart(tmp_path, python):
    base = make_base(tmp_path / "base", "qwen3_moe", moe_intermediate_size=64)
    with pytest.raises(BurnishError, match="needs torchvision to take experts apart"):
        quantized(tmp_path, base, "auto", method="rtn")
    _, _, events = quantized(tmp_path, base, python, method="rtn", certify=False)
    assert any("routers are not quantized" in event.text for event in events if isinstance(event, Note))


def test_layers_that_no_group_fits_are_named(tmp_path, rows, python):
    odd = make_base(tmp_path / "odd", intermediate_size=72)
    with pytest.raises(BurnishError, match=r"'model.layers.0.mlp.down_proj' has 72 columns"):
        quantized(tmp_path, odd, python, rows)
    outcome, _, _ = quantized(tmp_path, odd, python, rows, ignore=["re:.*down_proj"])
    assert outcome.measures["layers"] == 12
    with pytest.raises(BurnishError, match=r"no linear layer of .* is 'down'"):
        quantized(tmp_path, odd, python, rows, ignore=["down"])


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"method": "awq", "scheme": "W8A8"}, "method: awq writes W4A16_ASYM, W4A16, not W8A8"),
        ({"method": "awq", "damping": 0.1}, "damping has no effect with method: awq"),
        ({"method": "rtn", "samples": 3}, "samples has no effect with method: rtn"),
        ({"method": "smoothquant", "group_size": 64}, "group_size is of 4-bit schemes, not of W8A8"),
        ({"method": "nf4", "environment": "x"}, "environment has no effect with method: nf4"),
    ],
)
def test_settings_that_have_no_effect_are_refused(settings, what):
    with pytest.raises(ValueError, match=what):
        QuantizeSpec(model="file:x", **settings)


def test_a_pattern_that_cannot_be_read_is_refused_with_the_settings():
    with pytest.raises(ValueError, match=r"'re:\(' is no regular expression: missing \)"):
        QuantizeSpec(model="file:x", ignore=["re:("])
    assert QuantizeSpec(model="file:x", ignore=["re:.*down", "a(b"]).ignore
