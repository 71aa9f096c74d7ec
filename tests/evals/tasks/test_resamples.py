"""Standard errors by resampling: their number, their progress, and evaluations of tasks without scores."""

import json
from pathlib import Path
from typing import Any

import pytest

from burnish.core.errors import RunError
from burnish.core.events import Progress, Table
from burnish.evals.tasks.library import contained, shown_resamples

from .test_tasks import evaluate

MEDIAN = "metric_list: [{metric: likelihood, aggregation: median, higher_is_better: true}]"
CODE = """
def results(doc, found):
    return {"likelihood": found[doc["answer"]][0]}
"""


@pytest.fixture
def median(tasks: Path) -> Path:
    """A task whose only metric is a median, which has no formula for its error, and is no mean of its questions."""
    task = (tasks / "choice.yaml").read_text().partition("metric_list:")[0]
    for file in tasks.glob("*.yaml"):
        file.unlink()
    (tasks / "choice.yaml").write_text(f"{task}process_results: !function code.results\n{MEDIAN}\n")
    (tasks / "code.py").write_text(CODE)
    return tasks


@pytest.mark.parametrize(("iters", "total"), [(150, 150), (1000, 1000), (2500, 2000)])
def test_resamples_are_those_of_lm_evaluation_harness_and_are_reported(iters: int, total: int) -> None:
    from lm_eval.api.metrics import bootstrap_stderr, median

    values = [0.1, 0.5, 0.2, 0.9, 0.4]
    shown: list[tuple[str, int, int]] = []
    with contained(True):
        own = bootstrap_stderr(median, values, iters)
        with shown_resamples(lambda *given: shown.append(given)):
            assert bootstrap_stderr(median, values, iters) == own
        assert bootstrap_stderr(median, values, iters) == own
    assert {phase for phase, _, _ in shown} == {"resamples for the standard error of median"}
    assert [done for _, done, _ in shown] == list(range(0, total, 100))
    assert {of for _, _, of in shown} == {total}


def test_resampling_can_be_stopped() -> None:
    from lm_eval.api.metrics import bootstrap_stderr, median

    def tick(phase: str, done: int, total: int) -> None:
        if done == 300:
            raise RunError("run.interrupted", "stopped", "run it again")

    with contained(True), shown_resamples(tick), pytest.raises(RunError, match="stopped"):
        bootstrap_stderr(median, [0.1, 0.5, 0.2], 100_000)


@pytest.mark.parametrize("iters", [0, 400])
def test_the_number_of_resamples_is_a_setting_and_0_leaves_errors_out(iters: int, median: Path, tmp_path: Path) -> None:
    measures, ctx, events = evaluate(tmp_path, median, trust_code=True, bootstrap_iters=iters)
    found = json.loads((ctx.out / "metrics.json").read_text())["tasks"]
    assert found["settings"]["bootstrap_iters"] == iters
    error: Any = found["model"]["results"]["sky"]["likelihood_stderr,none"]
    assert error == "N/A" if iters == 0 else error > 0.0
    reported = [event for event in events if isinstance(event, Progress) and "resamples" in event.phase]
    assert len(reported) == iters / 100
    assert measures["sky/likelihood"] < 0.0
    # the median is in the table of tasks; a table of scores would have no row
    assert [event.title.partition(" (")[0] for event in events if isinstance(event, Table)] == ["Tasks"]
    assert "## Scores" not in (ctx.out / "report.md").read_text()
