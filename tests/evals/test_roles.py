"""evaluate of models that do not generate: reward models, and encoders by masked tokens."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from burnish.core.errors import AskError
from burnish.core.events import Note
from burnish.core.runs.ledger import ConsumptionLedger
from burnish.evals.masked import chunks, masks
from burnish.evals.rewards import ACCURACY, measure_rewards
from burnish.evals.scoring.scorers import Unscored
from burnish.models.load import load_model
from burnish.models.reward import add_score_head, as_classifier, load_reward_model
from burnish.specs.evals import EvaluateSpec
from burnish.stages.evals.evaluate import run
from burnish.testing import temporary_context, tiny_model, tiny_tokenizer
from burnish.tokens.load import load_tokenizer
from burnish.tokens.rendering.renderer import Renderer


def evaluated(
    folder: Path, model: Path, data: Path, other: Path | None = None, **settings: Any
) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]], list[str]]:
    inputs = {"model": model, "data": data} | ({} if other is None else {"compare_with": other})
    ctx, events = temporary_context(folder, inputs)
    compare = {} if other is None else {"compare_with": f"file:{other}"}
    spec = EvaluateSpec(model=f"file:{model}", data=f"file:{data}", **compare, **settings)
    with ConsumptionLedger(spec) as ledger:
        for name in inputs:
            ledger.input_was_read(name)
        ctx.check_settings = ledger.check
        measures = dict(run(spec, ctx).measures)
    lines = [json.loads(line) for line in (ctx.out / "items.jsonl").read_text().splitlines()]
    notes = [event.text for event in events if isinstance(event, Note)]
    return measures, json.loads((ctx.out / "metrics.json").read_text()), lines, notes


@pytest.fixture
def reward_model(tmp_path: Path) -> Path:
    folder = tiny_model(tmp_path / "causal")
    model = load_model(folder)
    torch.manual_seed(1)
    add_score_head(model)
    as_classifier(model, 0).save_pretrained(tmp_path / "reward")
    tiny_tokenizer(tmp_path / "reward")
    return tmp_path / "reward"


def turn(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": text}


def test_a_reward_model_has_the_accuracy_and_margin_of_its_pairs(
    reward_model: Path, tmp_path: Path, make_dataset: Any
) -> None:
    from transformers import AutoModelForSequenceClassification

    pairs = [(f"question {number}", f"good {number}" * number, "bad") for number in range(1, 7)]
    rows = [
        {"id": f"{number:016x}", "source": "d:1", "kind": "preference", "messages": [turn("user", asked)]}
        | {"chosen": [turn("assistant", good)], "rejected": [turn("assistant", bad)]}
        for number, (asked, good, bad) in enumerate(pairs)
    ]
    rows.append(
        {"id": "f" * 16, "source": "d:9", "kind": "chat", "messages": [turn("user", "a"), turn("assistant", "b")]}
    )
    data = make_dataset(test=rows)
    measures, metrics, lines, _ = evaluated(tmp_path / "run", reward_model, data, reward_model)
    model = AutoModelForSequenceClassification.from_pretrained(reward_model).eval()
    renderer = Renderer(load_tokenizer(reward_model))

    def score(asked: str, answer: str) -> float:
        [row] = renderer.render({"kind": "chat", "messages": [turn("user", asked), turn("assistant", answer)]})
        with torch.no_grad():
            return float(model(input_ids=torch.tensor([row.ids.tolist()])).logits[0, 0])

    scores = [(score(asked, good), score(asked, bad)) for asked, good, bad in pairs]
    for line, (chosen, rejected) in zip(lines, scores, strict=False):
        assert line["values"] == pytest.approx(
            {"chosen": chosen, "rejected": rejected, "margin": chosen - rejected}, abs=1e-5
        )
    assert lines[-1]["values"]["reward"] == pytest.approx(score("a", "b"), abs=1e-5)
    assert measures["pair_accuracy"] == measures["pair_accuracy_base"] == sum(a > b for a, b in scores) / len(scores)
    assert metrics["scores"]["pair_accuracy"]["model"]["n"] == 6
    margin = metrics["values"]["margin"]["model"]
    assert margin["value"] == pytest.approx(sum(a - b for a, b in scores) / len(scores), abs=1e-5)
    assert margin["low"] < margin["value"] < margin["high"]
    assert measures["reward"] == pytest.approx(score("a", "b"), abs=1e-5)


def test_a_number_of_a_reward_model_that_is_not_finite_is_no_score(reward_model: Path) -> None:
    model = load_reward_model(reward_model)
    with torch.no_grad():
        model.score.weight.fill_(math.nan)
    renderer = Renderer(load_tokenizer(reward_model))
    pair = {"chosen": [turn("assistant", "good")], "rejected": [turn("assistant", "bad")]}
    rows = [{"id": "a", "kind": "preference", "messages": [turn("user", "a"), *pair["chosen"]], **pair}]
    rows.append({"id": "b", "kind": "chat", "messages": [turn("user", "a"), turn("assistant", "b")]})
    for item in measure_rewards(model, renderer, rows, lambda phase, done, total: None):
        assert item.scores == {ACCURACY: Unscored("the model's number is not finite")}
        assert item.values == {}


EXCHANGE = [turn("user", "a"), turn("assistant", "b")]


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    from transformers import BertConfig, BertForMaskedLM, BertTokenizerFast

    folder = tmp_path / "bert"
    folder.mkdir()
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *["the", "a", "cat", "dog", "sat", "ran", "on", "mat", "big", "red", "."],
    ]
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=12,
    )
    BertForMaskedLM(config).save_pretrained(folder)
    return folder


TEXTS = ["the cat sat on the mat .", "a big red dog ran on the big red mat . the cat sat on the dog . the dog ran ."]


def text_rows() -> list[dict[str, Any]]:
    return [{"id": f"{n:016x}", "source": f"d:{n}", "kind": "text", "text": text} for n, text in enumerate(TEXTS)]


@pytest.mark.parametrize("settings", [{"share": 0.3, "seed": 4}, {"each": True}], ids=["share", "each"])
def test_an_encoder_has_the_loss_of_its_masked_tokens(
    settings: dict[str, Any], encoder: Path, tmp_path: Path, make_dataset: Any
) -> None:
    from transformers import AutoModelForMaskedLM

    chat = {"id": "c" * 16, "source": "d:9", "kind": "chat", "messages": EXCHANGE}
    data = make_dataset(test=[*text_rows(), chat])
    measures, metrics, lines, notes = evaluated(tmp_path / "run", encoder, data, masked=settings)
    model, tokenizer = AutoModelForMaskedLM.from_pretrained(encoder).eval(), load_tokenizer(encoder)
    total, count = 0.0, 0
    for row, line in zip(text_rows(), lines, strict=False):
        nats, tokens = 0.0, 0
        for number, ids in enumerate(chunks(tokenizer, row["text"], 12)):
            assert len(ids) <= 12
            name = f"{settings.get('seed', 0)} {row['id']} {number}"
            for places in masks(tokenizer, ids, settings.get("share", 0.15), settings.get("each", False), name):
                masked = torch.tensor([ids])
                masked[0, places] = tokenizer.mask_token_id
                with torch.no_grad():
                    logits = model(input_ids=masked).logits[0].log_softmax(-1)
                nats -= sum(float(logits[place, ids[place]]) for place in places)
                tokens += len(places)
        assert (line["nll"], line["tokens"]) == (pytest.approx(nats, rel=1e-5), tokens)
        total, count = total + nats, count + tokens
    assert measures["perplexity"] == pytest.approx(math.exp(total / count), rel=1e-5)
    assert metrics["masked"]["each"] == settings.get("each", False)
    assert "1 of 3 rows are not measured: the row has no text" in notes
    words = sum(len(text.split()) for text in TEXTS)
    assert count == words if settings.get("each") else count < 0.5 * words


def test_settings_that_a_model_cannot_have_are_refused_by_name(
    encoder: Path, reward_model: Path, base_model: Path, tmp_path: Path, make_dataset: Any
) -> None:
    data = make_dataset(test=text_rows())
    for number, (model, settings, what) in enumerate(
        [
            (encoder, {"scorers": [{"kind": "rouge"}]}, "an encoder, and scorers does not apply"),
            (reward_model, {"generation": {"seed": 1}}, "a reward model, and generation does not apply"),
            (reward_model, {"masked": {"share": 0.2}}, "a reward model, and masked does not apply"),
            (base_model, {"masked": {"share": 0.2}}, "a language model, and masked does not apply"),
        ]
    ):
        with pytest.raises(AskError, match=what):
            evaluated(tmp_path / str(number), model, data, **settings)
