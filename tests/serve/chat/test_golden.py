"""The golden conversations: the server sends the ids that the certificate recorded, or does not start."""

import copy

import pytest

from burnish.core.errors import ModelError
from burnish.evals.certificates.compare import _golden_digests, certify
from burnish.evals.certificates.golden import GOLDEN, digest_of, name_of
from burnish.evals.certificates.tokens import refusal, rendering
from burnish.serve.chat.golden import replay
from burnish.serve.chat.model import ServedModel


class Side:
    ref, fingerprint, tokenizer, settings, config, vocabulary, context = "a", "b", None, None, None, 10, 4096

    def __init__(self, texts):
        self._texts = texts

    def ids(self, golden, prompt):
        return rendering(self._texts, golden, prompt)[1]

    def refusal(self, golden, prompt):
        return refusal(self._texts, golden, prompt)

    def log_probs(self, rows, *, top=1, at=None):
        raise ModelError("model.unsupported", "none", "none")

    def answers(self, prompts, longest):
        raise ModelError("model.unsupported", "none", "none")

    def weights(self):
        return None

    def close(self):
        pass


@pytest.fixture(scope="module")
def certificate(tokenizer):
    rendered = {
        name_of(golden, prompt): rendering(tokenizer, golden, prompt)[1] for golden in GOLDEN for prompt in (0, 1)
    }
    return {"golden": {name: digest_of(ids) for name, ids in rendered.items() if ids}}


def test_the_ids_of_requests_are_those_of_the_certificate(tokenizer, certificate):
    assert len(certificate["golden"]) == 2 * len(GOLDEN)
    said = replay(ServedModel("pocket", tokenizer), certificate)
    compared = int(said.split(": ")[1].split(" ")[0])
    assert compared == 2 * len(GOLDEN)


def test_another_template_or_tokenizer_is_not_served(tokenizer, certificate):
    changed = copy.deepcopy(tokenizer)
    changed.chat_template = tokenizer.chat_template.replace("<|im_start|>assistant\\n", "<|im_start|>assistant")
    with pytest.raises(ModelError, match="certificate recorded"):
        replay(ServedModel("pocket", changed), certificate)
    changed = copy.deepcopy(tokenizer)
    changed.add_tokens(["capital"])
    with pytest.raises(ModelError, match="certificate recorded"):
        replay(ServedModel("pocket", changed), certificate)
    changed = copy.deepcopy(tokenizer)
    changed.chat_template = "{{ raise_exception('no') }}"
    with pytest.raises(ModelError):
        replay(ServedModel("pocket", changed), certificate)


@pytest.mark.parametrize("word", ["no system messages", "no tools", "no"])
def test_a_template_that_refuses_more_or_less_than_recorded_is_not_served(tokenizer, certificate, word):
    changed = copy.deepcopy(tokenizer)
    refusal = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('" + word + "') }}{% endif %}"
    changed.chat_template = refusal + tokenizer.chat_template
    with pytest.raises(ModelError, match="refuses it now"):
        replay(ServedModel("pocket", changed), certificate)
    recorded = _golden_digests(Side(changed))
    assert recorded["system prompt"] == "refused: model.bad-template"
    assert f"{2 * len(GOLDEN)} renderings" in replay(ServedModel("pocket", changed), {"golden": recorded})
    with pytest.raises(ModelError, match="renders it now"):
        replay(ServedModel("pocket", tokenizer), {"golden": recorded})


def test_a_template_that_omits_tools_is_compared_with_its_own_record(tokenizer):
    changed = copy.deepcopy(tokenizer)
    changed.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    recorded = _golden_digests(Side(changed))
    assert f"{2 * len(GOLDEN)} renderings" in replay(ServedModel("pocket", changed), {"golden": recorded})


def test_an_engine_with_other_ids_is_not_served(tokenizer):
    model = ServedModel("pocket", tokenizer)

    def engine_ids(golden, prompt):
        return rendering(tokenizer, golden, prompt)[1]

    assert "the engine" in replay(model, None, engine_ids)
    with pytest.raises(ModelError, match="from token 2 on"):
        replay(model, None, lambda golden, prompt: [engine_ids(golden, prompt)[0], 0])


def test_without_a_record_it_is_said(tokenizer):
    assert "not compared" in replay(ServedModel("pocket", tokenizer), None)


def test_a_certificate_records_the_ids(tokenizer, certificate):
    assert certify(Side(tokenizer), Side(tokenizer), "same").as_record()["golden"] == certificate["golden"]
