"""The transformers engine against plain twins: no batch, no cache, transformers' own generate."""

import itertools
import json
import resource
from pathlib import Path

import pytest
import torch

from burnish.core.errors import DataError, ModelError
from burnish.models.engines.detokenize import Detokenizer, decode
from burnish.models.engines.sampling import Sampling, next_tokens
from burnish.models.engines.transformers import TransformersEngine
from burnish.models.load import load_model
from burnish.specs.evals import GenerationSpec
from burnish.testing import tiny_model
from burnish.tokens.load import load_tokenizer

FAMILIES = ["qwen3", "llama", "mistral", "gemma3_text", "gpt2"]
GREEDY = GenerationSpec(max_new_tokens=24)
STOP = (2, 77, 130)
LENGTHS = [3, 30, 11, 11, 57, 4, 30, 8]
PROMPTS = [
    torch.randint(3, 250, (length,), generator=torch.Generator().manual_seed(number)).tolist()
    for number, length in enumerate(LENGTHS)
]


def engine_of(folder: Path, family: str = "qwen3", **config) -> TransformersEngine:
    from transformers import AutoTokenizer

    # weights large enough that answers differ and end at various places
    tiny_model(folder, family, initializer_range=0.4, **config)
    return TransformersEngine(load_model(folder), AutoTokenizer.from_pretrained(folder))


@torch.no_grad()
def without_cache_or_batch(model, prompt: list[int], stop_ids, longest: int) -> tuple[list[int], str]:
    """The plain twin: the whole text goes through the model for every token."""
    ids = list(prompt)
    for _ in range(longest):
        token = int(model(torch.tensor([ids])).logits[0, -1].argmax())
        if token in stop_ids:
            return ids[len(prompt) :], "stop"
        ids.append(token)
    return ids[len(prompt) :], "length"


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_answers_equal_the_plain_twins(tmp_path, family):
    engine = engine_of(tmp_path, family)

    answers = engine.generate(PROMPTS, GREEDY, STOP)

    expected = [without_cache_or_batch(engine._model, prompt, STOP, 24) for prompt in PROMPTS]
    assert [(answer.ids, answer.finish_reason) for answer in answers] == expected
    assert len({reason for _, reason in expected}) == 2
    assert len({tuple(ids) for ids, _ in expected}) > 4


@pytest.mark.parametrize("temperature", [0.0, 1.3])
def test_answers_do_not_depend_on_batch_or_order(tmp_path, temperature):
    engine = engine_of(tmp_path)
    settings = {"max_new_tokens": 24, "temperature": temperature}
    together = engine.generate(PROMPTS, GenerationSpec(batch_size=8, **settings), STOP)

    alone = engine.generate(PROMPTS, GenerationSpec(batch_size=1, **settings), STOP)
    backwards = engine.generate(PROMPTS[::-1], GenerationSpec(batch_size=3, **settings), STOP)

    assert together == alone == backwards[::-1]


def test_sampling_follows_its_seed(tmp_path):
    engine = engine_of(tmp_path)
    first, again, other = (
        engine.generate(PROMPTS, GenerationSpec(max_new_tokens=24, temperature=1.0, seed=seed), STOP)
        for seed in (1, 1, 2)
    )
    assert first == again != other


def test_a_repeated_prompt_is_sampled_anew(tmp_path):
    engine = engine_of(tmp_path)
    answers = engine.generate([PROMPTS[0]] * 4, GenerationSpec(max_new_tokens=24, temperature=2.0), ())
    assert len({tuple(answer.ids) for answer in answers}) == 4


def test_prompts_do_not_share_their_chance():
    draws = Sampling(1.0, 1.0, None, 0).draws([[3, 4], [3, 5], [3, 4]], 4)
    assert len({tuple(row) for row in draws.tolist()}) == 3


