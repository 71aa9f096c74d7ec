"""Licences as folders state them, and what follows."""

from pathlib import Path

import pytest

from burnish.core.context import Input
from burnish.core.inputs.references import built_ins
from burnish.core.registry.licences import TERMS, consequences, licence_of, licences_of

STATED = {
    "front matter": ({"README.md": "---\nlanguage: en\nlicense: apache-2.0\n---\n# x"}, "apache-2.0"),
    "quoted": ({"README.md": "---\nlicense: 'MIT' # see below\n---\n"}, "mit"),
    "a list": ({"README.md": "---\nlicense:\n- cc-by-4.0\n- mit\ntags: [a]\n---\n"}, "cc-by-4.0, mit"),
    "other, with a name": ({"README.md": "---\nlicense: other\nlicense_name: mrl\n---\n"}, "mrl"),
    "other": ({"README.md": "---\nlicense: other\n---\n"}, "other"),
    "Windows lines": ({"README.md": "---\r\nlicense: gemma\r\n---\r\n"}, "gemma"),
    "config": ({"config.json": '{"license": "llama3.1"}'}, "llama3.1"),
    "a broken config": ({"config.json": "{"}, "unknown"),
    "a config that is a list": ({"config.json": "[]"}, "unknown"),
    "a LICENSE": ({"LICENSE": "  Apache License\n  Version 2.0, January 2004"}, "apache-2.0"),
    "Llama": ({"LICENSE.txt": "LLAMA 3.2 COMMUNITY LICENSE AGREEMENT"}, "llama3.2"),
    "the card before the file": ({"README.md": "---\nlicense: mit\n---\n", "LICENSE": "GNU"}, "mit"),
    "text that mentions one": ({"README.md": "# x\nlicense: mit\n"}, "unknown"),
    "a LICENSE of somebody": ({"LICENSE": "All rights reserved."}, "unknown"),
    "bytes": ({"README.md": "---\nlicense: \x00\ufffd\n---\n"}, "\x00\ufffd"),
    "rows that were fetched": ({"manifest.json": '{"format": "burnish rows 1", "licence": "CC-BY-4.0"}'}, "cc-by-4.0"),
    "rows without a licence": ({"manifest.json": '{"format": "burnish rows 1", "licence": null}'}, "unknown"),
    "a broken manifest": ({"manifest.json": "[{"}, "unknown"),
    "nothing": ({}, "unknown"),
}


@pytest.mark.parametrize("name", STATED)
def test_a_licence_is_read_where_it_is_stated(tmp_path, name):
    files, expected = STATED[name]
    for file, text in files.items():
        (tmp_path / file).write_bytes(text.encode())
    assert licence_of(tmp_path)[0] == expected


def test_the_built_in_model_states_its_licence():
    assert licence_of(built_ins()["pocket"]) == ("apache-2.0", "README.md")


def test_base_and_data_are_found_below_the_artifact(tmp_path):
    for name, licence in (("base", "llama3.1"), ("rows", "cc-by-nc-sa-4.0")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "README.md").write_text(f"---\nlicense: {licence}\n---\n")
    rows = Input("file:rows", "folder", tmp_path / "rows", "1")
    prepared = Input("step:prepare", "dataset", tmp_path / "none", "2", {"source": rows})
    base = Input("file:base", "model", tmp_path / "base", "3")
    adapter = Input("r.tune@1", "adapter", tmp_path / "adapter", "4", {"data": prepared, "base": base})
    found = [(one["of"], one["ref"], one["licence"]) for one in licences_of(adapter)]
    assert found == [("data", "file:rows", "cc-by-nc-sa-4.0"), ("base", "file:base", "llama3.1")]
    text = consequences(licences_of(adapter))
    assert "not for commercial use, because of file:rows (cc-by-nc-sa-4.0)" in text
    assert "to be shared under the same licence, because of file:rows (cc-by-nc-sa-4.0)" in text
    assert any(line.startswith("llama3.1 has its own conditions") for line in text)


@pytest.mark.parametrize("licence", TERMS)
def test_terms_propagate(licence):
    text = " ".join(consequences([{"ref": "x", "licence": licence}]))
    terms = TERMS[licence]
    assert ("not for commercial use" in text) is not terms.commercial
    assert ("under the same licence" in text) is terms.share_alike
    assert ("no derived works" in text) is not terms.derivatives
    assert "unknown" not in text


def test_what_is_not_known_is_said_to_be_unknown():
    found = consequences([{"ref": "x", "licence": "my-own"}, {"ref": "y", "licence": "unknown"}])
    assert found == ["unknown: x (my-own), y (unknown)"]


def test_rows_that_were_fetched_have_the_licence_of_their_source(tmp_path, monkeypatch):
    (tmp_path / "LICENSE").write_text("Apache License\nVersion 2.0")
    monkeypatch.chdir(tmp_path)  # what was not downloaded has no folder
    rows = tmp_path / "rows"
    rows.mkdir()
    remote = Input("hub:owner/name", "remote", Path(), "1")
    fetched = Input("step:rows", "rows", rows, "2", {"source": remote})
    tuned = Input("r.tune@1", "adapter", tmp_path / "adapter", "3", {"data": fetched})
    assert [(one["of"], one["ref"], one["licence"]) for one in licences_of(tuned)] == [
        ("data", "hub:owner/name", "unknown")
    ]
    (rows / "manifest.json").write_text('{"format": "burnish rows 1", "licence": "mit"}')
    assert [(one["of"], one["ref"], one["licence"]) for one in licences_of(tuned)] == [("data", "step:rows", "mit")]
