"""The model as the server sees it: the day that its template prints."""

import copy

import pytest

from burnish.serve.chat.model import ServedModel
from burnish.specs.tokens import RenderSpec

TURNS = [{"role": "user", "content": "Hi"}]
DATED = "Today is {{ strftime_now('%Y-%m-%d') }}. "


@pytest.fixture
def dated(tokenizer):
    changed = copy.deepcopy(tokenizer)
    changed.chat_template = DATED + tokenizer.chat_template
    return changed


def test_a_template_that_prints_the_date_prints_the_day_of_each_prompt(dated, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    model = ServedModel("pocket", dated)
    assert "Today is 2026-01-01." in model.prompt(TURNS, None)[0]
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1769904000")
    assert "Today is 2026-02-01." in model.prompt(TURNS, None)[0]
    assert "Today is 2026-02-01." in model.decode(model.rendered(TURNS, None, prompt=True))


def test_a_date_of_the_settings_stays(dated, monkeypatch):
    model = ServedModel("pocket", dated, RenderSpec(date="2025-05-05"))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1769904000")
    assert "Today is 2025-05-05." in model.prompt(TURNS, None)[0]


def test_the_renderer_of_a_template_without_a_date_is_kept(tokenizer, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    model = ServedModel("pocket", tokenizer)
    first = model.renderer
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1769904000")
    assert model.renderer is first
