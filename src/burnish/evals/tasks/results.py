"""The results of tasks as rows and items of an evaluation, and as a table with lm-evaluation-harness's own numbers."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

from burnish.core.fingerprint import of_value
from burnish.evals.likelihood import Likelihood
from burnish.evals.measure import Item
from burnish.evals.scoring.scorers import Row, Score
from burnish.evals.tasks.values import as_json, is_mean, number

_BYTES = ("byte_perplexity", "bits_per_byte")


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
        for question, given in sorted(by_question.items()):
            first = given[0]
            metrics = {name: sample[metric] for sample in given for metric, name in _names(sample).items()}
            values = {name: number(value) for name, value in metrics.items() if name in means}
            scores = {f"{task}/{name}": Score(value) for name, value in values.items() if value is not None}
            rows.append(
                {
                    "id": of_value([task, first["doc_hash"], first["target_hash"]])[:16],
                    "source": f"{task}:{question}",
                    "kind": "task",
                    "task": {"name": task, "question": question, "metrics": as_json(metrics), **_responses(given)},
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
            found_value = number(value)
            if not comma or metric.endswith("_stderr") or found_value is None:
                continue
            name = metric if kind == "none" else f"{metric},{kind}"
            yield task, name, found_value, number(entry.get(f"{metric}_stderr,{kind}"))


def _names(sample: Mapping[str, Any]) -> dict[str, str]:
    """The metrics of a sample, with their names: that of a filter follows a comma."""
    kind = sample["filter"]
    return {metric: metric if kind == "none" else f"{metric},{kind}" for metric in sample["metrics"]}


def _means(found: Mapping[str, Any], task: str, samples: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The names of the metrics that are means over the questions, where higher is better: every score is so."""
    values: dict[str, list[Any]] = {}
    for sample in samples:
        for metric, name in _names(sample).items():
            if higher_is_better(found, task, name):
                values.setdefault(name, []).append(sample[metric])
    reported = {key.removesuffix(",none"): value for key, value in found["results"][task].items()}
    for name, each in values.items():
        if is_mean(reported.get(name), each):
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
    if len(choices[0]) == 1:
        return None
    is_place = isinstance(target, Integral) and not isinstance(target, bool) and 0 <= int(target) < len(choices)
    return str(choices[int(target)][1] if is_place else target)


def _responses(given: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The likelihoods of the choices, or the filtered answers."""
    first = given[0]["resps"][0][0]
    if isinstance(first, str):
        return {"filtered": {sample["filter"]: as_json(sample["filtered_resps"][0]) for sample in given}}
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


def _plain(value: Any) -> str:
    return "" if value is None else str(value)


def _with_error(value: float | None, error: float | None) -> str:
    if value is None:
        return "–"
    text = _four(value)
    return text if error is None or math.isnan(error) else f"{text} ± {_four(error)}"


def _four(value: float) -> str:
    """Four decimals, or six digits where these would show too many or none."""
    is_plain = value == 0.0 or 5e-5 <= abs(value) < 1000
    return f"{value:.4f}" if is_plain else f"{value:.6g}"
