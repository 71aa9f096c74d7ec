"""The built-in rubrics: printed, pasted, and the same in both languages."""

import pytest
import yaml

from burnish.core.errors import AskError
from burnish.specs.evals.judge import JudgeSpec
from burnish.specs.evals.rubrics import LANGUAGES
from burnish.studio.rubrics import rubric, rubric_names


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", rubric_names())
def test_a_rubric_can_be_pasted_as_criteria(name, language):
    pasted = yaml.safe_load(yaml.safe_dump({"criteria": rubric(name, language)}, allow_unicode=True))
    spec = JudgeSpec(answers="file:x", judge={"url": "http://host/v1", "model": "m"}, **pasted)
    assert [criterion.name for criterion in spec.criteria] == [given["name"] for given in rubric(name)]


@pytest.mark.parametrize("name", rubric_names())
def test_a_rubric_has_the_same_verdicts_in_both_languages_and_other_words(name):
    def verdicts(language):
        return [
            (one["name"], one["weight"], one["scale"].get("labels"), list(one["scale"]["levels"]))
            for one in rubric(name, language)
        ]

    assert verdicts("en") == verdicts("zh")
    for english, chinese in zip(rubric(name, "en"), rubric(name, "zh"), strict=True):
        assert english["description"].isascii()
        assert not chinese["description"].isascii()
        assert all(not text.isascii() for text in chinese["scale"]["levels"].values())


def test_an_unknown_rubric_or_language_is_refused_with_the_nearest():
    with pytest.raises(AskError) as caught:
        rubric("helpfullness")
    assert caught.value.fix == "did you mean 'helpfulness'?"
    with pytest.raises(AskError, match="there is no rubric in 'fr'"):
        rubric("safety", "fr")
