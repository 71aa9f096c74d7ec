"""Evaluations over HTTP: scores with intervals, items, and the difference of two, as `compare` finds it."""

import inspect
import json

import pytest

import burnish
from burnish.server.routes.evaluations import list_answers, list_items
from made_runs import record_files_again

ONE, OTHER = "base/1/score", "tuned/1/score"
_ROWS = {"stage": "evaluate", "data": "file:rows.jsonl", "scorers": [{"kind": "exact_match"}]}
_EVALUATED = {**_ROWS, "generation": {"max_new_tokens": 4}, "dtype": "float32"}


@pytest.fixture(scope="module")
def studio(models_studio):
    """With an evaluation of the embedded model, one of the adapter, and the comparison that `compare` makes of them."""
    place = models_studio.folder
    burnish.run({"name": "base", "steps": {"score": {**_EVALUATED, "model": "builtin:pocket"}}}, workspace=place)
    burnish.run({"name": "tuned", "steps": {"score": {**_EVALUATED, "model": "sft.sft@1"}}}, workspace=place)
    candidates = {"one": "base.score@1", "other": "tuned.score@1"}
    burnish.run({"name": "both", "steps": {"verdict": {"stage": "compare", "candidates": candidates}}}, workspace=place)
    return models_studio


def get(studio, path, status=200, **query):
    answer = studio.page.get(f"/api/v1/evaluations{path}", params=query)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_an_evaluation_has_scores_with_intervals_by_the_names_of_its_sides(studio):
    found = get(studio, f"/{OTHER}")
    assert (found["kind"], found["rows"], found["sides"]) == ("evaluation", 8, {"model": "sft.sft@1"})
    measured = json.loads((studio.folder / "runs/tuned/1/score/out/metrics.json").read_text())
    [exact] = [score for score in found["scores"] if score["name"] == "exact_match"]
    said = measured["scores"]["exact_match"]["model"]
    assert exact["sides"]["model"] == {"value": said["value"], "low": said["low"], "high": said["high"]}
    assert {score["name"]: score["higher_is_better"] for score in found["scores"]} == {
        "exact_match": True,
        "perplexity": False,
        "bits_per_byte": False,
    }
    assert found["judging"] is None


def test_the_difference_of_two_evaluations_is_what_compare_writes(studio):
    assert get(studio, "/pairs", one="base/1", other="tuned/1") == [{"step": "score", "one": ONE, "other": OTHER}]
    assert get(studio, "/pairs", one="base/1", other="base/1") == []
    found, written = get(studio, "/difference", one=ONE, other=OTHER), get(studio, "/both/1/verdict")
    assert found["differences"]
    assert all(one["low"] <= one["delta"] <= one["high"] for one in found["differences"])
    assert found["differences"] == written["differences"]
    assert {one["corrected_for"] for one in found["differences"]} == {len(found["differences"])}
    assert found["scores"] == written["scores"]
    assert written["sides"] == {"one": "base.score@1", "other": "tuned.score@1"}


def test_answers_stand_side_by_side_those_that_differ_first(studio):
    found = get(studio, "/answers", one=ONE, other=OTHER, limit=3)
    assert (len(found["items"]), found["total"]) == (3, 8)
    assert [side["name"] for side in found["items"][0]["sides"]] == ["one", "other"]
    assert len({side["answer"] for side in found["items"][0]["sides"]}) == 2
    assert found["items"][0]["reference"].startswith("Number")
    assert get(studio, "/answers", one=ONE, other=OTHER, q="number 3!")["match"] == 1
    items = get(studio, "/both/1/verdict/items")["items"]
    assert [side["name"] for side in items[0]["sides"]] == ["one", "other"]


def test_evaluations_of_other_rows_are_refused(studio):
    (studio.folder / "other.jsonl").write_text(
        json.dumps({"messages": [{"role": "user", "content": "Bye"}, {"role": "assistant", "content": "So long"}]})
    )
    values = {**_EVALUATED, "model": "builtin:pocket", "data": "file:other.jsonl"}
    burnish.run({"name": "elsewhere", "steps": {"score": values}}, workspace=studio.folder)
    refused = get(studio, "/difference", 422, one=ONE, other="elsewhere/1/score")
    assert refused["code"] == "data.other-rows"
    assert get(studio, "/answers", one=ONE, other="elsewhere/1/score")["items"] == []
    assert get(studio, "/sft/1/sft", 404)["code"] == "ask.no-such-run"


def test_a_judgement_has_agreement_and_cost(studio):
    run = studio.folder / "runs" / "tuned" / "1" / "score" / "out" / "metrics.json"
    kept, spent = run.read_text(), {"requests": 2, "cached": 1, "retries": 0, "prompt_tokens": 9, "reply_tokens": 3}
    spent |= {"cost": 0.25, "uncounted": 0}
    alpha = {"value": 0.8, "low": 0.5, "high": 0.9, "rows": 8}
    more = {
        "missing": {"replies": 8, "missing": 1, "reasons": {"refusal": 1}, "by_judge": {"strict": 1}, "not_asked": {}},
        "cost": {**spent, "by_judge": {"strict": spent}},
        "asked": {"judges": {"strict": {"endpoint": "strict at a host"}}},
        "agreement": {"useful": {"level": "ordinal", "judges": alpha, "repeats": {"strict": alpha}, "human": {}}},
    }
    try:
        run.write_text(json.dumps({**json.loads(kept), **more}))
        record_files_again(run.parents[1])
        found = get(studio, f"/{OTHER}")["judging"]
    finally:
        run.write_text(kept)
        record_files_again(run.parents[1])
    assert found["judges"] == [{"name": "strict", "endpoint": "strict at a host", **spent, "missing": 1}]
    assert [(one["between"], one["judge"], one["value"]) for one in found["agreement"]] == [
        ("repeats", "strict", 0.8),
        ("judges", None, 0.8),
    ]


@pytest.mark.parametrize(("verb", "usual"), [(list_answers, "changed"), (list_items, "file")])
def test_each_list_of_items_has_its_usual_order(verb, usual):
    [page] = inspect.get_annotations(verb)["page"].__metadata__
    assert inspect.signature(page.dependency).parameters["order"].default == usual
