"""Of every score that an evaluation or a judgement can write, higher is better: nothing downstream has to ask."""

from typing import Any, get_args

import pytest

from burnish.evals.judge.criteria import criteria_of
from burnish.evals.judge.outcomes import PAIR_SCALE
from burnish.evals.scoring.scorers import Score, build_scorers, score_answer
from burnish.evals.tasks.results import sampled, without_scores
from burnish.specs.evals import CustomScorerSpec, MultipleChoiceSpec, Scorer
from burnish.specs.evals.judge import JudgeSpec
from burnish.specs.evals.rubrics import RUBRICS

CALL = '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>'
SETTINGS: dict[str, dict[str, Any]] = {"regex": {"pattern": "answer is (\\w+)"}, "language": {"expected": "de"}}
GERMAN = "Das Wetter ist heute schön, und wir gehen am Nachmittag in den Garten."
ANSWERS = {
    "regex": ("the answer is four", "the answer is five"),
    "number": ("it is 4", "it is 5"),
    "json": ('{"a": 1}', '{"a": 2}'),
    "tool_call": (CALL, "no call"),
    "language": (GERMAN, "The weather is fine today, and we walk in the garden this afternoon."),
}
"""A right and a wrong answer by kind; the reference is the right one."""
KINDS = [kind for kind in get_args(get_args(Scorer)[0]) if kind not in (CustomScorerSpec, MultipleChoiceSpec)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.model_fields["kind"].default)
def test_a_right_answer_has_the_higher_score(kind: Any) -> None:
    name = kind.model_fields["kind"].default
    right, wrong = ANSWERS.get(name, ("the sky is blue", "grass"))
    call = {"type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    turn = {"role": "assistant", "content": ""} | ({"tool_calls": [call]} if name == "tool_call" else {})
    turns = [{"role": "user", "content": "?"}, turn]
    row: dict[str, Any] = {"id": "x", "source": "d:1", "kind": "chat", "messages": turns}
    if name == "tool_call":
        row["tools"] = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    scorers = build_scorers([kind(**SETTINGS.get(name, {}))])
    for made in scorers:
        better, worse = (score_answer([made], answer, right, row).get(made.name) for answer in (right, wrong))
        if better is not None:
            assert isinstance(better, Score)
            assert isinstance(worse, Score)
            assert better.value == 1 > worse.value
            break
    else:
        pytest.fail("no score")


@pytest.mark.parametrize("rubric", RUBRICS)
def test_the_best_point_of_a_judges_scale_has_the_highest_score(rubric: str) -> None:
    spec = JudgeSpec(answers="file:a", rubric=rubric, judge={"url": "http://h/v1", "model": "m"})  # pyright: ignore
    for criterion in criteria_of(spec):
        scores = [criterion.scale.score(point) for point in criterion.scale.points or ()]
        assert scores == sorted(scores)
        assert (scores[0], scores[-1]) == (0, 1)
    assert PAIR_SCALE.score("answers") == 1 > PAIR_SCALE.score("against")


def results(metric: str, direction: bool | None, values: list[float], mean: float) -> dict[str, Any]:
    """What lm-evaluation-harness gives for a task with one metric."""
    samples = [
        {
            "doc_id": number,
            "doc_hash": "d",
            "target_hash": "t",
            "filter": "none",
            "metrics": [metric],
            "arguments": [("q", "a")],
            "target": "a",
            "resps": [["a"]],
            "filtered_resps": ["a"],
            metric: value,
        }
        for number, value in enumerate(values)
    ]
    known = {} if direction is None else {metric: direction}
    found = {"samples": {"task": samples}, "higher_is_better": {"task": known}}
    return {**found, "results": {"task": {f"{metric},none": mean}}}


def test_metrics_of_tasks_become_scores_only_where_higher_is_better() -> None:
    registry = pytest.importorskip("lm_eval.api.registry")
    pytest.importorskip("lm_eval.api.metrics")
    metrics = {**registry.higher_is_better_registry, "of_a_plugin": None}
    assert {True, False} <= set(metrics.values())
    for metric, direction in metrics.items():
        found = results(metric, direction, [0.0, 1.0], 0.5)
        scores = [name for item in sampled(found, None).items for name in item.scores]
        notes = list(without_scores(found))
        if direction is True:
            assert (set(scores), notes) == ({f"task/{metric}"}, [])
        else:
            why = "lower is better" if direction is False else "does not say whether higher is better"
            assert scores == []
            assert notes[0].startswith(f"task/{metric}: in the table of tasks")
            assert notes[0].endswith(why)
    [note] = without_scores(results("f1", True, [0.0, 1.0], 0.7))
    assert note.endswith("they are no means over the questions")
