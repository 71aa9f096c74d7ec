"""The settings of a generation config: each that would change an answer is reported, and every one is known."""

from pathlib import Path

import pytest
from transformers import GenerationConfig

from burnish.models.engines.transformers import TransformersEngine, _ignored_settings
from burnish.models.load import load_model
from burnish.specs.evals import GenerationSpec
from burnish.testing import tiny_model, tiny_tokenizer
from burnish.tokens.load import load_tokenizer


@pytest.fixture
def model(tmp_path):
    made = load_model(tiny_model(tmp_path / "model"))
    made.generation_config.eos_token_id = None
    return made


SETTINGS = {
    "repetition_penalty": (1.0, 1.1),
    "no_repeat_ngram_size": (0, 3),
    "encoder_repetition_penalty": (1.0, 1.1),
    "bad_words_ids": (None, [[3]]),
    "sequence_bias": (None, [[[3], 1.0]]),
    "suppress_tokens": ([], [3]),
    "begin_suppress_tokens": ([], [3]),
    "forced_bos_token_id": (None, 3),
    "forced_eos_token_id": (None, 3),
    "num_beams": (1, 2),
    "min_length": (0, 3),
    "min_new_tokens": (0, 3),
    "encoder_no_repeat_ngram_size": (0, 2),
    "stop_strings": ([], ["end"]),
    "exponential_decay_length_penalty": (None, (3, 1.5)),
    "guidance_scale": (1.0, 2.0),
    "watermarking_config": (None, {"bias": 2.0}),
    "token_healing": (False, True),
    "max_time": (None, 1.5),
    "penalty_alpha": (0.0, 0.6),
    "dola_layers": (None, "high"),
    "constraints": (None, ["x"]),
    "force_words_ids": (None, [[3]]),
}
OTHERWISE = {
    *("max_length", "max_new_tokens", "do_sample", "temperature", "top_k", "top_p"),  # burnish's own settings decide
    "renormalize_logits",  # a sample is drawn from a softmax of the scores anyway
    *("early_stopping", "length_penalty", "diversity_penalty", "num_beam_groups", "num_return_sequences"),  # of beams
    *("use_cache", "cache_implementation", "cache_config", "max_cache_len", "prefill_chunk_size", "low_memory"),
    *("compile_config", "disable_compile", "continuous_batching_config"),
    *("use_mtp", "is_assistant", "num_assistant_tokens", "num_assistant_tokens_schedule"),  # faster, equal answers
    *("assistant_confidence_threshold", "prompt_lookup_num_tokens", "max_matching_ngram_size"),
    *("assistant_early_exit", "assistant_lookbehind", "target_lookbehind", "assistant_ensemble_weight"),
    "speculation_type",
    *("output_attentions", "output_hidden_states", "output_scores", "output_logits", "return_dict_in_generate"),
    *("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id", "remove_invalid_values"),
    *("_from_model_config", "transformers_version"),
}
"""Settings that do not change the greedy answer of a decoder, or that burnish applies."""

SAMPLED = {
    "min_p": (0.0, 0.1),
    "top_h": (1.0, 0.4),
    "typical_p": (1.0, 0.9),
    "epsilon_cutoff": (0.0, 3e-4),
    "eta_cutoff": (0.0, 3e-4),
    "top_k": (0, 20),
    "top_p": (1.0, 0.95),
}
"""Settings that change a sample only."""


def test_every_setting_of_transformers_is_reported_or_changes_no_greedy_answer():
    known = set(GenerationConfig().to_dict())
    assert known <= SETTINGS.keys() | OTHERWISE | SAMPLED.keys()
    assert not SETTINGS.keys() & (OTHERWISE | SAMPLED.keys())


@pytest.mark.parametrize("name", SETTINGS)
def test_each_setting_that_would_change_an_answer_is_reported_with_its_value(model, name):
    neutral, other = SETTINGS[name]
    for value in (None, neutral):
        setattr(model.generation_config, name, value)
        assert _ignored_settings(model) == ""
    setattr(model.generation_config, name, other)
    assert _ignored_settings(model) == f"{name} {other}"
    notes = []
    TransformersEngine(model, None, notes.append)
    assert [(note.kind, note.level) for note in notes] == [("note", "warning")]
    assert f"generation config sets {name} {other}, which burnish does not apply" in notes[0].text


def test_two_settings_are_reported_together(model):
    model.generation_config.num_beams, model.generation_config.min_length = 2, 3
    assert _ignored_settings(model) == "num_beams 2, min_length 3"


def asked(model, **settings):
    """The warnings of an engine that answers two prompts and streams one."""
    notes = []
    engine = TransformersEngine(model, load_tokenizer(tiny_tokenizer(Path(model.name_or_path))), notes.append)
    spec = GenerationSpec(max_new_tokens=1, **settings)
    engine.generate([[3, 4], [5]], spec, ())
    list(engine.stream([3, 4], spec, ()))
    return [note.text for note in notes if note.kind == "note" and note.level == "warning"]


@pytest.mark.parametrize("name", SAMPLED)
def test_a_setting_that_would_change_a_sample_is_reported_once_when_sampling(model, name):
    neutral, other = SAMPLED[name]
    for value in (None, neutral):
        setattr(model.generation_config, name, value)
        assert asked(model, temperature=1.0) == []
    setattr(model.generation_config, name, other)
    assert asked(model) == []  # the most likely token is not sampled
    [text] = asked(model, temperature=1.0)
    assert f"{name} {other}" in text
    if name in ("top_k", "top_p"):
        assert asked(model, temperature=1.0, **{name: 1}) == []
        assert text.endswith(f"used only if they are set: {name} {other}")
    else:
        assert text.endswith(f"{name} {other}, which burnish does not apply")


def test_all_settings_of_a_sample_are_reported_together(model):
    model.generation_config.min_p, model.generation_config.top_k = 0.1, 20
    assert asked(model, temperature=0.7) == [
        "when sampling, the model's generation config sets min_p 0.1, which burnish does not apply",
        "when sampling, the settings of the model's generation config are used only if they are set: top_k 20",
    ]
