"""Secrets are replaced wherever text is written."""

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.core.secrets import _MASKED, MASK, mask, masked, masked_value, names_a_secret, secret_in

HF = "hf_" + "Q" * 34


@pytest.fixture(autouse=True)
def _a_token(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "environment-canary-1")
    monkeypatch.setenv("MY_API_KEY", "environment-canary-2")
    monkeypatch.setenv("SHORT_KEY", "abc")


@pytest.mark.parametrize(
    "text",
    [
        f"token {HF} end",
        f"glued{HF}",
        "x environment-canary-1 y",
        "https://h/?key=environment-canary-2",
        "sk-" + "a" * 20,
        "ghp_" + "a" * 30,
        "api_key='canary'",
        '{"hf_token": "canary"}',
        "password = 'canary'",
        "https://user:canary@host/x",
        "https://user:ca@nary@host/x",
        "https://user:ca/nary@host/x",
        "https://host/x?private_token=canary",
        "https://host/x#access_token=canary",
        "https://host/x?access_token=canary&b=1",
        "Authorization: Bearer canary-canary",
    ],
)
def test_every_known_shape_of_secret_is_replaced(text):
    shown = mask(text)
    assert MASK in shown
    assert "canary" not in shown
    assert "nary" not in shown
    assert HF not in shown


@pytest.mark.parametrize(
    "text",
    [
        "abc is a short word",
        "eos_token: '<|im_end|>'",
        "tokens 12, keys 3",
        '{"secret": "", "next": "value"}',
        "https://host:8080/path@version",
        "https://host:8080/a@b/c",
        "a.b:c@d",
        "mail someone@example.org",
        "monkey = 'banana'",
        "the task-of-a-very-long-name-of-things",
    ],
)
def test_plain_text_stays_as_it_is(text):
    assert mask(text) == text


def test_masked_values_stay_json():
    value = {"api_key": "x", "secret": "", "list": [HF, 1, None], "deep": {"eos_token": "<s>", "n": 0.5}}
    found = masked_value(value)
    assert found == {"api_key": MASK, "secret": "", "list": [MASK, 1, None], "deep": {"eos_token": "<s>", "n": 0.5}}
    json.dumps(found)


def test_a_masked_stream_masks_and_delegates_everything_else():
    stream = io.StringIO()
    print("a", HF, file=masked(stream))
    masked(stream).writelines([HF, "\n"])
    assert stream.getvalue() == f"a {MASK}\n{MASK}\n"
    assert masked(stream).isatty() is False


@pytest.mark.parametrize(
    "text",
    [
        "git:https://user:canary@host/x",
        "git:https://canary@host/x",
        "git:https://user:ca/nary@host/x",
        "git:ssh://git:canary@host/x",
        "git:https://host/x?access_token=canary",
        "git:https://host/x?private_token=canary@v1",
        f"git:https://host/{HF}/x",
        "hub:owner/environment-canary-1",
        "file:environment-canary-2/x",
        "git:https://host/x@github_pat_" + "a" * 30,
    ],
)
def test_a_secret_in_a_reference_is_detected(text):
    assert secret_in(text, is_reference=True)


@pytest.mark.parametrize(
    "text",
    [
        "git:https://host:8080/owner/name@feature/x",
        "git:ssh://git@host/owner/name@v1",
        "git:git@host:owner/name@v1",
        "git:https://host/@scope/name",
        "file:data/sk-learn-classifier-of-long-names/rows.jsonl",
        "recipe.step@latest",
        "hub:owner/name@main",
    ],
)
def test_plain_references_contain_no_secret(text):
    assert secret_in(text, is_reference=True) == ""


