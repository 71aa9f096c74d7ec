"""A shape that burnish does not map goes through llama.cpp's converter: here a stand-in with its command line."""

import json
import os
import sys
import time
from pathlib import Path

import pytest
import torch

from burnish.core.errors import AskError, MachineError, ModelError, RunError
from burnish.core.events import Note
from burnish.export.gguf import shapes
from burnish.export.gguf.tensors import planned
from burnish.export.gguf.vocabulary import vocabulary_keys
from burnish.export.gguf.writer import write
from burnish.specs.ship import GgufSpec
from burnish.stages.ship.gguf import run
from burnish.testing import temporary_context
from burnish.tokens.load import load_tokenizer
from certified import make_adapter, make_base

STAND_IN = """
import argparse
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("model", type=Path)
parser.add_argument("--outfile", type=Path)
parser.add_argument("--outtype", choices=["f32", "f16", "bf16", "q8_0", "auto"], default="auto")
given = parser.parse_args()
print("INFO:hf-to-gguf:Loading model:", given.model.name)
"""
COPY = """
import shutil

shutil.copy({!r}, given.outfile)
print("INFO:hf-to-gguf:Model successfully exported to", given.outfile)
"""


@pytest.fixture(autouse=True)
def _without_llama(monkeypatch):
    torch.set_num_threads(1)
    monkeypatch.delitem(shapes.SHAPES, "llama")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("base"), "llama")


@pytest.fixture(scope="module")
def files(base, tmp_path_factory):
    """What a converter writes, and a file of other weights, made here: a process of its own would import torch."""
    right, wrong = (str(tmp_path_factory.mktemp("files") / f"{name}.gguf") for name in ("right", "wrong"))
    plan, weights = planned(base)
    keys = vocabulary_keys(load_tokenizer(base), plan.keys[f"{plan.architecture}.vocab_size"], [2])
    write(Path(right), plan, weights, keys, "F16")
    write(Path(wrong), plan, {name: weights[name] * 1.5 for name in weights}, keys, "F16")
    return right, wrong


@pytest.fixture
def converted(base, tmp_path):
    """Run the stage with a script after the stand-in's command line; the context, the events and the outcome."""

    def converted(body, model=base, is_stopping=lambda: False, **settings):
        script = tmp_path / "convert_hf_to_gguf.py"
        script.write_text(STAND_IN + body)
        inputs = {"model": model, "converter": script}
        ctx, events = temporary_context(tmp_path / "run", inputs, is_stopping)
        given = {"type": "F16", "name": "x", "threads": 1, "prove_strings": 200, "converter": "file:c", **settings}
        return ctx, events, lambda: run(GgufSpec(model="file:x", **given), ctx)

    return converted


def test_its_file_is_proved_and_certified_and_its_log_kept(converted, files):
    ctx, events, go = converted(COPY.format(files[0]))
    outcome = go()
    assert outcome.certificate["holds"]
    assert outcome.certificate["change"] == "F16"
    assert {path.name for path in ctx.out.iterdir()} == {"x-F16.gguf", "gguf.json", "Modelfile", "converter.log"}
    record = json.loads((ctx.out / "gguf.json").read_text())
    assert record["converter"]["status"] == 0
    assert record["converter"]["command"][:2] == ["python", "convert_hf_to_gguf.py"]
    assert record["converter"]["command"][-2:] == ["--outtype", "f16"]
    assert record["tokenizer"]["strings"] == 200
    assert "Model successfully exported" in (ctx.out / "converter.log").read_text()
    assert any("no mapping of the family llama" in event.text for event in events if isinstance(event, Note))


def test_a_file_of_other_weights_is_not_kept(converted, files):
    _, _, go = converted(COPY.format(files[1]))
    with pytest.raises(RunError) as caught:
        go()
    assert caught.value.code == "run.certificate-failed"


FAULTS = {
    "ended with status 3: INFO.*no such model": ("raise SystemExit(print('no such model') or 3)", RunError),
    "wrote no file: INFO": ("", RunError),
    "lacks a package: .*No module named 'lacking'": ("import lacking", MachineError),
    "ended with status": ("given.outfile.write_bytes(b'half'); import os; os.kill(os.getpid(), 9)", RunError),
}


@pytest.mark.parametrize("why", FAULTS)
def test_a_converter_that_fails_leaves_its_log_and_no_file(converted, why):
    body, kind = FAULTS[why]
    ctx, _, go = converted(body)
    with pytest.raises(kind, match=f"(?s){why}"):
        go()
    assert not list(ctx.out.iterdir())
    assert "Loading model" in (ctx.scratch / "converter.log").read_text() or "os.kill" in body


def test_a_stop_ends_the_converter(converted):
    began = time.monotonic()
    _, _, go = converted("import time; time.sleep(60)", is_stopping=lambda: time.monotonic() - began > 1)
    with pytest.raises(RunError, match=r"stopped while llama.cpp's converter ran"):
        go()
    assert time.monotonic() - began < 30


def test_without_a_converter_the_fix_names_it(base, tmp_path):
    ctx, _ = temporary_context(tmp_path, {"model": base})
    with pytest.raises(ModelError, match="no mapping of the family llama") as caught:
        run(GgufSpec(model="file:x", type="F16", threads=1), ctx)
    assert "set converter: file:" in caught.value.fix


def test_what_the_converter_cannot_do_is_refused(converted, base, tmp_path):
    for settings, why in (
        ({"type": "Q4_K_M"}, "converter writes no Q4_K_M"),
        ({"model": make_adapter(base, tmp_path / "adapter")}, "takes whole models"),
    ):
        _, _, go = converted("", **settings)
        with pytest.raises(AskError, match=why):
            go()


def test_a_converter_is_not_used_where_burnish_maps_the_family(converted, tmp_path):
    ctx, events, go = converted("raise SystemExit(1)", model=make_base(tmp_path / "qwen", "qwen3"), certify=False)
    go()
    assert any("is not used: burnish writes qwen3 itself" in event.text for event in events if isinstance(event, Note))
    assert (ctx.out / "x-F16.gguf").is_file()
