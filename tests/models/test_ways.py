"""How models are run token by token, against transformers' own `generate` for each prompt alone."""

import pytest
import torch

from burnish.core.errors import ModelError, RunError
from burnish.models.engines.transformers import TransformersEngine
from burnish.models.engines.ways import WAYS, Way, context_of, find_way, plain_generation, reach_of
from burnish.models.probing import boundaries, random_ids
from burnish.models.quiet import quiet_transformers
from burnish.specs.evals import GenerationSpec
from families import build, token_ids

LONGEST = 8
PROMPTS = [token_ids(1, length, seed=length)[0].tolist() for length in (3, 30, 11, 11, 40, 21, 4)]


class Numbers:
    """A tokenizer whose text is the ids."""

    def decode(self, ids, **_):
        return " ".join(map(str, ids))

    def convert_ids_to_tokens(self, token):
        return str(token)


def engine_of(family, *, emit=lambda event: None, **overrides):
    model = build(family, **overrides)
    model.generation_config.eos_token_id = None
    return TransformersEngine(model, Numbers(), emit)


@torch.no_grad()
def of_transformers(model, prompt, longest=LONGEST):
    """The plain twin: `generate` for this prompt alone."""
    ids = torch.tensor([prompt])
    with plain_generation(model):
        found = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=longest)
    return found[0, len(prompt) :].tolist()


def until(stop, ids):
    return ids[: ids.index(stop)] if stop in ids else ids


def answers(engine, batch_size, stop=(), prompts=PROMPTS, longest=LONGEST):
    spec = GenerationSpec(max_new_tokens=longest, batch_size=batch_size)
    return [answer.ids for answer in engine.generate(prompts, spec, stop)]


USUAL = ["qwen3", "llama4", "gpt_oss", "gemma3_text", "qwen3_next", "bamba", "falcon_h1", "zamba2", "jamba", "lfm2"]
OTHER_CACHES = ["mamba", "mamba2", "falcon_mamba", "rwkv", "minimax", "xlstm", "openai-gpt", "xlnet", "recurrent_gemma"]
WRONG_WHEN_PADDED = ["doge", "deepseek_v4", "trocr", "git"]


@pytest.mark.some(every=2)
@pytest.mark.parametrize("family", [*USUAL, *OTHER_CACHES, *WRONG_WHEN_PADDED])
def test_answers_are_those_of_generate_in_every_batch_and_after_prompts_have_left(family):
    events = []
    engine = engine_of(family, emit=events.append)
    expected = [of_transformers(engine._model, prompt) for prompt in PROMPTS]
    stop = expected[1][2]  # some prompts leave early
    expected = [until(stop, ids) for ids in expected]
    assert len({len(ids) for ids in expected}) > 1
    for batch_size in (1, 4, 7):
        assert answers(engine, batch_size, [stop]) == expected
    assert [event.field for event in events] == ([] if family in USUAL else ["generation"])


def test_a_stream_is_the_answer_of_generate_too():
    for family in ("mamba2", "rwkv"):
        engine = engine_of(family)
        pieces = engine.stream(PROMPTS[1], GenerationSpec(max_new_tokens=LONGEST), ())
        assert "".join(pieces) == Numbers().decode(of_transformers(engine._model, PROMPTS[1]))


def test_an_adapter_is_asked_with_its_matrices_in_place():
    from burnish.models.adapters.attach import attach_lora
    from burnish.specs.train import LoraSpec

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = attach_lora(build("mamba"), LoraSpec(rank=4, targets=["in_proj", "x_proj"]))
    model.generation_config.eos_token_id = None  # an answer that begins with it would be empty
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.2, generator=torch.Generator().manual_seed(0))
    engine = TransformersEngine(model, Numbers())
    expected = [of_transformers(model.get_base_model(), prompt) for prompt in PROMPTS]
    assert answers(engine, 7) == expected
    assert expected != [of_transformers(build("mamba"), prompt) for prompt in PROMPTS]


def test_a_way_that_is_slower_is_reported_with_its_reason():
    events = []
    engine_of("mamba", emit=events.append)
    assert [(event.kind, event.field, event.value) for event in events] == [("chosen", "generation", "own cache")]
    assert "other scores than in generate" in events[0].reason


def test_a_model_that_cannot_generate_is_refused_by_name():
    with pytest.raises(ModelError, match="reformer model cannot generate text here: it draws random numbers") as caught:
        engine_of("reformer")
    assert caught.value.code == "model.unsupported"
    assert "perplexity" in caught.value.fix
    with pytest.raises(ModelError, match="transformers' own generate fails: AttributeError"):
        engine_of("blt")


