"""The recipe of the whole way runs in short form: each stage continues with the one before it, and is judged."""

import json
from pathlib import Path

import pytest

import burnish

RECIPE = Path(__file__).parents[2] / "recipes" / "align.yaml"
SHORT = [
    "requests.generator.rows=150",
    "answers.generator.rows=40",
    "tune.max_steps=30",
    "prefer.max_steps=3",
    "practise.max_steps=2",
    "practise.eval_every=null",
    *(f"{step}.prove=off" for step in ("tune", "prefer", "practise")),
    *(f"{step}.generation.max_new_tokens=8" for step in ("score_tune", "score_prefer", "practise", "score_practise")),
    "score.generation.max_new_tokens=8",
]
STAGES = ("prefer", "practise")
JUDGED = {
    "score_tune": "step:tune against base",
    "score_prefer": "step:prefer against step:tune",
    "score_practise": "step:practise against step:prefer",
    "score": "step:practise against builtin:pocket",
}


@pytest.mark.timeout(600)  # twelve steps, each in a process of its own: a minute of one core
def test_the_whole_way_of_alignment_is_judged_after_each_stage(tmp_path):
    run = burnish.run(RECIPE, settings=SHORT, workspace=tmp_path)
    for step, title in JUDGED.items():
        found = json.loads((run[step].path / "metrics.json").read_text())
        assert found["title"] == title
        assert found["scores"]["tool_call"]["verdict"]
    assert found["likelihood"]["bits_per_byte"]["verdict"] == "better"  # the last: than the model at its start
    prefer, practise = (json.loads((run[step].path.parent / "artifact.json").read_text()) for step in STAGES)
    assert prefer["inputs"]["base"]["ref"] == "step:tune"
    assert practise["inputs"]["base"]["ref"] == "step:prefer"
    assert run["ship"].metrics["tensors_changed"] > 0
