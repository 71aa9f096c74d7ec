"""Secrets are replaced wherever text is written."""

import io
import json

import pytest

from burnish.core.secrets import MASK, mask, masked, masked_value, secret_in

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
