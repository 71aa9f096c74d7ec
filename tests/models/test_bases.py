"""From an adapter to the model it stands on: by its artifact, its config, or a folder beside it."""

import json
from pathlib import Path

import pytest

from burnish.core.context import Input
from burnish.core.errors import ModelError
from burnish.core.inputs import hub
from burnish.core.inputs.checks import write_base_record
from burnish.models.bases import base_of, chain_of, folder_of, is_adapter, other_name, tokenizer_folder, whole_model


@pytest.fixture
def folders(tmp_path):
    """`folders(name, base)`: an adapter that names its base, or a model without one."""

    def make(name: str, base: str | None = None, **config) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        if base is None:
            (folder / "config.json").write_text("{}")
        else:
            (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base, **config}))
        return folder

    return make


def refused(call, *args) -> ModelError:
    with pytest.raises(ModelError) as caught:
        call(*args)
    return caught.value


def test_a_chain_leads_from_an_adapter_to_the_whole_model(folders, tmp_path):
    model = folders("model")
    first = folders("first", str(model))
    second = folders("second", str(first))
    assert [folder_of(link) for link in chain_of(second)] == [second, first, model]
    assert folder_of(whole_model(second)) == model
    assert whole_model(model) == model
    assert chain_of(model) == [model]
    assert [is_adapter(folder) for folder in (second, first, model)] == [True, True, False]


def test_a_base_may_lie_within_the_adapters_folder(folders):
    adapter = folders("adapter", "inner")
    (adapter / "inner").mkdir()
    (adapter / "inner" / "config.json").write_text("{}")
    assert base_of(adapter) == adapter / "inner"


def test_the_input_of_an_artifact_comes_before_the_name_in_its_config(folders):
    model, other = folders("model"), folders("other")
    adapter = folders("adapter", str(other))
    own = Input("step:base", "model", model)
    assert base_of(Input("step:tune", "adapter", adapter, inputs={"base": own})) is own
    assert base_of(Input("step:tune", "adapter", adapter, inputs={"data": own})) == other


@pytest.mark.parametrize("named", ["", None, 7])
def test_an_adapter_that_names_no_base_is_refused(folders, named):
    folder = folders("adapter", "x")
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": named}))
    error = refused(base_of, folder)
    assert (error.code, "names none" in error.what) == ("model.not-found", True)


def test_a_base_that_is_nowhere_is_refused_with_its_name(folders, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    error = refused(base_of, folders("adapter", "owner/nowhere", revision="v1"))
    assert error.code == "model.not-found"
    assert "owner/nowhere" in error.what


def test_a_circle_of_adapters_is_refused(folders, tmp_path):
    folders("one", str(tmp_path / "two"))
    folders("two", str(tmp_path / "one"))
    assert refused(chain_of, tmp_path / "one").code == "model.broken"
    assert refused(whole_model, folders("self", str(tmp_path / "self"))).code == "model.broken"


def test_the_tokenizer_is_the_adapters_own_or_that_of_the_nearest_base(folders):
    model = folders("model")
    first = folders("first", str(model))
    second = folders("second", str(first))
    assert tokenizer_folder(second) == model
    for folder in (model, first, second):
        (folder / "tokenizer_config.json").write_text("{}")
        assert tokenizer_folder(second) == folder


def test_a_base_of_another_name_is_reported_unless_hashes_are_recorded(folders):
    adapter = folders("adapter", "owner/model")
    other = folders("other")
    assert "'owner/model'" in other_name(adapter, other)
    assert other_name(adapter, folders("model")) is None
    assert other_name(adapter, Input("hub:owner/model@main", "model", other)) is None
    assert other_name(adapter, Input("hub:some/model@main", "model", other)) is None
    assert other_name(adapter, Input("file:elsewhere", "model", other)) is not None
    assert other_name(folders("exact", str(other)), other) is None
    (adapter / "burnish_base.json").write_text("{}")
    assert other_name(adapter, other) is None
    (folders("nameless", "x") / "adapter_config.json").write_text("{}")
    assert other_name(adapter.parent / "nameless", other) is None


@pytest.mark.parametrize("revision", ["v1", "", None, 7])
def test_a_name_on_the_hub_is_asked_for_at_the_recorded_revision(folders, tmp_path, monkeypatch, revision):
    """The hub is played: it cannot be reached from a test."""
    model, asked = folders("model"), []
    monkeypatch.setattr(hub, "pin", lambda name, kind: asked.append((name, kind)) or "c0ffee")
    monkeypatch.setattr(hub, "fetch", lambda *words: asked.append(words) or model)
    adapter = folders("adapter", "owner/x", revision=revision)
    name = "owner/x@v1" if revision == "v1" else "owner/x"
    assert base_of(adapter) == Input("hub:owner/x@c0ffee", "model", model, revision="c0ffee")
    assert asked == [(name, "model"), (name, "c0ffee", "model")]
    inner = folders("inner", str(model))
    monkeypatch.setattr(hub, "fetch", lambda *words: inner)
    assert base_of(adapter) == Input("hub:owner/x@c0ffee", "adapter", inner, revision="c0ffee")


def test_a_base_with_other_bytes_than_recorded_is_refused_wherever_it_lies(folders, monkeypatch):
    good, other = folders("good"), folders("other")
    for folder, data in ((good, b"one"), (other, b"two")):
        (folder / "model.safetensors").write_bytes(data)
    adapter = folders("adapter", str(good))
    write_base_record(adapter, Input("file:good", "model", good), {})
    assert base_of(adapter) == good
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(other)}))
    assert refused(base_of, adapter).code == "model.wrong-adapter"
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "owner/x"}))
    monkeypatch.setattr(hub, "pin", lambda name, kind: "c0ffee")
    monkeypatch.setattr(hub, "fetch", lambda *words: other)
    assert refused(base_of, adapter).code == "model.wrong-adapter"


def test_a_circle_is_seen_through_relative_names(folders):
    assert refused(chain_of, folders("self", "../self")).code == "model.broken"


def test_a_longer_chain_ends_at_the_whole_model(folders):
    model = folders("model")
    links = [model]
    for name in ("first", "second", "third"):
        links.append(folders(name, str(links[-1])))
    assert chain_of(links[-1]) == links[::-1]
    assert whole_model(links[-1]) == model


@pytest.mark.parametrize(
    ("named", "ref", "is_alike"),
    [
        ("owner/model", "hub:model@main", True),
        ("owner/model", "file:model", True),
        ("owner/model", "step:model", False),
        ("owner/model", "model", True),
        ("owner/model", "hub:owner/other@model", False),
    ],
)
def test_a_reference_is_compared_by_its_last_part(folders, named, ref, is_alike):
    adapter, base = folders("adapter", named), folders("base")
    warning = f"the adapter {adapter} names '{named}' as its base, but is used with {ref}"
    assert other_name(adapter, Input(ref, "model", base)) == (None if is_alike else warning)


def test_one_folder_under_two_names_is_one_base(folders, tmp_path):
    model = folders("model")
    (tmp_path / "link").symlink_to(model)
    assert other_name(folders("one", str(tmp_path / "link")), model) is None
    assert other_name(folders("two", str(model)), tmp_path / "link") is None
