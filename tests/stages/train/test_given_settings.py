"""Every setting of every training may be given: what a stage reads late is not refused as unused before a step."""

import pytest

from burnish.core.catalog import stages

KINDS = {
    "sft": "chat",
    "pretrain": "text",
    "dpo": "preference",
    "kto": "label",
    "orpo": "preference",
    "simpo": "preference",
    "reward": "preference",
    "grpo": "chat",
    "ppo": "chat",
}
CONDITIONAL = {
    "eval_rows",  # without validation rows
    "eval_every",
    "early_stop",
    "keep_best",
    "eval_temperature",
    "epochs",  # beside max_steps
    "device",
    "attention",
    "batch_tokens",  # beside batch_size
    "batch_size",
    "reference",  # another model, or the adapter switched off: tests of references
    "margin_column",
}
NEEDED = {
    "grpo": {"rewards": [{"kind": "chrf"}], "kl_coefficient": 0.1, "group_size": 2, "kl_estimator": "k3"},
    "ppo": {"rewards": [{"kind": "chrf"}], "kl_coefficient": 0.1},
}


def plain_defaults(stage):
    """The settings of a stage that are one value by default, as given by a person."""
    fields = stages()[stage].spec_type().__pydantic_fields__
    found = {name: field.get_default(call_default_factory=True) for name, field in fields.items()}
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, bool | int | float | str) and name not in CONDITIONAL
    }


def test_every_training_is_in_the_table():
    trainings = {name for name, row in stages().items() if "prove" in row.spec_type().__pydantic_fields__}
    assert trainings == set(KINDS)


@pytest.mark.parametrize("stage", KINDS)
def test_every_setting_may_be_given(stage, base, rows, run_stage):
    given = plain_defaults(stage) | {"max_steps": 1, "prove": "off"} | NEEDED.get(stage, {})
    generation = {"generation": {"max_new_tokens": 4}} if stage in ("grpo", "ppo") else {}
    outcome, _, _ = run_stage(stage, "run", {"base": base, "data": rows(KINDS[stage])}, **given, **generation)
    assert outcome.measures["steps"] == 1