def test_a_way_that_loses_a_row_of_its_cache_is_not_taken(monkeypatch):
    from transformers import DynamicCache

    monkeypatch.setattr(DynamicCache, "reorder_cache", lambda cache, rows: cache.batch_select_indices(rows - 1))
    with quiet_transformers():
        assert find_way(build("qwen3"))[0] == Way("model", "padded")
    monkeypatch.setattr(DynamicCache, "reorder_cache", None)
    assert find_way(build("qwen3"))[0] == Way("model", "padded")


def test_the_models_own_wishes_for_sampling_do_not_disturb_the_question():
    model = build("qwen3")
    model.generation_config.update(do_sample=True, temperature=0.7, repetition_penalty=1.3, forced_eos_token_id=2)
    before = model.generation_config.to_dict()
    assert find_way(model) == (WAYS[0], "")
    assert model.generation_config.to_dict() == before


def test_asking_draws_no_random_number_and_leaves_the_model_as_it_was():
    model = build("mamba").train()
    before = torch.get_rng_state()
    find_way(model)
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training


@pytest.mark.parametrize("fault", [float("nan"), float("inf")])
def test_scores_that_are_not_finite_are_an_error_when_the_model_is_opened(fault):
    model = build("qwen3")
    with torch.no_grad():
        model.lm_head.weight[7] = fault
    with pytest.raises(RunError, match="NaN or infinite, computed in float32") as caught:
        TransformersEngine(model, Numbers())
    assert caught.value.code == "run.not-finite"


def test_scores_that_are_not_finite_are_an_error_in_the_middle_of_an_answer(monkeypatch):
    engine = engine_of("qwen3")
    with torch.no_grad():
        engine._model.lm_head.weight.fill_(float("nan"))
    with pytest.raises(RunError, match="token 1 of an answer"):
        answers(engine, 4)
    with pytest.raises(RunError, match="token 1 of an answer"):
        list(engine.stream(PROMPTS[0], GenerationSpec(max_new_tokens=2, temperature=1.0), ()))


def test_tokens_that_a_model_rules_out_are_no_fault():
    model = build("qwen3")
    model.lm_head.register_forward_hook(lambda *call: call[2].index_fill(-1, torch.tensor([0, 1]), -torch.inf))
    assert find_way(model)[0] == WAYS[0]
    assert answers(TransformersEngine(model, Numbers()), 7) == [of_transformers(model, prompt) for prompt in PROMPTS]


ROPE = {"rope_type": "longrope", "rope_theta": 10000.0, "factor": 16.0, "original_max_position_embeddings": 32}
LONGROPE = {"rope_parameters": ROPE | {"short_factor": [1.0] * 4, "long_factor": [7.0] * 4}}
LONGROPE |= {"original_max_position_embeddings": 32}


@pytest.mark.parametrize("family", ["phi3", "llama"])
def test_rotary_angles_that_change_with_length_change_for_no_neighbour(family):
    events = []
    engine = engine_of(family, emit=events.append, **LONGROPE)
    assert reach_of(engine._model) == 32
    assert answers(engine, 7) == [of_transformers(engine._model, prompt) for prompt in PROMPTS]
    assert [event.text.partition(",")[0] for event in events] == ["2 prompts may exceed 32 tokens"]


def test_the_boundaries_of_a_model_are_those_that_its_config_names():
    assert boundaries(build("qwen3").config) == {}
    assert boundaries(build("gemma3").config) == {"sliding_window": 16}
    assert boundaries(build("llama4").config) == {"attention_chunk_size": 16}
    assert boundaries(build("deepseek_v32", index_topk=2048).config) == {"index_topk": 2048}
    sparse = build("minimax_m3_vl_text", index_topk_blocks=16, index_block_size=128).config
    assert boundaries(sparse) == {"index_topk_blocks": 2048, "index_block_size": 128}
    assert reach_of(build("deepseek_v32", index_topk=2048)) == 2048
    assert reach_of(build("gemma3_text", sliding_window=1024)) == 1 << 30


def test_no_random_id_stands_for_an_image():
    config = build("gemma3").config
    drawn = set(torch.cat(random_ids(config, [5000])).tolist())
    assert len(drawn) > 200
    assert not drawn & {config.image_token_id, config.boi_token_index, config.eoi_token_index, 0, 1, 2}


def test_a_context_that_a_config_does_not_limit_is_endless():
    assert context_of(build("xlnet")) == 1 << 30  # its config says -1
    assert context_of(build("mpt")) == 512


@pytest.mark.parametrize("question", [0, 7, 9])
def test_memory_that_runs_out_is_no_answer_of_the_model(monkeypatch, question):
    model, forward, calls = build("qwen3"), torch.nn.Module._call_impl, []

    def runs_out(module, *args, **kwargs):
        if module is model:
            calls.append(0)
            if len(calls) == question + 1:
                raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(module, *args, **kwargs)

    monkeypatch.setattr(torch.nn.Module, "_call_impl", runs_out)
    with pytest.raises(torch.OutOfMemoryError):
        find_way(model)
