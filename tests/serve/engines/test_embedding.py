"""Embeddings by llama.cpp: those of transformers, beside answers, in parts."""

import asyncio

import numpy as np
import pytest
import torch

from burnish.models.engines.llama import embedding
from burnish.models.engines.llama.embedding import Embedder
from burnish.models.engines.llama.model import LlamaModel
from burnish.models.load import load_model
from burnish.serve.engines.protocol import Asked, Draw, EngineError, Token
from burnish.tokens.load import load_tokenizer

from .conftest import POCKET

TEXTS = ["<|im_start|>user\nHello<|im_end|>\n", "abc", "Zürich 🌊 hat", "x" * 90]


@pytest.fixture(scope="module")
def prompts():
    tokenizer = load_tokenizer(POCKET)
    return [tokenizer(text, add_special_tokens=False).input_ids for text in TEXTS]


async def answer(engine, prompt):
    asked = Asked(tuple(prompt), 24, Draw(temperature=0))
    return [item.id async for item in engine.complete(asked) if isinstance(item, Token)]


def unit(states):
    mean = states.double().mean(dim=0)
    return (mean / mean.norm()).tolist()


def test_embeddings_are_the_mean_of_the_last_hidden_states(llama, wait, prompts):
    model = load_model(POCKET, dtype=torch.float32)
    with torch.inference_mode():
        expected = [unit(model.base_model(torch.tensor([ids])).last_hidden_state[0]) for ids in prompts]
    found = wait(llama.embed(prompts))
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(len(prompts)))
    np.testing.assert_array_equal(wait(llama.embed(prompts[::-1])), found[::-1])


def test_a_text_is_embedded_in_parts(pocket_file, prompts, monkeypatch):
    def vector(most):
        monkeypatch.setattr(embedding, "_MOST_TOKENS", most)
        model = LlamaModel(pocket_file)
        embedder = Embedder(model, places=256, threads=1)
        found = list(embedder.embed([prompts[3]]))
        embedder.close()
        assert found[:-1] == [None] * (-(-len(prompts[3]) // most) - 1)
        return found[-1]

    np.testing.assert_allclose(vector(7), vector(512), atol=1e-6)


def test_answers_go_on_beside_embeddings_and_those_nobody_waits_for_are_left(llama, wait, prompts):
    async def both():
        alone = await answer(llama, prompts[0])
        left = asyncio.create_task(llama.embed([prompts[3]] * 2000))
        await asyncio.sleep(0.05)
        beside = await answer(llama, prompts[0])
        assert not left.done(), "2,000 inputs are done before an answer of 24 tokens: they held it up"
        left.cancel()
        await asyncio.gather(left, return_exceptions=True)
        return alone, beside, await asyncio.wait_for(llama.embed(prompts), 10)

    alone, beside, vectors = wait(both())
    assert beside == alone
    assert len(vectors) == len(prompts)


@pytest.mark.parametrize(
    "inputs", [[], [[]], [[1] * 257], [[-1]], [[10**6]]], ids=["none", "empty", "long", "negative", "unknown"]
)
def test_inputs_that_cannot_be_embedded_are_refused(inputs, llama, wait):
    with pytest.raises(EngineError) as caught:
        wait(llama.embed(inputs))
    assert caught.value.kind == "refused"
