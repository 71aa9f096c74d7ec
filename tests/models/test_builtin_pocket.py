"""The model that ships with burnish: whole, small, and as good as its card says."""

import hashlib
import json
import re
from importlib.resources import files
from itertools import islice
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from burnish.data.dataset import DatasetWriter
from burnish.data.document import make_row
from burnish.data.synthesize.pocket import conversations
from burnish.specs.evals import EvaluateSpec
from burnish.stages.evals import evaluate
from burnish.testing import temporary_context

POCKET = Path(str(files("burnish") / "builtin" / "pocket"))
MEASURED = json.loads((POCKET / "measures.json").read_text())


def rows_never_trained_on(count: int) -> list[dict]:
    """Base rows of another seed whose questions do not stand in the 60,000 of the recipe."""
    trained = {_asked(conversation) for conversation in conversations("base", 60_000, seed=1)}
    fresh = (c for c in conversations("base", 10 * count, seed=777) if _asked(c) not in trained)
    return [make_row("chat", f"fresh#{n}", messages=c.messages, tag=c.tag) for n, c in enumerate(islice(fresh, count))]


def _asked(conversation) -> str:
    return " ".join(conversation.messages[0]["content"].casefold().split())


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pocket")
    with DatasetWriter(folder / "data") as dataset:
        for row in rows_never_trained_on(100):
            dataset.write(row, "test")
    (folder / "data" / "stats.json").write_text("{}")
    ctx, _ = temporary_context(folder, {"model": POCKET, "data": folder / "data"})
    settings = {"model": "builtin:pocket", "data": "step:data", "generation": {"max_new_tokens": 64}, "threads": 1}
    evaluate.run(EvaluateSpec.model_validate(settings), ctx)
    return json.loads((ctx.out / "metrics.json").read_text())


def test_it_answers_what_it_was_never_trained_on(evaluation):
    assert evaluation["rows"] == 100
    assert evaluation["scores"]["exact_match"]["model"]["value"] >= 0.9


def test_it_is_small_enough_to_ship():
    assert sum(path.stat().st_size for path in POCKET.iterdir()) < 4_000_000


def test_it_is_a_plain_model_folder():
    model = AutoModelForCausalLM.from_pretrained(POCKET)
    tokenizer = AutoTokenizer.from_pretrained(POCKET)
    assert model.dtype == torch.bfloat16
    assert sum(weight.numel() for weight in model.parameters()) == MEASURED["parameters"]
    assert model.config.vocab_size == len(tokenizer)
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id


def test_its_measures_belong_to_its_weights():
    digest = hashlib.sha256((POCKET / "model.safetensors").read_bytes()).hexdigest()
    assert digest == MEASURED["weights_sha256"], "measure the new weights: recipes/embedded-base.yaml, step score"


def test_its_card_says_what_was_measured():
    card = (POCKET / "README.md").read_text(encoding="utf-8")
    table = dict(re.findall(r"^\| ([a-z_ ]+?) +\| +([0-9.,]+) \|", card, flags=re.MULTILINE))
    scores = MEASURED["held_out"]
    expected = {"all": scores["exact_match"], **scores["by_skill"]}
    assert {name: float(value) for name, value in table.items()} == {k: round(v, 3) for k, v in expected.items()}
    assert f"{scores['rows']:,} held-out" in card
    assert f"{MEASURED['parameters']:,} parameters" in card
    assert f"{MEASURED['training']['tokens']:,} tokens" in card


def test_nothing_of_another_machine_stands_in_it():
    for path in POCKET.glob("*.json"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"/(home|root|tmp|work|Users)/", text), path.name
        assert "local_files_only" not in text
