"""Values of tasks: every type of number that the code of a task may give is a score, and JSON."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from burnish.evals.tasks.results import table
from burnish.evals.tasks.values import as_json, is_mean, number

from .test_tasks import evaluate

SCALARS: dict[str, str] = {
    "bool": "bool",
    "int": "int",
    "float": "float",
    **{name: f"numpy.{name}" for name in ("bool_", "int8", "uint8", "int64", "float16", "float32", "float64")},
    "longdouble": "numpy.longdouble",
    "array": "numpy.array",
    **{f"torch {name}": f"torch.tensor(1.0).to(torch.{name}).mul" for name in ("int64", "bfloat16", "float32")},
    "torch bool": "(lambda hit: torch.tensor(hit > 0))",
}
"""How a number is made of 0 or 1, by the name of its type."""

CODE = """
import numpy
import torch


def results(doc, found):
    hit = int(found[0][0] > found[1][0])
    return {{{}}}
"""


def made(name: str, hit: int) -> Any:
    return eval(SCALARS[name], {"numpy": np, "torch": torch})(hit)


@pytest.mark.parametrize("name", SCALARS)
def test_every_type_of_a_number_is_a_number_a_mean_and_json(name: str) -> None:
    values = [made(name, hit) for hit in (1, 0, 0)]
    assert [number(value) for value in values] == [1.0, 0.0, 0.0]
    assert is_mean(sum(values) / len(values), values)
    assert is_mean(1 / 3, [1, 0, 0])
    assert not is_mean(0.4, values)
    assert json.loads(json.dumps(as_json({"value": values}))) == {"value": [1.0, 0.0, 0.0]}


@pytest.mark.parametrize("value", ["text", None, [1.0], np.ones(2), torch.ones(1, 1), {"a": 1}, 1j, np.complex64(1)])
def test_what_is_no_number_is_none(value: Any) -> None:
    assert number(value) is None
    assert not is_mean(value, [value])


def test_arrays_keys_and_functions_are_json() -> None:
    value = {np.int64(3): np.ones((1, 2)), (1, 2): {"f": made}, "t": torch.ones(2), None: np.str_("a")}
    expected = {"3": [[1.0, 1.0]], "[1, 2]": {"f": "made"}, "t": [1.0, 1.0], "None": "a"}
    assert json.loads(json.dumps(as_json(value))) == expected


def test_numbers_of_every_type_from_a_task_are_scores_of_its_questions(tasks: Path, tmp_path: Path) -> None:
    keys = {name: f"m{place}" for place, name in enumerate(SCALARS) if name != "torch bool"}  # no error of it there
    code = CODE.format(", ".join(f'"{key}": {SCALARS[name]}(hit)' for name, key in keys.items()))
    (tasks / "code.py").write_text(code)
    metrics = "".join(f"  - {{metric: {key}, aggregation: mean, higher_is_better: true}}\n" for key in keys.values())
    task = (tasks / "choice.yaml").read_text().partition("metric_list:")[0]
    (tasks / "choice.yaml").write_text(f"{task}process_results: !function code.results\nmetric_list:\n{metrics}")
    measures, ctx, _ = evaluate(tmp_path, tasks, names=[f"file:{tasks}/choice.yaml"], trust_code=True)
    scores = json.loads((ctx.out / "metrics.json").read_text())["scores"]
    share = measures["sky/m0"]
    assert 0.0 < share < 1.0
    for name, key in keys.items():
        assert scores[f"sky/{key}"]["model"]["value"] == pytest.approx(share, rel=1e-9), name
        assert measures[f"sky/{key}"] == pytest.approx(share, rel=5e-3 if "16" in name else 1e-6), name
    lines = [json.loads(line) for line in (ctx.out / "items.jsonl").read_text().splitlines()]
    assert {type(line["task"]["metrics"][keys["bool_"]]) for line in lines} == {bool}


@pytest.mark.parametrize(
    ("value", "error", "shown"),
    [
        (0.25, 0.125, "0.2500 ± 0.1250"),
        (0.0, 0.0, "0.0000 ± 0.0000"),
        (5.6e-07, 1.2e-07, "5.6e-07 ± 1.2e-07"),
        (2.68471e14, 58113445095134675861504.0, "2.68471e+14 ± 5.81134e+22"),
        (1234.5, float("nan"), "1234.5"),
        (float("inf"), None, "inf"),
    ],
)
def test_a_value_and_its_error_are_short_and_not_rounded_away(value: float, error: float | None, shown: str) -> None:
    found: dict[str, Any] = {
        "results": {"t": {"m,none": value, "m_stderr,none": error}},
        "higher_is_better": {},
        "n-shot": {},
        "n-samples": {},
    }
    assert table(found, None, "")[1][0][-1] == shown
