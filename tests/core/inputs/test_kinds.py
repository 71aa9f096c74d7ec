"""The kind of an input: of a folder by its files, of a hub or git source by what it will be."""

import pytest

from burnish.core.context import Input
from burnish.core.errors import AskError
from burnish.core.inputs.references import check_kind, folder_kind


def said(call, *args, **named) -> str:
    with pytest.raises(AskError) as caught:
        call(*args, **named)
    return f"{caught.value.code} | {caught.value.what} | {caught.value.fix}"


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        (["config.json"], "model"),
        (["adapter_config.json", "config.json"], "adapter"),
        (["tokenizer.json"], "tokenizer"),
        (["stats.json", "train.parquet"], "dataset"),
        (["stats.json"], "folder"),
        ([], "folder"),
    ],
)
def test_the_kind_of_a_folder_is_detected_from_its_files(tmp_path, files, kind):
    for name in files:
        (tmp_path / name).write_text("{}")
    assert folder_kind(tmp_path) == kind


def test_an_input_of_another_kind_is_refused_by_field_name(tmp_path):
    value = Input("file:x", "dataset", tmp_path)
    with pytest.raises(AskError) as caught:
        check_kind(value, ("model", "adapter"), "tune.base")
    assert caught.value.code == "ask.wrong-kind"
    assert "'tune.base' expects model or adapter" in caught.value.what
    assert "file:x is a dataset" in caught.value.what


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"config.json": '{"learning_rate": 1}', "rows.jsonl": "{}"}, "folder"),
        ({"config.json": "[]", "rows.jsonl": "{}"}, "folder"),
        ({"config.json": '{"model_type": "llama"}'}, "model"),
        ({"config.json": '{"learning_rate": 1}', "model.safetensors": ""}, "model"),
        ({"config.json": '{"model_type', "x.txt": ""}, "model"),
    ],
)
def test_a_data_folder_may_contain_a_config_json(tmp_path, files, kind):
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert folder_kind(tmp_path) == kind


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "tokenizer.model"])
def test_any_file_of_a_tokenizer_makes_a_tokenizer(tmp_path, name):
    (tmp_path / name).write_text("{}")
    assert folder_kind(tmp_path) == "tokenizer"


@pytest.mark.parametrize("ending", ["safetensors", "bin", "pt", "pth", "gguf", "h5"])
def test_weights_beside_any_config_make_a_model(tmp_path, ending):
    (tmp_path / "config.json").write_text("{}")
    assert folder_kind(tmp_path) == "model"
    (tmp_path / "rows.jsonl").write_text("{}")
    assert folder_kind(tmp_path) == "folder"
    (tmp_path / f"w.{ending}").write_text("")
    assert folder_kind(tmp_path) == "model"


def test_parquet_files_without_counts_are_a_folder_and_a_large_config_is_a_models(tmp_path):
    (tmp_path / "train.parquet").write_text("")
    assert folder_kind(tmp_path) == "folder"
    for size, kind in ((4_194_304, "folder"), (4_194_305, "model")):
        (tmp_path / "config.json").write_text("{}".ljust(size))
        assert folder_kind(tmp_path) == kind


@pytest.mark.parametrize(
    ("kind", "kinds", "is_accepted"),
    [
        ("dataset", ("dataset",), True),
        ("git", ("folder",), True),
        ("git", ("model", "git"), False),
        ("hub-model", ("adapter", "model"), True),
        ("hub-model", ("folder",), False),
        ("hub-dataset", ("folder",), True),
        ("hub-dataset", ("dataset",), False),
        ("adapter", ("model",), False),
    ],
)
def test_what_comes_from_a_hub_or_git_is_of_the_kind_it_will_have(tmp_path, kind, kinds, is_accepted):
    value = Input("x:y", kind, tmp_path)
    if is_accepted:
        check_kind(value, kinds, "s.data", "r.yaml:3")
    else:
        assert said(check_kind, value, kinds, "s.data", "r.yaml:3") == (
            f"ask.wrong-kind | r.yaml:3: 's.data' expects {' or '.join(kinds)}, but x:y is a {kind} | "
            f"set s.data to a {kinds[0]}"
        )


def test_instead_of_a_gguf_file_the_model_that_it_was_made_from_is_asked_for(tmp_path):
    value = Input("r.file@1", "gguf", tmp_path)
    told = said(check_kind, value, ("model", "adapter"), "s.model")
    assert told.endswith("set s.model to the model that it was made from")
    assert said(check_kind, value, ("dataset",), "s.data").endswith("set s.data to a dataset")
