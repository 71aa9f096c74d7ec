"""What the server is made of: adapters that vLLM gets or not, and the fingerprint of what answers."""

import asyncio
import shutil

import pytest

from burnish.core.context import Input
from burnish.core.errors import ModelError
from burnish.core.events import Note
from burnish.core.inputs.checks import write_base_record
from burnish.models.quantization.record import Quantization, write_quantization
from burnish.specs.ship import ServeSpec
from burnish.stages.ship.served import adapter_folder, open_served, served_fingerprint
from burnish.testing import input_at, temporary_context
from certified import edit_json, make_adapter, make_base


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("base"))


def notes(events):
    return " | ".join(event.text for event in events if isinstance(event, Note))


@pytest.mark.parametrize("place", ["model", "adapters.other"])
def test_an_adapter_that_vllm_does_not_load_is_refused_before_it_is_started(place, base, tmp_path):
    adapter = make_adapter(base, tmp_path / "adapter")
    edit_json(adapter / "adapter_config.json", lambda config: config.update(rank_pattern={"q_proj": 600}))
    named = {"model": f"file:{adapter}"}
    inputs = {"model": input_at(adapter)}
    if place != "model":
        named = {"model": f"file:{base}", "adapters": {"other": f"file:{adapter}"}}
        inputs = {"model": input_at(base), place: input_at(adapter)}
    ctx, _ = temporary_context(tmp_path / "run", inputs)
    with pytest.raises(ModelError, match="vLLM does not load adapters of a rank above 512"):
        asyncio.run(open_served(ServeSpec(engine="vllm", **named), ctx))


@pytest.fixture(scope="module")
def adapters(base, tmp_path_factory):
    """Two folders of adapters of the base."""
    folder = tmp_path_factory.mktemp("adapters")
    return make_adapter(base, folder / "under"), make_adapter(base, folder / "over", seed=1)


@pytest.mark.parametrize("place", ["model", "adapters.other"])
@pytest.mark.parametrize("is_of_burnish", [True, False])
def test_vllm_does_not_serve_an_adapter_on_an_adapter_without_the_one_between(
    place, is_of_burnish, base, adapters, tmp_path
):
    under, over = (shutil.copytree(one, tmp_path / one.name) for one in adapters)
    lower = Input("a.under@1", "adapter", under, inputs={"base": input_at(base)})
    source = Input("a.over@1", "adapter", over, inputs={"base": lower} if is_of_burnish else {})
    if not is_of_burnish:
        edit_json(over / "adapter_config.json", lambda config: config.update(base_model_name_or_path=str(under)))
    inputs, named = {"model": source}, {"model": source.ref}
    if place != "model":
        inputs, named = {"model": input_at(base), place: source}, {"model": "file:b", "adapters": {"other": source.ref}}
    ctx, _ = temporary_context(tmp_path / "run", inputs)
    with pytest.raises(ModelError, match=r"vLLM does not load an adapter on an adapter, as a\.over@1 is"):
        asyncio.run(open_served(ServeSpec(engine="vllm", **named), ctx))


def test_the_fingerprint_of_what_is_served_is_that_of_all_that_answers(tmp_path):
    spec = ServeSpec(model="file:b")

    def source(kind, fingerprint, **inputs):
        return Input("r", kind, tmp_path, fingerprint, inputs)

    base, other = source("model", "1"), source("model", "2")
    served = [
        (spec, "llama.cpp", base),
        (spec, "vllm", base),
        (spec, "llama.cpp", other),
        (ServeSpec(model="file:b", gguf_type="Q4_K_M"), "llama.cpp", base),
        (spec, "llama.cpp", source("adapter", "3", base=base)),
        (spec, "llama.cpp", source("adapter", "3", base=other)),
        (spec, "llama.cpp", base, source("adapter", "3", base=base)),
    ]
    found = [served_fingerprint(*one) for one in served]
    assert len(set(found)) == len(found)
    assert found == [served_fingerprint(*one) for one in served]
    assert all(one.startswith("fp_") for one in found)


def test_vllm_gets_no_adapter_of_another_base(base, adapters, tmp_path):
    other = make_base(tmp_path / "other", seed=7)
    folder = shutil.copytree(adapters[1], tmp_path / "adapter")
    write_base_record(folder, input_at(base), {})
    source = Input("a.over@1", "adapter", folder, inputs={"base": input_at(other)})
    ctx, _ = temporary_context(tmp_path / "run")
    with pytest.raises(ModelError, match="is not the base that the adapter"):
        adapter_folder(source, source, ctx)


def test_an_adapter_of_a_base_in_4_bits_is_reported_where_vllm_has_the_original_weights(base, adapters, tmp_path):
    folder = shutil.copytree(adapters[1], tmp_path / "qlora")
    source = Input("a.q@1", "adapter", folder, inputs={"base": input_at(base)})
    ctx, events = temporary_context(tmp_path / "run")
    assert adapter_folder(source, source, ctx) == folder
    assert notes(events) == ""
    write_quantization(folder, Quantization("nf4", double=True, layers=("model.layers.0.self_attn.q_proj",)))
    assert adapter_folder(source, source, ctx) == folder
    assert "a.q@1 was trained on a base in 4 bits, and vLLM puts it on the original weights" in notes(events)
