"""The stage grpo, from a file of prompts to an adapter and its rollout ledger, and what it refuses."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from burnish.core.errors import DataError
from burnish.core.recipes.recipe import load_recipe
from burnish.core.runs.ledger import ConsumptionLedger
from burnish.models.load import load_model
from burnish.specs.rl import GrpoSpec
from burnish.stages.train.rl import grpo
from burnish.testing import temporary_context, tiny_model

TINY = {
    "generation": {"max_new_tokens": 6},
    "batch_size": 3,
    "group_size": 2,
    "max_steps": 2,
    "threads": 1,
    "prove": "off",
}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("base"), "qwen3", initializer_range=0.2)


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def chat(question, answer):
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def prompt(question, **columns):
    return {"prompt": [{"role": "user", "content": question}], **columns}


def run(folder, base, data, **settings):
    """Run the stage as a worker does, its settings followed by the consumption ledger."""
    given = {"rewards": [{"kind": "length", "target": 3, "margin": 9}]} | TINY | settings
    spec = GrpoSpec(data="file:d", base="file:b", **given)
    context, events = temporary_context(folder, {"data": data, "base": base})
    with ConsumptionLedger(spec) as ledger:
        for name in ("data", "base"):
            ledger.input_was_read(name)
        context.check_settings = ledger.check
        outcome = grpo.run(spec, context)
    return outcome, context.out, events


def ledger_of(out):
    return pq.read_table(out / "rollouts.parquet").to_pylist()


@pytest.mark.parametrize("method", [{"kind": "lora", "rank": 2}, {"kind": "full"}], ids=["lora", "full"])
def test_prompts_become_a_model_and_a_ledger(base, tmp_path, method):
    data = write(tmp_path / "rows.jsonl", [prompt(f"Say {number}") for number in range(6)])
    outcome, out, _ = run(tmp_path / "run", base, data, method=method, kl_coefficient=0.1, passes=2, max_steps=4)
    assert outcome.kind == ("adapter" if method["kind"] == "lora" else "model")
    assert outcome.measures["steps"] == 4
    load_model(out)
    lines = ledger_of(out)
    assert [line["step"] for line in lines] == [1] * 6 + [3] * 6
    assert all(json.loads(line["prompt"])[0]["content"].startswith("Say") for line in lines)


def test_the_last_turn_of_a_conversation_is_the_reference(base, tmp_path):
    data = write(tmp_path / "rows.jsonl", [chat(f"Say {number}", f"answer {number}") for number in range(6)])
    _, out, _ = run(tmp_path / "run", base, data, rewards=[{"kind": "chrf"}])
    for line in ledger_of(out):
        number = json.loads(line["prompt"])[0]["content"].removeprefix("Say ")
        assert line["reference"] == f"answer {number}"
        assert "assistant" not in line["prompt"]


def test_a_column_is_the_reference_where_it_is_named(base, tmp_path):
    rows = [prompt(f"Say {number}", gold=str(number)) for number in range(6)]
    _, out, _ = run(
        tmp_path / "run", base, write(tmp_path / "rows.jsonl", rows), answer="gold", rewards=[{"kind": "number"}]
    )
    assert {line["reference"] for line in ledger_of(out)} <= set("012345")
    with pytest.raises(DataError, match=r"rows\.jsonl:1: the row has no column .golds.") as caught:
        run(tmp_path / "other", base, tmp_path / "rows.jsonl", answer="golds", rewards=[{"kind": "number"}])
    assert "gold" in caught.value.fix


@pytest.mark.parametrize(
    ("row", "code", "what"),
    [
        ({"text": "just a text"}, "data.unknown-format", "of kind text"),
        ({"prompt": "a", "chosen": "b", "rejected": "c"}, "data.unknown-format", "of kind preference"),
        ({"messages": [{"role": "assistant", "content": "b"}]}, "data.unknown-format", "no turn before its answer"),
        (prompt("long " * 99), "data.too-long", "more than render.max_length 64"),
    ],
    ids=["text", "preference", "no prompt", "long"],
)
def test_rows_without_a_prompt_are_refused_by_name(base, tmp_path, row, code, what):
    data = write(tmp_path / "rows.jsonl", [row])
    with pytest.raises(DataError, match=what) as caught:
        run(tmp_path / "run", base, data, render={"max_length": 64})
    assert caught.value.code == code
    assert "rows.jsonl:1" in str(caught.value)


def test_long_prompts_are_dropped_and_counted_where_asked(base, tmp_path):
    data = write(tmp_path / "rows.jsonl", [prompt(f"Say {number}") for number in range(4)] + [prompt("long " * 99)])
    _, out, events = run(tmp_path / "run", base, data, render={"max_length": 64, "over_length": "drop"})
    assert any("1 " in event.text and "dropped" in event.text for event in events if event.kind == "note")
    assert not any("long" in line["prompt"] for line in ledger_of(out))


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"batch_tokens": 100}, "batch_size"),
        ({"mini_batches": 9}, "at least one prompt"),
        ({"kl_coefficient": 0.1, "kl_estimator": "k1", "unbiased_kl": False}, "zero on average"),
        ({"kl_estimator": "k3"}, "kl_estimator without kl_coefficient"),
        ({"reference": "file:other", "kl_coefficient": 0}, "reference without kl_coefficient: set it above 0"),
        ({"kl_coefficient": 0, "kl_in": "loss", "unbiased_kl": True}, "kl_in, unbiased_kl without kl_coefficient"),
        ({"kl_coefficient": 0.1, "kl_in": "reward", "unbiased_kl": True}, "no meaning for kl_in: reward"),
        ({"kl_coefficient": 0.1, "kl_estimator": "k2", "unbiased_kl": True}, "no meaning for kl_estimator: k2"),
        ({"rewards": []}, "at least 1 item"),
        ({"group_size": 1}, "greater than or equal to 2"),
        ({"generation": {"temperature": 0}}, "greater than 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, what):
    with pytest.raises(ValidationError, match=what):
        GrpoSpec(data="file:d", base="file:b", **{"rewards": [{"kind": "number"}]} | settings)


def test_the_recipe_is_valid():
    recipe = load_recipe([Path(__file__).parents[4] / "recipes" / "grpo.yaml"])
    assert [step.stage.name for step in recipe.steps][-2:] == ["grpo", "evaluate"]
