"""What licences ask of a folder: sentences in NOTICE, words on the card, names, and what is said to be missing."""

import pytest

from burnish.core.registry.licences import TERMS
from burnish.export.folder.demands import DEMANDS, demanded, follows, write_notices


def of(licence, role="base"):
    return [{"of": role, "ref": "hub:owner/base", "licence": licence, "stated_in": "README.md"}]


@pytest.mark.parametrize("licence", DEMANDS)
def test_every_licence_with_demands_is_known_by_its_terms(licence):
    assert licence in TERMS


@pytest.mark.parametrize("licence", [name for name, one in DEMANDS.items() if one.notice])
def test_the_sentence_of_a_licence_stands_in_notice_once(licence, tmp_path):
    for _ in range(2):
        write_notices(tmp_path, of(licence), "Llama 3 x")
    text = (tmp_path / "NOTICE").read_text()
    assert text.count(DEMANDS[licence].notice) == 1


def test_the_notice_of_the_base_is_kept(tmp_path):
    (tmp_path / "Notice.txt").write_text("Theirs.\n")
    write_notices(tmp_path, of("gemma"), "x")
    text = (tmp_path / "Notice.txt").read_text()
    assert text.startswith("Theirs.\n\nGemma is provided under and subject to the Gemma Terms of Use")
    assert "were changed: it was made from hub:owner/base" in text
    assert not (tmp_path / "NOTICE").exists()


def test_a_missing_copy_of_the_licence_is_named(tmp_path):
    assert any("a copy of the MIT License" in text for text in write_notices(tmp_path, of("mit"), "x"))
    (tmp_path / "LICENSE.txt").write_text("MIT License")
    assert write_notices(tmp_path, of("mit"), "x") == []


@pytest.mark.parametrize("licence", [name for name, one in DEMANDS.items() if one.copy and name != "mit"])
def test_the_copy_of_another_licence_is_not_the_one_that_is_asked_for(licence, tmp_path):
    (tmp_path / "LICENSE").write_text("MIT License")
    assert any("a copy of the" in text for text in write_notices(tmp_path, of(licence), "Llama 3 x"))
    (tmp_path / "LICENSE-base").write_text("An agreement with a title that nobody knows")
    assert not any("a copy of the" in text for text in write_notices(tmp_path, of(licence), "Llama 3 x"))


@pytest.mark.parametrize(
    ("licence", "text"),
    [
        ("bsd-3-clause", "Redistribution and use in source and binary forms"),
        ("tongyi-qianwen", "Tongyi Qianwen LICENSE AGREEMENT"),
        ("llama3.2", "LLAMA 3.2 COMMUNITY LICENSE AGREEMENT"),
        ("apache-2.0", "Apache License\n   Version 2.0"),
    ],
)
def test_a_copy_is_known_by_its_title(licence, text, tmp_path):
    (tmp_path / "LICENSE").write_text(text)
    assert not any("a copy of the" in said for said in write_notices(tmp_path, of(licence), "Llama 3 x"))


@pytest.mark.parametrize("licence", ["unknown", "cc0-1.0", "made-up"])
def test_nothing_is_invented_for_other_licences(licence, tmp_path):
    assert write_notices(tmp_path, of(licence), "x") == []
    assert list(tmp_path.iterdir()) == []


def test_the_licences_of_data_ask_nothing_of_the_weights(tmp_path):
    assert demanded(of("llama3.2", "data")) == []


@pytest.mark.parametrize(
    ("licence", "name", "good"),
    [
        ("llama3", "me/Llama-3-mine", True),
        ("llama3", "me/Llama-mine", False),
        ("llama3.1", "me/llama-mine", True),
        ("llama3.2", "Mine-Llama", False),
        ("llama4", "Llama 4 Mine", True),
        ("llama2", "mine", True),
        ("gemma", "mine", True),
    ],
)
def test_names_follow_the_licence(licence, name, good, tmp_path):
    assert follows(name, DEMANDS[licence]) == good
    assert any("a name that starts with" in text for text in write_notices(tmp_path, of(licence), name)) != good
