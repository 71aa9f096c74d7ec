"""The recipe of distillation, run as it ships, with a teacher that answers in a way of its own."""

import json
from pathlib import Path

import pytest

import burnish
from burnish.data.synthesize.pocket import conversations
from burnish.testing import ChatServer

RECIPE = Path(__file__).parents[2] / "recipes" / "distill.yaml"


def teacher():
    """Answers every third request of the recipe badly, says so as the judge, and begins the others politely."""
    known = {}
    for number, conversation in enumerate(conversations("base", 400, 31)):
        question, answer = conversation.messages
        known[question["content"]] = f"Sure. {answer['content'] or 'I will.'}", number % 3 == 0

    def answer(request):
        asked = request["messages"][-1]["content"]
        if "response_format" not in request:
            text, is_bad = known[asked]
            return f"Hm. {text}" if is_bad else text
        return json.dumps({"reason": "read", "score": 2 if "\nHm. " in asked else 9})

    return answer


@pytest.mark.torture  # five processes, a training among them: 60 s of one core
@pytest.mark.timeout(600)
def test_the_recipe_of_distillation_runs_as_it_ships(tmp_path, monkeypatch):
    monkeypatch.delenv("BURNISH_WORKSPACE", raising=False)
    with ChatServer(teacher()) as server:
        settings = [f"answers.generator.endpoint.url={server.url}", "score.max_rows=20"]
        result = burnish.run(RECIPE, settings=settings, workspace=tmp_path)
        answers, score = result["answers"], result["score"]
        stats = json.loads((answers.path / "stats.json").read_text())
        refused = stats["dropped"]["below the judge's threshold"]
        assert 100 < refused < 160
        assert stats["kept"] + refused == stats["read"]
        assert stats["read"] + sum(stats["given"]["left_out"].values()) == 400
        assert len(server.seen) == 2 * stats["read"]
        metrics = json.loads((score.path / "metrics.json").read_text())
        perplexity = metrics["likelihood"]["perplexity"]
        assert perplexity["model"]["value"] < perplexity["base"]["value"] / 2, "the student answers as the teacher"
        before = len(server.seen)
        burnish.run(RECIPE, settings=settings, workspace=tmp_path)
        assert len(server.seen) == before, "the second run reuses the first"