def test_sampled_tokens_have_the_models_frequencies():
    logits = torch.tensor([2.0, 1.0, 0.5, -1.0])
    count = 20_000
    draws = torch.rand(count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    drawn = next_tokens(logits.expand(count, 4), Sampling(0.7, 1.0, None, 0), draws)

    expected = (logits / 0.7).softmax(-1)
    found = torch.bincount(drawn, minlength=4) / count
    torch.testing.assert_close(found, expected, atol=0.01, rtol=0)


def test_top_k_and_top_p_cut_the_tail():
    probabilities = torch.tensor([0.5, 0.3, 0.15, 0.05])
    logits = probabilities.log().expand(1000, 4)
    draws = torch.linspace(0, 1 - 1e-9, 1000, dtype=torch.float64)

    def kinds(**cut) -> set[int]:
        return set(next_tokens(logits, Sampling(1.0, cut.get("top_p", 1.0), cut.get("top_k"), 0), draws).tolist())

    assert kinds() == {0, 1, 2, 3}
    assert kinds(top_k=2) == {0, 1}
    assert kinds(top_p=0.6) == {0, 1}  # the token that crosses the border is kept
    assert kinds(top_p=0.4) == {0}
    assert kinds(top_k=3, top_p=0.99) == {0, 1, 2}


def test_stream_adds_up_to_the_whole_answer(tmp_path):
    engine = engine_of(tmp_path)
    for spec, prompt in itertools.product((GREEDY, GenerationSpec(max_new_tokens=40, temperature=1.5)), PROMPTS):
        [answer] = engine.generate([prompt], spec, STOP)
        assert "".join(engine.stream(prompt, spec, STOP)) == answer.text


def test_streamed_pieces_hold_whole_characters(tmp_path):
    engine = engine_of(tmp_path)
    text = "Grüße, 你好 👩‍🚀!"
    ids = engine._tokenizer.encode(text)
    assert len(ids) > len(text)  # one token per byte

    written = Detokenizer(engine._tokenizer)
    pieces = [written.add(token) for token in ids]

    assert "".join(pieces) + written.end() == text == decode(engine._tokenizer, ids)
    assert not any("\N{REPLACEMENT CHARACTER}" in piece for piece in pieces)
    assert "你" in pieces


def test_broken_bytes_are_shown_in_the_end(tmp_path):
    engine = engine_of(tmp_path)
    ids = engine._tokenizer.encode("你")[:2]
    written = Detokenizer(engine._tokenizer)
    assert [written.add(token) for token in ids] == ["", ""]
    assert written.end() == decode(engine._tokenizer, ids) != ""


def test_an_answer_ends_with_the_context(tmp_path):
    engine = engine_of(tmp_path, max_position_embeddings=32)
    answers = engine.generate([PROMPTS[0], PROMPTS[1]], GenerationSpec(max_new_tokens=64), ())
    assert [len(answer.ids) for answer in answers] == [29, 2]
    assert {answer.finish_reason for answer in answers} == {"length"}
    with pytest.raises(DataError, match="57 tokens"):
        engine.generate([PROMPTS[4]], GREEDY, ())


def test_max_new_tokens_beyond_the_context_are_a_warning_and_take_no_memory(tmp_path):
    engine, events = engine_of(tmp_path, max_position_embeddings=32), []
    engine._rooms._emit = events.append
    limit = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, limit[1]))
    try:
        beyond, within = (GenerationSpec(max_new_tokens=longest, temperature=1.0) for longest in (10**9, 29))
        [far, near] = (engine.generate([PROMPTS[0], PROMPTS[1]], spec, ()) for spec in (beyond, within))
        pieces = list(engine.stream(PROMPTS[0], beyond, ()))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limit)
    assert far == near
    assert "".join(pieces) == far[0].text
    text = "max_new_tokens is 1,000,000,000, and the model's context is 32: answers end there"
    assert [note.text for note in events] == [text]


def test_ids_that_the_model_does_not_know_are_an_error(tmp_path):
    engine = engine_of(tmp_path)
    with pytest.raises(ModelError, match="264 embeddings"):
        engine.generate([[3, 264]], GREEDY, ())


def test_the_models_own_ends_end_an_answer_too(tmp_path):
    engine = engine_of(tmp_path)
    [free] = engine.generate([PROMPTS[1]], GREEDY, ())
    assert len(free.ids) == 24
    tiny_model(tmp_path, initializer_range=0.4, eos_token_id=[2, free.ids[9]])
    bounded = TransformersEngine(load_model(tmp_path), engine._tokenizer)
    [answer] = bounded.generate([PROMPTS[1]], GREEDY, ())
    assert answer.ids == free.ids[: free.ids.index(free.ids[9])]
    assert answer.finish_reason == "stop"


def test_progress_is_told_and_may_stop_the_work(tmp_path):
    engine = engine_of(tmp_path)
    told: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        told.append((done, total))
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.generate(PROMPTS, GenerationSpec(max_new_tokens=2, batch_size=2), (), progress)
    assert told == [(0, 8), (2, 8), (4, 8)]


def test_no_prompts_give_no_answers(tmp_path):
    assert engine_of(tmp_path).generate([], GenerationSpec(temperature=1.0), ()) == []


def test_settings_of_the_generation_config_that_are_not_applied_are_reported(tmp_path):
    folder = tiny_model(tmp_path)
    tokenizer = load_tokenizer(folder)
    said = []
    TransformersEngine(load_model(folder), tokenizer, said.append)
    assert said == []
    path = folder / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "repetition_penalty": 1.1, "num_beams": 1}))
    TransformersEngine(load_model(folder), tokenizer, said.append)
    assert ["repetition_penalty 1.1" in note.text and note.level == "warning" for note in said] == [True]
