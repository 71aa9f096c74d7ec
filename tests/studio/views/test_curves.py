"""Curves of a run's metrics, thinned so that no peak is lost."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.core.errors import AskError
from burnish.core.events import Metric
from burnish.studio.views.curves import FEWEST_POINTS, curve, curves, kept_points


@pytest.fixture
def run(workspace):
    run = workspace.run("r", workspace.claim_number("r"), "tune")
    names = {"recipe": "r", "number": 1, "step": "tune", "stage": "sft", "fingerprint": "f"}
    run.create({**names, "spec": {}, "inputs": {}})
    workspace.record_plan("r", 1, {"recipe": "r", "steps": [{"step": "tune", "folder": run.name}]})
    return run


def test_a_short_curve_is_exact(run, workspace):
    for step, loss in enumerate([3.0, 2.0, math.nan, 1.0]):
        run.events.append(Metric(at=10.0 + step, step=step, values={"loss": loss, "lr": 0.1}))
    (found,) = curves("r/1/tune", workspace=workspace.root)
    assert found["run"] == "r/1/tune"
    assert list(found["curves"]) == ["loss", "lr"]
    loss = found["curves"]["loss"]
    assert (loss["steps"], loss["at"], loss["count"]) == ([0, 1, 2, 3], [10.0, 11.0, 12.0, 13.0], 4)
    assert repr(loss["values"]) == "[3.0, 2.0, nan, 1.0]"


def test_a_step_that_was_repeated_after_a_resume_has_its_last_value(run):
    for step, loss in [(1, 3.0), (2, 2.0), (3, 9.0), (2, 1.5), (3, 1.0), (4, 0.5)]:
        run.events.append(Metric(step=step, values={"loss": loss}))
    assert curve(run) == [(1, 3.0), (2, 1.5), (3, 1.0), (4, 0.5)]
    assert curve(run, "accuracy") == []


def test_only_the_metrics_that_are_named_are_given(run, workspace):
    run.events.append(Metric(step=1, values={"loss": 1.0, "lr": 2.0}))
    (found,) = curves("r/1", ["lr", "none"], workspace=workspace.root)
    assert list(found["curves"]) == ["lr"]
    with pytest.raises(AskError) as caught:
        curves("r/2", workspace=workspace.root)
    assert caught.value.code == "ask.no-such-run"
    with pytest.raises(AskError, match="a curve of 2 points shows nothing"):
        curves("r/1", points=2, workspace=workspace.root)


def test_a_metric_that_a_step_has_not_may_come_until_it_has_succeeded(run, workspace):
    run.events.append(Metric(step=1, values={"loss": 1.0, "lr": 2.0}))
    run.transition("running")
    assert curves("r/1/tune", ["nope"], workspace=workspace.root)[0]["curves"] == {}
    run.transition("succeeded")
    assert list(curves("r/1/tune", ["lr"], workspace=workspace.root)[0]["curves"]) == ["lr"]
    with pytest.raises(AskError, match="r/1/tune has no metric 'nope'") as caught:
        curves("r/1/tune", ["lr", "nope"], workspace=workspace.root)
    assert (caught.value.code, caught.value.fix) == ("ask.wrong-value", "name some of loss, lr")


def test_a_long_curve_is_thinned_and_keeps_its_peaks(run, workspace):
    values = [random.Random(step).random() for step in range(30_000)]
    values[12_345], values[20_001] = 50.0, -50.0
    text = "".join(
        f'{{"at":{step}.0,"kind":"metric","step":{step},"values":{{"loss":{value!r}}}}}\n'
        for step, value in enumerate(values)
    )
    run.events.path.write_text(text)
    (found,) = curves("r/1/tune", points=200, workspace=workspace.root)
    loss = found["curves"]["loss"]
    assert loss["count"] == 30_000
    assert 190 <= len(loss["steps"]) <= 200
    assert loss["steps"] == sorted(set(loss["steps"]))
    assert {0, 12_345, 20_001, 29_999} <= set(loss["steps"])
    assert loss["values"] == [values[step] for step in loss["steps"]]


def test_an_average_is_over_all_points_also_where_few_are_kept(run, workspace):
    draw = random.Random(0)
    values = [draw.expovariate(4) for _ in range(20_000)]  # many are low, few are high: the kept ones stand far above
    values[700] = math.nan
    named = {step: repr(value).replace("nan", '"NaN"') for step, value in enumerate(values)}
    lines = (f'{{"at":1.0,"kind":"metric","step":{10 * step},"values":{{"loss":{named[step]}}}}}\n' for step in named)
    run.events.path.write_text("".join(lines))
    (found,) = curves("r/1/tune", points=1500, smoothing=0.99, workspace=workspace.root)
    loss = found["curves"]["loss"]
    plain, mean, weight = {}, 0.0, 0.0
    for step, value in enumerate(values):
        if value == value:
            kept = 0.99 ** (20 if step == 701 else 10)
            mean, weight = kept * mean + 0.01 * value, kept * weight + 0.01
        plain[10 * step] = mean / weight
    assert len(loss["steps"]) <= 1500 < loss["count"]
    assert loss["smoothed"] == pytest.approx([plain[step] for step in loss["steps"]])
    assert loss["weight"] == pytest.approx(weight)


def test_a_smoothing_is_from_0_to_below_1(run, workspace):
    run.events.append(Metric(step=1, values={"loss": 1.0}))
    (plain,) = curves("r/1/tune", workspace=workspace.root)
    assert "smoothed" not in plain["curves"]["loss"]
    for wrong in (-0.1, 1.0, math.nan):
        with pytest.raises(AskError, match="gives no average"):
            curves("r/1/tune", smoothing=wrong, workspace=workspace.root)


@given(
    st.lists(st.floats(-9, 9) | st.sampled_from([math.nan, math.inf]), min_size=9, max_size=300),
    st.integers(FEWEST_POINTS, 8),
)
def test_no_part_loses_its_extremes(values, points):
    kept = kept_points(values, points)
    assert len(kept) <= points
    assert kept == sorted(set(kept))
    assert {0, len(values) - 1} <= set(kept)
    finite = [value for value in values if math.isfinite(value)]
    if finite:
        assert {min(finite), max(finite)} <= {values[i] for i in kept}
    if len(finite) < len(values):
        assert any(not math.isfinite(values[i]) for i in kept)