def test_a_setting_may_mention_passwords_but_not_contain_a_key():
    assert secret_in("never say that password: 'x' opens https://user:word@host/") == ""
    assert secret_in(f"use {HF}") == "an access token"
    assert secret_in("use environment-canary-1") == "the value of $HF_TOKEN"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"a {HF} b {HF}", f"a {MASK} b {MASK}"),
        (f"glued{HF}", f"glued{MASK}"),
        ("x environment-canary-1 environment-canary-2", f"x {MASK} {MASK}"),
        ("api_key='one' password: \"two\"", f"api_key='{MASK}' password: \"{MASK}\""),
        ('{"my_secret": "one", "n": "two"}', f'{{"my_secret": "{MASK}", "n": "two"}}'),
        ("https://user:word@host:80/x", f"https://{MASK}@host:80/x"),
        ("git+ssh://user@host/x", f"git+ssh://{MASK}@host/x"),
        (
            "https://host/x?a=1&my-token=two&b=3#signature=four",
            f"https://host/x?a=1&my-token={MASK}&b=3#signature={MASK}",
        ),
        ("Bearer abcdefghijkl", f"Bearer {MASK}"),
        ("Bearer abcdefghijk", "Bearer abcdefghijk"),
        (
            "sk-aaaaaaaaaaaaaaaa gho_aaaaaaaaaaaaaaaaaaaa glpat-aaaaaaaaaaaaaaaaaaaa xoxb-aaaaaaaaaa",
            f"{MASK} {MASK} {MASK} {MASK}",
        ),
    ],
)
def test_only_the_secret_is_replaced(text, masked):
    assert mask(text) == masked


def test_a_variable_is_a_secret_by_its_name_and_with_eight_characters(monkeypatch):
    values = {
        "EIGHT_TOKEN": "12345678",
        "SEVEN_TOKEN": "abcdefg",
        "PLAIN_WORDS": "words and no secret",
        "PATH_TOKEN": "/run/secrets/of/burnish",
        "SLASH_TOKEN": "slashed-at-end/",
        "SORT_KEY": "sorted-by-date",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    text = " | ".join(values.values())
    assert mask(text) == f"{MASK} | abcdefg | words and no secret | {MASK} | {MASK} | {MASK}"
    found = {name: secret_in(f"use {value}!") for name, value in values.items()}
    assert found == {
        **dict.fromkeys(values, ""),
        "EIGHT_TOKEN": "the value of $EIGHT_TOKEN",
        "SLASH_TOKEN": "the value of $SLASH_TOKEN",
    }


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("git:https://user:word@host/x", "a user name or password in an address"),
        ("git:https://user@host/x", "a user name or password in an address"),
        ("git:https://host/x?token=abc", "a token in an address"),
        (f"git:https://host/{HF}", "an access token"),
        ("git:ssh://git@host/x", ""),
    ],
)
def test_the_kind_of_a_secret_in_a_reference_is_named(text, kind):
    assert secret_in(text, is_reference=True) == kind
    assert secret_in(text) == (kind if kind == "an access token" else "")


def test_values_under_a_name_of_a_secret_are_masked_whole_and_other_types_are_kept():
    value = {"password": "x y", "n": {"api_key": 5, "hf_token": None, "SECRET": ["one", ("two",)]}, "t": (HF, True)}
    assert masked_value(value) == {
        "password": MASK,
        "n": {"api_key": 5, "hf_token": None, "SECRET": ["one", ["two"]]},
        "t": [MASK, True],
    }
    assert masked_value({3: "a"}) == {3: "a"}


def test_a_masked_stream_counts_the_characters_it_was_given():
    stream = io.StringIO()
    assert masked(stream).write(f"{HF}\n") == len(HF) + 1
    assert masked(stream).getvalue() == f"{MASK}\n"


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("api_key", True), ("'my-password'", True), ("HF_TOKEN", True), ("eos_token", False), ("secrets", False)],
)
def test_a_name_of_a_secret_ends_in_a_word_for_it(name, is_one):
    assert names_a_secret(name) is is_one


@pytest.mark.parametrize(("shape", "words"), [(shape, words) for shape, _, words in _MASKED])
@settings(max_examples=60)
@given(data=st.data())
def test_a_text_with_a_secret_has_a_word_by_which_it_is_looked_at(shape, words, data):
    text = data.draw(st.from_regex(shape, alphabet=st.characters(max_codepoint=127)))
    assert any(word in text.lower() for word in words)


def test_letters_that_are_equal_to_ascii_in_some_case_hide_no_secret():
    assert mask("pa\u017f\u017fword = 'canary'") == f"pa\u017f\u017fword = '{MASK}'"
