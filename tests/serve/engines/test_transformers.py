"""transformers as an engine of the server."""

import asyncio

import pytest

from burnish.models.engines.transformers import TransformersEngine
from burnish.models.load import load_model
from burnish.serve.engines.protocol import Asked, Draw, EngineError, Token
from burnish.serve.engines.transformers import transformers_engine
from burnish.specs.evals import GenerationSpec
from burnish.testing import input_at, tiny_model
from burnish.tokens.load import load_tokenizer

PROMPTS = [[5, 6, 7, 8], [9, 10], [40] * 20]


@pytest.mark.parametrize("family", ["qwen3"])
def test_answers_are_those_of_generate(family, tmp_path, wait):
    folder = tiny_model(tmp_path / "model", family, initializer_range=0.4)
    twin = TransformersEngine(load_model(folder), load_tokenizer(folder))
    expected = twin.generate(PROMPTS, GenerationSpec(max_new_tokens=12), (2, 77), log_probs=True)
    engine = transformers_engine(input_at(folder), tmp_path / "log", context=None, threads=1, device="cpu")

    async def answer(prompt, **more):
        asked = Asked(tuple(prompt), 12, Draw(temperature=0), (2, 77), top_log_probs=0, **more)
        return [item async for item in engine.complete(asked)]

    async def work():
        await engine.open()
        found = await asyncio.gather(*map(answer, PROMPTS))
        for refused in ({"adapter": "x"}, {"schema": {}}):
            with pytest.raises(EngineError) as caught:
                await answer([5], **refused)
            assert caught.value.kind == "refused"
        return found

    try:
        found = wait(work())
    finally:
        wait(engine.close())
    assert engine.context == 512
    for items, other in zip(found, expected, strict=True):
        assert [item.id for item in items if isinstance(item, Token)] == other.ids
        assert (items[-1].reason, items[-1].token) == (other.finish_reason, other.end)
        assert [item.log_prob for item in items[: len(other.ids)]] == pytest.approx(
            list(other.log_probs)[: len(other.ids)], abs=1e-4
        )
