"""The results of tasks as rows and items of an evaluation, and as a table with lm-evaluation-harness's own numbers."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from burnish.core.fingerprint import of_value
from burnish.evals.likelihood import Likelihood
from burnish.evals.measure import Item
from burnish.evals.scoring.scorers import Row, Score

_BYTES = ("byte_perplexity", "bits_per_byte")
_SAME = 1e-9


@dataclass(frozen=True)
class Sampled:
    """The questions of all tasks as rows, with what the model did on each."""

    rows: list[Row]
    items: list[Item]


def sampled(found: Mapping[str, Any], count_tokens: Callable[[str], int] | None) -> Sampled:
    """One row for each question of each task.

    A score is a metric whose mean over the questions is lm-evaluation-harness's number, and that is higher for better
    answers; others are kept in the row's `task`. With `count_tokens`, rows of whole texts have their likelihood.
    """
    rows, items = list[Row](), list[Item]()
    for task, samples in found["samples"].items():
        by_question: dict[int, list[dict[str, Any]]] = {}
        for sample in samples:
            by_question.setdefault(int(sample["doc_id"]), []).append(sample)
        means = set(_means(found, task, samples))
        for number, given in sorted(by_question.items()):
            first = given[0]
            metrics = {name: sample[metric] for sample in given for metric, name in _names(sample).items()}
            scores = {f"{task}/{name}": Score(float(metrics[name])) for name in metrics if name in means}
            rows.append(
                {
                    "id": of_value([task, first["doc_hash"], first["target_hash"]])[:16],
                    "source": f"{task}:{number}",
                    "kind": "task",
                    "task": {"name": task, "question": number, "metrics": as_json(metrics), **_responses(given)},
                }
            )
            likelihood = _likelihood(first, count_tokens) if count_tokens else None
            items.append(
                Item(
                    prompt=str(first["arguments"][0][0]),
                    reference=_reference(first),
                    answer=_answer(first),
                    scores=dict(scores),
                    likelihood=likelihood,
                )
            )
    return Sampled(rows, items)


def measures(found: Mapping[str, Any], suffix: str = "") -> dict[str, float]:
    """The numbers of tasks and groups by `task/metric`, for the artifact's record."""
    return {f"{task}/{name}{suffix}": value for task, name, value, _ in _numbers(found)}


def table(
    model: Mapping[str, Any], base: Mapping[str, Any] | None, base_name: str
) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: each metric of each task and group with its direction and standard error."""
    words = {True: "higher", False: "lower", None: "unknown"}
    others = {} if base is None else {(task, name): (value, error) for task, name, value, error in _numbers(base)}
    lines: list[list[str]] = []
    for task, name, value, error in _numbers(model):
        examples, questions = model["n-shot"].get(task), model["n-samples"].get(task, {}).get("effective")
        better = words[higher_is_better(model, task, name)]
        line = [task, _plain(examples), _plain(questions), name, better, _with_error(value, error)]
        lines.append(line if base is None else [*line, _with_error(*others.get((task, name), (None, None)))])
    return ["task", "examples", "rows", "metric", "better", "model", *([] if base is None else [base_name])], lines


def _numbers(found: Mapping[str, Any]) -> Iterator[tuple[str, str, float, float | None]]:
    """(task, metric, value, standard error) of tasks and groups; a metric without filter is named alone."""
    for task, entry in {**found["results"], **found.get("groups", {})}.items():
        for key, value in entry.items():
            metric, comma, kind = key.partition(",")
            if not comma or metric.endswith("_stderr") or not isinstance(value, Real):
                continue
            error = entry.get(f"{metric}_stderr,{kind}")
            name = metric if kind == "none" else f"{metric},{kind}"
            yield task, name, float(value), float(error) if isinstance(error, Real) else None


def _names(sample: Mapping[str, Any]) -> dict[str, str]:
    """The metrics of a sample, with their names: that of a filter follows a comma."""
    kind = sample["filter"]
    return {metric: metric if kind == "none" else f"{metric},{kind}" for metric in sample["metrics"]}


def _means(found: Mapping[str, Any], task: str, samples: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The names of the metrics that are means over the questions, where higher is better: every score is so."""
    values: dict[str, list[float]] = {}
    for sample in samples:
        for metric, name in _names(sample).items():
            value = sample[metric]
            if isinstance(value, Real) and higher_is_better(found, task, name):
                values.setdefault(name, []).append(float(value))
    reported = {name: value for one, name, value, _ in _numbers({"results": {task: found["results"][task]}})}
    for name, each in values.items():
        mean = math.fsum(each) / len(each)
        if name in reported and abs(mean - reported[name]) <= _SAME * max(1.0, abs(mean)):
            yield name


