"""Rows of one document count as one unit of evidence, in evaluations and in what is compared of them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from burnish.core.context import Input
from burnish.core.errors import AskError, DataError
from burnish.core.events import Event, Note
from burnish.core.runs.ledger import ConsumptionLedger
from burnish.evals.measure import Item
from burnish.evals.perplexity import Likelihood
from burnish.evals.report import Sample, item_lines, metrics
from burnish.evals.scoring.scorers import Score
from burnish.evals.statistics.intervals import bootstrap, mean_interval, ratio
from burnish.evals.statistics.paired import compare_ratios, compare_scores
from burnish.specs.evals import CompareSpec, EvaluateSpec
from burnish.stages.evals import compare, evaluate
from burnish.testing import temporary_context

SIZE = 4
NAMES = [f"doc {number // SIZE}" for number in range(40)]
LABELS = np.arange(40) // SIZE


def sample(with_clusters: bool = True) -> Sample:
    """Rows of ten documents: those of a document are alike."""
    random = np.random.default_rng(0)
    of_document = random.random((2, 10)) < [[0.8], [0.3]]
    sides: list[list[Item]] = []
    for quality in of_document:
        items = []
        for number in range(40):
            right = float(quality[number // SIZE])
            likelihood = Likelihood(10.0 - 4 * right + float(random.random()), 5.0, 20.0)
            items.append(Item("p", "r", "a", "stop", {"right": Score(right, "")}, likelihood, values={"reward": right}))
        sides.append(items)
    rows: list[dict[str, Any]] = [{"id": f"{i:016x}", "source": f"x:{i}", "tag": "ab"[i % 2]} for i in range(40)]
    if with_clusters:
        rows = [{**row, "cluster": name} for row, name in zip(rows, NAMES, strict=True)]
    return Sample(rows, sides[0], sides[1], 0.95, 7)


def test_intervals_and_verdicts_of_an_evaluation_honour_the_clusters() -> None:
    found, alone = metrics(sample()), metrics(sample(with_clusters=False))
    entry = found["scores"]["right"]
    ours = np.array([item.scores["right"].value for item in sample().model])  # pyright: ignore
    theirs = np.array([item.scores["right"].value for item in sample().base or ()])  # pyright: ignore
    sums = np.stack([ours.reshape(10, SIZE).sum(axis=1), np.full(10, SIZE)], axis=1)
    expected = bootstrap(sums, ratio, 0.95, 7)
    assert expected is not None
    assert (entry["model"]["low"], entry["model"]["high"]) == (expected.low, expected.high)
    compared = compare_scores("right", theirs, ours, confidence=0.95, seed=7, clusters=LABELS)
    assert (entry["p_value"], entry["test"]) == (compared.p_value, "clustered sign-flip permutation")
    assert (entry["clusters"], found["clusters"]) == (10, 10)
    assert "clusters" not in alone
    assert "clusters" not in alone["scores"]["right"]
    assert alone["scores"]["right"]["p_value"] < 0.1 * entry["p_value"]
    for name in ("perplexity", "bits_per_byte"):
        wide, narrow = found["likelihood"][name]["model"], alone["likelihood"][name]["model"]
        assert wide["high"] - wide["low"] > 1.5 * (narrow["high"] - narrow["low"])
    bits = [[(i.likelihood.nats / np.log(2), 20.0) for i in side] for side in (sample().base, sample().model)]  # pyright: ignore
    pairs = [(np.array(side)[:, 0], np.array(side)[:, 1]) for side in bits]
    same = compare_ratios("b", pairs[0], pairs[1], confidence=0.95, seed=7, higher_is_better=False, clusters=LABELS)
    assert found["likelihood"]["bits_per_byte"]["p_value"] == same.p_value
    tag = found["by_tag"]["a"]["scores"]["right"]
    assert tag["delta_high"] - tag["delta_low"] > (
        alone["by_tag"]["a"]["scores"]["right"]["delta_high"] - alone["by_tag"]["a"]["scores"]["right"]["delta_low"]
    )


def test_an_item_names_its_cluster() -> None:
    assert [line["cluster"] for line in item_lines(sample())] == NAMES
    assert "cluster" not in next(item_lines(sample(with_clusters=False)))


def test_equal_scores_of_clusters_have_an_interval_of_their_number() -> None:
    right = [Item("p", "r", "a", "stop", {"right": Score(1.0, "")}) for _ in range(40)]
    entry = metrics(Sample(sample().rows, right, None, 0.95, 7))["scores"]["right"]["model"]
    ten = mean_interval(np.ones(10), 0.95, 7)
    assert ten is not None
    assert (entry["low"], entry["high"]) == (ten.low, ten.high)


def chat_rows(documents: list[Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for number, name in enumerate(documents):
        turns = [{"role": "user", "content": f"is {number} so"}, {"role": "assistant", "content": "yes"}]
        row = {"id": f"{number:016x}", "source": f"d:{number}", "kind": "chat", "messages": turns}
        rows.append({**row, "extra": {"document": name}})
    return rows


def evaluated(folder: Path, model: Path, data: Path, **settings: Any) -> tuple[Path, list[Event]]:
    ctx, events = temporary_context(folder, {"model": model, "data": data})
    given = {"perplexity": False, "generation": {"max_new_tokens": 3}, **settings}
    spec = EvaluateSpec(model=f"file:{model}", data=f"file:{data}", **given)
    with ConsumptionLedger(spec) as ledger:
        ledger.input_was_read("model")
        ledger.input_was_read("data")
        ctx.check_settings = ledger.check
        evaluate.run(spec, ctx)
    return ctx.out, events


def compared(folder: Path, places: dict[str, Path], **settings: Any) -> tuple[dict[str, Any], list[str]]:
    inputs: dict[str, Any] = {
        f"candidates.{name}.ref": Input(f"file:{place}", "evaluation", place) for name, place in places.items()
    }
    if "data" in settings:
        inputs["data"] = Path(settings["data"].removeprefix("file:"))
    ctx, events = temporary_context(folder, inputs)
    given = {name: f"file:{place}" for name, place in places.items()}
    compare.run(CompareSpec(candidates=given, **settings), ctx)
    texts = [event.text for event in events if isinstance(event, Note)]
    return json.loads((ctx.out / "comparison.json").read_text()), texts


def evaluation(folder: Path, clusters: list[str | None] | None, right: float = 1.0) -> Path:
    """An evaluation as `evaluate` writes it."""
    folder.mkdir()
    lines = []
    for number in range(8):
        line = {"id": f"{number:016x}", "source": f"d:{number}", "prompt": "p", "reference": "r", "answer": "a"}
        line |= {"scores": {"exact_match": right}} | ({} if clusters is None else {"cluster": clusters[number]})
        lines.append(json.dumps(line))
    (folder / "items.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_a_column_of_the_data_is_the_cluster_of_an_evaluation(tmp_path: Path, base_model: Path, make_dataset) -> None:
    data = make_dataset(test=chat_rows(["a", "a", "a", "b", "b", None, 3, 3]))
    out, events = evaluated(tmp_path / "e", base_model, data, cluster="document")
    lines = [json.loads(line) for line in (out / "items.jsonl").read_text().splitlines()]
    assert [line.get("cluster") for line in lines] == ["a", "a", "a", "b", "b", None, "3", "3"]
    notes = [event.text for event in events if isinstance(event, Note)]
    assert any("4 clusters are few" in text for text in notes)
    assert json.loads((out / "metrics.json").read_text())["clusters"] == 4
    found, notes = compared(tmp_path / "c", {"one": out, "two": out})
    assert [each["clusters"] for each in found["comparisons"]] == [4]
    assert any("as the evaluations record them" in text for text in notes)
    assert found["clusters"] == {"count": 4, "from": "the evaluations"}


def test_a_cluster_that_the_data_lack_is_an_error(tmp_path: Path, base_model: Path, make_dataset) -> None:
    with pytest.raises(DataError, match=r"no column 'page'.*document") as error:
        evaluated(tmp_path / "e", base_model, make_dataset(test=chat_rows(["a"])), cluster="page")
    assert error.value.code == "data.missing-column"


def test_evaluations_that_disagree_on_the_clusters_are_refused(tmp_path: Path) -> None:
    first = evaluation(tmp_path / "one", [*"aabbccdd"])
    other = evaluation(tmp_path / "two", [*"aabbccde"])
    with pytest.raises(DataError, match=r"row 0{15}7 .* belongs to 'e' in two .* and to 'd' in one") as error:
        compared(tmp_path / "c", {"one": first, "two": other})
    assert error.value.code == "data.other-rows"
    alone = evaluation(tmp_path / "three", [*"aabbccd", None])
    with pytest.raises(DataError, match=r"belongs to nothing in three .* and to 'd' in one"):
        compared(tmp_path / "d", {"one": first, "three": alone})


@pytest.mark.parametrize("order", [("with", "without"), ("without", "with")])
def test_an_evaluation_without_clusters_takes_those_of_the_others(tmp_path: Path, order: tuple[str, str]) -> None:
    places = {"with": evaluation(tmp_path / "one", [*"aabbccdd"]), "without": evaluation(tmp_path / "two", None)}
    found, notes = compared(tmp_path / "c", {name: places[name] for name in order})
    assert found["comparisons"][0]["clusters"] == 4
    assert any("without records no clusters" in text and "those of with" in text for text in notes)


def test_evaluations_compared_on_data_keep_their_clusters(tmp_path: Path, base_model: Path, make_dataset) -> None:
    rows = chat_rows([*"aabbccdd"])
    data = make_dataset(test=rows)
    place = evaluation(tmp_path / "one", [*"aabbccdd"])
    settings = {"data": f"file:{data}"}
    for number, more in enumerate(({}, {"cluster": "document"})):
        found, _ = compared(tmp_path / f"c{number}", {"one": place, "two": place}, **settings, **more)
        assert found["comparisons"][0]["clusters"] == 4
    other = make_dataset(test=chat_rows([*"aabbccda"]))
    with pytest.raises(DataError, match="and to 'a' in the column 'document'"):
        compared(
            tmp_path / "d", {"one": place, "two": place}, cluster="document", **settings | {"data": f"file:{other}"}
        )


def test_a_column_without_data_is_refused_with_what_to_do(tmp_path: Path) -> None:
    place = evaluation(tmp_path / "one", None)
    with pytest.raises(AskError) as error:
        compared(tmp_path / "c", {"one": place, "two": place}, cluster="document")
    assert "set cluster in evaluate or judge" in error.value.fix
