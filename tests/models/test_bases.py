"""From an adapter to the model it stands on: by its artifact, its config, or a folder beside it."""

import json
from pathlib import Path

import pytest

from burnish.core.context import Input
from burnish.core.errors import ModelError
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
