"""A tokenizer is loaded from its files, and errors in them are reported."""

import json

import pytest

from burnish.core.errors import ModelError
from burnish.testing import tiny_tokenizer
from burnish.tokens.load import load_tokenizer


def test_a_saved_tokenizer_is_loaded_with_its_template(toy_tokenizer, tmp_path):
    saved = toy_tokenizer("{{ messages }}<|x|>")
    saved.save_pretrained(tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert loaded("hello <|x|>")["input_ids"] == saved("hello <|x|>")["input_ids"]
    assert loaded.chat_template == "{{ messages }}<|x|>"


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ModelError, match="nowhere") as caught:
        load_tokenizer(tmp_path / "nowhere")
    assert caught.value.code == "model.not-found"


@pytest.mark.parametrize("content", [None, "{torn", '{"version": "1.0"}'], ids=["none", "torn", "empty"])
def test_a_folder_without_a_readable_tokenizer_is_broken(content, tmp_path):
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)
        (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    with pytest.raises(ModelError) as caught:
        load_tokenizer(tmp_path)
    assert caught.value.code == "model.broken"


def test_custom_code_of_a_tokenizer_is_never_run(tmp_path):
    canary = tmp_path / "canary"
    (tmp_path / "own.py").write_text(f"open({str(canary)!r}, 'w').close()\nclass Own: pass\n")
    settings = {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["own.Own", None]}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(ModelError) as caught:
        load_tokenizer(tmp_path)
    assert caught.value.code == "model.remote-code"
    assert not canary.exists()


def test_a_tokenizer_with_custom_code_and_plain_files_is_loaded_from_the_files(toy_tokenizer, tmp_path):
    toy_tokenizer("x").save_pretrained(tmp_path)
    canary = tmp_path / "canary"
    (tmp_path / "own.py").write_text(f"open({str(canary)!r}, 'w').close()\nclass Own: pass\n")
    config = tmp_path / "tokenizer_config.json"
    settings = {**json.loads(config.read_text()), "auto_map": {"AutoTokenizer": ["own.Own", "own.Own"]}}
    config.write_text(json.dumps(settings))
    load_tokenizer(tmp_path)
    assert not canary.exists()


@pytest.mark.parametrize("content", ["{torn", "[]", "7", b"\xff\xfe"], ids=["torn", "list", "number", "no UTF-8"])
def test_a_tokenizer_config_that_is_no_json_object_is_named(content, toy_tokenizer, tmp_path):
    toy_tokenizer("x").save_pretrained(tmp_path)
    config = tmp_path / "tokenizer_config.json"
    config.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ModelError) as caught:
        load_tokenizer(tmp_path)
    assert caught.value.code == "model.broken"
    assert caught.value.what.startswith(f"{config}: not valid JSON")
    assert caught.value.fix == "copy the model again"


@pytest.mark.parametrize("code", [{}, {"AutoModel": "own.Own"}], ids=str)
def test_a_tokenizer_without_code_of_its_own_is_loaded(code, toy_tokenizer, tmp_path):
    saved = toy_tokenizer("x")
    saved.save_pretrained(tmp_path)
    config = tmp_path / "tokenizer_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "auto_map": code}))
    assert load_tokenizer(tmp_path)("hello")["input_ids"] == saved("hello")["input_ids"]
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(ModelError) as caught:
        load_tokenizer(tmp_path)
    assert caught.value.code == "model.broken"


def test_a_list_of_code_that_is_null_is_left_to_transformers(toy_tokenizer, tmp_path):
    toy_tokenizer("x").save_pretrained(tmp_path)
    config = tmp_path / "tokenizer_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "auto_map": None}))
    with pytest.raises(ModelError, match="the tokenizer cannot be loaded") as caught:
        load_tokenizer(tmp_path)
    assert caught.value.code == "model.broken"


def test_a_file_is_no_folder_of_a_tokenizer(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match="no such folder") as caught:
        load_tokenizer(tmp_path / "tokenizer.json")
    assert caught.value.code == "model.not-found"


@pytest.mark.parametrize("text", ["{", "", "[]", "\xff{}", "7"])
def test_a_broken_config_of_the_model_is_named_and_not_the_tokenizer(tmp_path, text):
    folder = tiny_tokenizer(tmp_path / "model")
    (folder / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelError) as caught:
        load_tokenizer(folder)
    assert caught.value.what.startswith(f"{folder / 'config.json'}: not ")
    assert caught.value.code == "model.broken"
