"""What the recipe and the table of a card say of this machine: names of files, and none of their folders."""

import pytest

from burnish.export.folder.card import settings_table
from burnish.export.folder.facts import Training
from burnish.export.folder.recipe import Steps, public_reference

REFERENCES = {
    "file:/srv/ann/x.jsonl": "file:x.jsonl",
    "file:///srv/ann/x.jsonl": "file:x.jsonl",
    "file://localhost/srv/ann/x.jsonl": "file:x.jsonl",
    "file:~/x.jsonl": "file:x.jsonl",
    "file:~ann/x.jsonl": "file:x.jsonl",
    "file:../../srv/ann/x.jsonl": "file:x.jsonl",
    "file:rows/../../../srv/ann/x.jsonl": "file:x.jsonl",
    "file:/srv/ann/rows/": "file:rows",
    "file:C:\\Users\\ann\\x.jsonl": "file:x.jsonl",
    "file:///C:/Users/ann/x.jsonl": "file:x.jsonl",
    "file:C:/Users/ann/x.jsonl": "file:x.jsonl",
    "file:\\\\server\\ann\\x.jsonl": "file:x.jsonl",
    "C:\\Users\\ann\\x.jsonl": "file:x.jsonl",
    '"C:\\Users\\ann\\x.jsonl"': "file:x.jsonl",
    "\\\\server\\ann\\x.jsonl": "file:x.jsonl",
    "git:/srv/ann/rows@main": "git:rows@main",
    "git:file:///srv/ann/rows@main": "git:rows@main",
    "git:../ann/rows": "git:rows",
    "git:~/ann/rows@v1": "git:rows@v1",
    "git:C:/Users/ann/rows@v1": "git:rows@v1",
    "/srv/ann/quantize/bin/python": "python",
    "~/llama.cpp": "llama.cpp",
}
KEPT = (
    *("file:rows/x.jsonl", "file:./x.jsonl", "git:rows@feature/x", "git:https://github.com/owner/rows@main"),
    *("git:git@github.com:owner/rows@main", "git:ssh://git@host/owner/rows", "hub:owner/rows@main", "step:tune"),
    *("builtin:pocket", "tune.tune@3/step-120", "auto", "</s>", "/end", "~", "I: write/read", "a\n/srv/b/c", ""),
)


@pytest.mark.parametrize("given", REFERENCES)
def test_a_reference_to_this_machine_loses_its_folders(given):
    assert public_reference(given) == REFERENCES[given]
    assert public_reference(public_reference(given)) == REFERENCES[given]


@pytest.mark.parametrize("given", KEPT)
def test_other_values_stay(given):
    assert public_reference(given) == given


GIVEN = {
    "learning_rate": 1e-4,
    "reference": "file:/srv/ann/customers/base",
    "render": {"chat_template": "file:/srv/ann/t.jinja"},
    "evaluations": ["git:/srv/ann/rows@main", {"file": "file:../../srv/ann/x"}],
}


def test_no_setting_of_a_recipe_names_a_folder_of_this_machine():
    assert Steps().spec(GIVEN, {}) == {
        "learning_rate": 1e-4,
        "reference": "file:base",
        "render": {"chat_template": "file:t.jinja"},
        "evaluations": ["git:rows@main", {"file": "file:x"}],
    }


def test_no_setting_of_a_table_names_a_folder_of_this_machine():
    flat = {**{name: GIVEN[name] for name in GIVEN if name != "render"}, "render.chat_template": "file:/srv/ann/t"}
    text = settings_table(Training("tune", "dpo", flat, frozenset(flat), {}))
    assert "`file:base`" in text
    assert "`render.chat_template`" in text
    assert "ann" not in text