def higher_is_better(found: Mapping[str, Any], task: str, name: str) -> bool | None:
    """The direction of a metric of a task or group; None if the task does not say."""
    return found["higher_is_better"].get(task, {}).get(name.partition(",")[0])


def without_scores(found: Mapping[str, Any]) -> Iterator[str]:
    """Which metrics of tasks are no scores, and why, as sentences."""
    reasons: dict[str, list[str]] = {}
    for task, samples in found["samples"].items():
        scores = set(_means(found, task, samples))
        for _, name, _, _ in _numbers({"results": {task: found["results"][task]}}):
            if name not in scores:
                direction = higher_is_better(found, task, name)
                why = "they are no means over the questions" if direction else _DIRECTIONS[direction]
                reasons.setdefault(why, []).append(f"{task}/{name}")
    for why, names in reasons.items():
        yield f"{', '.join(names)}: in the table of tasks, and no scores to compare or gate, since {why}"


_DIRECTIONS = {False: "lower is better", None: "the task does not say whether higher is better"}


def _answer(sample: Mapping[str, Any]) -> str | None:
    """The text that was generated, or the choice with the highest likelihood."""
    responses = [response[0] for response in sample["resps"]]
    if isinstance(responses[0], str):
        return responses[0]
    if isinstance(responses[0], Sequence) and len(responses[0]) == 2:
        best = max(range(len(responses)), key=lambda place: responses[place][0])
        return str(sample["arguments"][best][1])
    return None


def _reference(sample: Mapping[str, Any]) -> str | None:
    target, choices = sample["target"], sample["arguments"]
    if isinstance(target, int) and not isinstance(target, bool) and 0 <= target < len(choices) and len(choices[0]) > 1:
        return str(choices[target][1])
    return None if len(choices[0]) == 1 else str(target)


def _responses(given: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The likelihoods of the choices, or the filtered answers."""
    first = given[0]["resps"][0][0]
    if isinstance(first, str):
        return {"filtered": {sample["filter"]: sample["filtered_resps"][0] for sample in given}}
    return {
        "log_probs": [
            response[0][0] if isinstance(response[0], Sequence) else response[0] for response in given[0]["resps"]
        ]
    }


def _likelihood(sample: Mapping[str, Any], count_tokens: Callable[[str], int]) -> Likelihood | None:
    """That of a whole text: its metrics have the sum of its log-probabilities, and its bytes."""
    values = [sample[name] for name in _BYTES if name in sample["metrics"]]
    if not values:
        return None
    nats, size = values[0]
    return Likelihood(-float(nats), float(count_tokens(sample["arguments"][0][0])), float(size))


def as_json(value: Any) -> Any:
    """A value of a task as JSON: arrays are lists, functions are named."""
    return json.loads(json.dumps(value, default=_as_json))


def _as_json(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return getattr(value, "__name__", None) or str(value)


def _plain(value: Any) -> str:
    return "" if value is None else str(value)


def _with_error(value: float | None, error: float | None) -> str:
    if value is None:
        return "–"
    text = f"{value:.4f}" if abs(value) < 1000 else f"{value:.6g}"
    return text if error is None or math.isnan(error) else f"{text} ± {error:.4f}"
