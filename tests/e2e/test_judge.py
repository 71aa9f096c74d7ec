"""The recipe of the judge, run as it ships, with a judge that tells right answers from wrong ones."""

import json
import re
from pathlib import Path

import pytest

import burnish
from burnish.testing import ChatServer

RECIPE = Path(__file__).parents[2] / "recipes" / "judge.yaml"


def verdict(request):
    text = request["messages"][-1]["content"]
    if "[Reference answer]" in text:
        reference, answer = re.search(
            r"\[Reference answer\]\n(.*?)\n\n\[Answer\]\n(.*?)\n\nThe texts", text, re.S
        ).groups()
        return json.dumps({"reason": "compared", "correct": "correct" if answer == reference else "incorrect"})
    return json.dumps({"reason": "read", "useful": 1 + request["seed"] + len(text) % 4, "brief": "yes"})


@pytest.mark.torture  # five processes, most of them to answer: 15 s of one core
def test_the_recipe_of_the_judge_runs_as_it_ships(tmp_path, monkeypatch):
    monkeypatch.delenv("BURNISH_WORKSPACE", raising=False)
    with ChatServer(verdict) as server:
        places = [f"{step}.judge.url={server.url}" for step in ("agree", "rate")]
        settings = [*places, "answers.max_rows=12"]
        result = burnish.run(RECIPE, settings=settings, workspace=tmp_path)
        agree, rate = result["agree"], result["rate"]
        assert agree.metrics["correct"] > 0.7  # the built-in model knows these questions
        assert (agree.metrics["missing"], rate.metrics["missing"]) == (0, 0)
        assert {"useful", "brief", "overall"} <= rate.metrics.keys()
        metrics = json.loads((rate.path / "metrics.json").read_text())
        assert metrics["agreement"]["useful"]["repeats"]["judge"]["value"] < 1
        assert metrics["scores"]["brief"]["model"]["value"] == 1.0
        assert len(server.seen) == 12 + 24
