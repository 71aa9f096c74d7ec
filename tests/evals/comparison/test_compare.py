"""Models, endpoints and evaluations on the same rows: what is written, kept, refused and counted."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import burnish.builtin
from burnish.core.context import Input
from burnish.core.errors import AskError, BurnishError, DataError, RunError
from burnish.core.events import Note, Progress, Table
from burnish.core.runs.ledger import ConsumptionLedger
from burnish.evals.comparison.table import Candidate, columns_of, left_out
from burnish.evals.measure import Item
from burnish.evals.perplexity import Likelihood
from burnish.specs.base import Takes, fields_with
from burnish.specs.evals import CompareSpec
from burnish.stages.evals.compare import run
from burnish.testing import ChatServer, temporary_context

POCKET = Path(burnish.builtin.__path__[0]) / "pocket"
SHORT = {"max_new_tokens": 4}
FAST = {"perplexity": False, "generation": SHORT}


def chat_row(number: int, question: str, answer: str = "yes", **other: Any) -> dict[str, Any]:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"id": f"{number:016x}", "source": f"data.jsonl:{number}", "kind": "chat", "messages": turns, **other}


def rows(count: int = 8, **other: Any) -> list[dict[str, Any]]:
    return [chat_row(number, f"is {number} so", **other) for number in range(count)]


@pytest.fixture
def compare(tmp_path: Path, make_dataset: Callable[..., Path]) -> Callable[..., SimpleNamespace]:
    """Run the stage under the ledger, as a worker does: `compare({"a": path}, data=[rows], gate=[…])`."""
    place = make_dataset(test=rows())

    def compare(
        candidates: dict[str, Any],
        *,
        data: Path | None = place,
        stopping: Callable[[], bool] = lambda: False,
        folder: str = "run",
        kinds: dict[str, str] | None = None,
        **settings: Any,
    ) -> SimpleNamespace:
        given = {name: f"file:{each}" if isinstance(each, Path) else each for name, each in candidates.items()}
        spec = CompareSpec(candidates=given, data=None if data is None else f"file:{data}", **settings)
        inputs: dict[str, Any] = {}
        for path, _, value in fields_with(spec, Takes):
            if isinstance(value, str):
                inputs[path] = Path(value[5:])
        known = {f"candidates.{name}.ref": kind for name, kind in (kinds or {}).items()}
        inputs = {
            path: Input(f"file:{value}", known[path], value) if path in known else value
            for path, value in inputs.items()
        }
        ctx, events = temporary_context(tmp_path / folder, inputs, stopping)
        with ConsumptionLedger(spec) as ledger:
            for name in inputs:
                ledger.input_was_read(name)
            ctx.check_settings = ledger.check
            outcome = run(spec, ctx)
        found = json.loads((ctx.out / "comparison.json").read_text())
        lines = [json.loads(line) for line in (ctx.out / "items.jsonl").read_text().splitlines()]
        assert outcome.kind == "comparison"
        return SimpleNamespace(
            measures=outcome.measures, found=found, items=lines, out=ctx.out, events=events, cache=ctx.cache
        )

    return compare


def phases(result: SimpleNamespace) -> set[str]:
    return {event.phase for event in result.events if isinstance(event, Progress)}


def warnings(result: SimpleNamespace) -> list[str]:
    return [event.text for event in result.events if isinstance(event, Note) and event.level == "warning"]


def test_a_model_an_adapter_and_an_endpoint_are_compared_on_the_same_rows(
    compare, base_model: Path, adapter: Path
) -> None:
    with ChatServer(lambda request: "yes" if "3" not in request["messages"][-1]["content"] else "no") as server:
        endpoint = {"url": server.url, "model": "remote"}
        result = compare({"pocket": POCKET, "base": base_model, "tuned": adapter, "remote": endpoint}, generation=SHORT)
        assert len(server.seen) == 8
        assert {request["max_tokens"] for request in server.seen} == {4}
        assert all(request["messages"][-1]["role"] == "user" for request in server.seen)
    found = result.found
    assert (found["baseline"], found["rows"], found["gate"]) == ("pocket", 8, None)
    assert found["candidates"]["remote"] == {
        "ref": f"{server.url}#remote",
        "fingerprint": found["candidates"]["remote"]["fingerprint"],
        "kind": "endpoint",
    }
    assert [each["kind"] for each in found["candidates"].values()] == ["model", "model", "adapter", "endpoint"]
    values = {name: each["value"] for name, each in found["scores"]["exact_match"]["candidates"].items()}
    assert values == {"pocket": 0.0, "base": 0.0, "tuned": 1.0, "remote": 7 / 8}
    assert set(found["scores"]["bits_per_byte"]["candidates"]) == {"pocket", "base", "tuned"}
    made = {(each["score"], each["candidate"]): each for each in found["comparisons"]}
    assert set(made) == {
        *(("exact_match", name) for name in ("base", "tuned", "remote")),
        *(("bits_per_byte", name) for name in ("base", "tuned")),
    }
    tuned = made["exact_match", "tuned"]
    assert (tuned["delta"], tuned["n"], tuned["clusters"], tuned["claim"]) == (1.0, 8, None, "superiority")
    assert (tuned["p"], tuned["p_corrected"]) == (pytest.approx(2 / 2**8), pytest.approx(5 * 2 / 2**8))
    assert tuned["verdict"] == "better"
    assert result.measures["exact_match_tuned_verdict"] == "better"
    assert "gate" not in result.measures
    line = result.items[3]
    assert line["reference"] == "yes"
    assert line["candidates"]["remote"]["answer"] == "no"
    assert line["candidates"]["tuned"]["scores"] == {"exact_match": 1.0}
    assert "perplexity depends on tokenizers and templates" in warnings(result)[0]
    page = (result.out / "report.html").read_text()
    assert "is 3 so" in page
    assert "better" in (result.out / "report.md").read_text()


def test_what_can_be_detected_is_reported_before_the_first_answer(compare, base_model: Path) -> None:
    result = compare({"a": base_model, "b": base_model}, detect=0.02, power=0.9, discordance=0.3, **FAST)
    reported = [event for event in result.events if isinstance(event, Note | Progress)]
    texts = [event.text for event in reported[:2] if isinstance(event, Note)]
    assert "with 8 rows no difference can be detected at 90% power" in texts[0]
    assert "differ on 30% of the rows" in texts[0]
    assert texts[1].startswith("a difference of 0.02 needs")
    assert result.found["minimum_detectable"]["effect"] is None
    assert result.found["minimum_detectable"]["rows_needed"]["0.02"] > 5000


def test_a_changed_claim_gate_scorer_or_baseline_computes_no_answer_again(
    compare, base_model: Path, adapter: Path
) -> None:
    candidates = {"base": base_model, "tuned": adapter}
    first = compare(candidates, generation=SHORT)
    assert phases(first) == {f"{name}: {phase}" for name in candidates for phase in ("perplexity", "answers")}
    changes: list[dict[str, Any]] = [
        {"gate": [{"score": "contains", "at_least": 0.5}], "scorers": [{"kind": "contains"}, {"kind": "chrf"}]},
        {"margins": {"exact_match": 0.1}, "baseline": "tuned", "confidence": 0.9},
    ]
    for number, change in enumerate(changes):
        again = compare(candidates, generation=SHORT, folder="run", **change)
        assert phases(again) == set(), f"change {number}"
    assert again.measures["exact_match_base_verdict"] == "worse"  # not that of the claim with a margin
    values = {name: each["value"] for name, each in again.found["scores"]["exact_match"]["candidates"].items()}
    assert values == {"base": 0.0, "tuned": 1.0}
    longer = compare(candidates, generation={"max_new_tokens": 5})
    assert phases(longer) == {"base: answers", "tuned: answers"}


def test_a_comparison_that_is_stopped_resumes_at_the_next_candidate(
    compare, base_model: Path, adapter: Path, tmp_path: Path
) -> None:
    candidates = {"base": base_model, "tuned": adapter}

    def stopping() -> bool:
        return any((tmp_path / "run" / "cache").rglob("*.json"))

    with pytest.raises(RunError, match="stopped at tuned: answers") as caught:
        compare(candidates, stopping=stopping, **FAST)
    assert (caught.value.code, "finished candidates are kept" in caught.value.fix) == ("run.interrupted", True)
    assert phases(compare(candidates, **FAST)) == {"tuned: answers"}


@pytest.mark.torture
def test_a_damaged_file_of_kept_answers_is_made_again(compare, base_model: Path, adapter: Path) -> None:
    candidates = {"base": base_model, "tuned": adapter}
    first = compare(candidates, **FAST)
    files = sorted((first.cache / "answers").rglob("*.json"))
    assert len(files) == 2
    for damage in (b"", b'{"items": []}', files[0].read_bytes().replace(b'"answer": "', b'"answer": "x', 1)):
        files[0].write_bytes(damage)
        again = compare(candidates, **FAST)
        assert len(phases(again)) == 1
        assert "1 files of kept answers" in " ".join(warnings(again))
        assert again.items == first.items


def evaluation(folder: Path, answers: dict[str, float | None], *, prefix: str = "data.jsonl", **other: Any) -> Path:
    """An evaluation of another run: its row ids, and its scores."""
    folder.mkdir(parents=True)
    lines = [
        {"id": row, "source": f"{prefix}:{number}", "prompt": "?", "reference": "yes", "answer": "yes", **other}
        | {"scores": {"exact_match": value}, "unscored": {} if value is not None else {"exact_match": "too hard"}}
        for number, (row, value) in enumerate(answers.items())
    ]
    (folder / "items.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "metrics.json").write_text("{}")
    return folder


def ids(count: int, start: int = 0) -> list[str]:
    return [f"{number:016x}" for number in range(start, start + count)]


def test_an_evaluation_is_a_candidate_and_rows_without_a_pair_are_counted(
    compare, base_model: Path, tmp_path: Path
) -> None:
    answers: dict[str, float | None] = dict.fromkeys(ids(9, 2), 1.0) | {ids(1, 3)[0]: None}
    before = evaluation(tmp_path / "before", answers)
    result = compare({"base": base_model, "before": before}, kinds={"before": "evaluation"}, **FAST)
    score = result.found["scores"]["exact_match"]
    assert (score["n"], score["unpaired"]) == (5, {"base": 3, "before": 0})
    assert result.found["missing_rows"] == {"base": 0, "before": 2}
    assert score["unscored"] == {"before": {"too hard": 1}}
    texts = " ".join(warnings(result))
    for text in (
        "before: 2 rows are missing",
        "exact_match: rows that count for some candidates only are left out of all: base 3",
        "too hard",
    ):
        assert text in texts
    assert "3 rows of before (file:" in texts


def test_an_evaluation_of_other_rows_is_refused_before_the_work(compare, base_model: Path, tmp_path: Path) -> None:
    other = evaluation(tmp_path / "other", dict.fromkeys(ids(5, 100), 1.0))
    with pytest.raises(DataError, match="has none of the 8 rows") as caught:
        compare({"base": base_model, "other": other}, kinds={"other": "evaluation"}, **FAST)
    assert caught.value.code == "data.other-rows"
    assert not (tmp_path / "run" / "cache").exists()


def test_evaluations_alone_need_no_data_and_no_model(compare, tmp_path: Path) -> None:
    one = evaluation(tmp_path / "one", dict.fromkeys(ids(20), 0.0))
    other = evaluation(tmp_path / "other", dict.fromkeys(ids(20), 1.0))
    kinds = {"one": "evaluation", "other": "evaluation"}
    result = compare({"one": one, "other": other}, data=None, kinds=kinds)
    assert result.measures["exact_match_other_verdict"] == "better"
    clustered = [evaluation(tmp_path / name, dict.fromkeys(ids(20), float(name == "d")), cluster="x") for name in "cd"]
    found = compare({"c": clustered[0], "d": clustered[1]}, data=None, kinds={"c": "evaluation", "d": "evaluation"})
    assert found.measures["exact_match_d_verdict"] == "too few clusters"
    with pytest.raises(AskError, match="there is no data"):
        compare({"one": one, "other": other}, data=None, kinds=kinds, cluster="document")
    with pytest.raises(RunError, match="unused setting"):
        compare({"one": one, "other": other}, data=None, kinds=kinds, generation=SHORT)


def test_different_references_under_one_id_are_different_data(compare, tmp_path: Path) -> None:
    one = evaluation(tmp_path / "one", {"0": 1.0, "1": 1.0})
    other = evaluation(tmp_path / "other", {"0": 1.0, "1": 0.0}, reference="no")
    with pytest.raises(DataError, match=r"row 0 .* has another reference") as caught:
        compare({"one": one, "other": other}, data=None, kinds={"one": "evaluation", "other": "evaluation"})
    assert caught.value.code == "data.other-rows"


def test_rows_of_a_document_count_as_one(compare, base_model: Path, adapter: Path, make_dataset) -> None:
    data = make_dataset(test=[row | {"extra": {"document": number // 4}} for number, row in enumerate(rows(32))])
    result = compare({"base": base_model, "tuned": adapter}, data=data, cluster="document", **FAST)
    made = result.found["comparisons"][0]
    assert (made["n"], made["clusters"], made["verdict"]) == (32, 8, "better")
    assert result.items[5]["cluster"] == "1"
    assert "8 clusters are few" in " ".join(warnings(result))
    with pytest.raises(DataError, match=r"no column 'documnt'.*its columns: document"):
        compare({"base": base_model, "tuned": adapter}, data=data, cluster="documnt", **FAST)


def test_looks_stop_once_all_is_decided(compare, base_model: Path, adapter: Path, make_dataset) -> None:
    data = make_dataset(test=rows(60))
    gate = [{"score": "exact_match", "candidate": "tuned", "at_least": 0.8}]
    result = compare({"base": base_model, "tuned": adapter}, data=data, looks=3, gate=gate, **FAST)
    assert result.measures["gate"] == "failed"  # 20 of 20 at the confidence of a first look: from 0.6
    assert result.found["looks"] == {"planned": 3, "fractions": [pytest.approx(1 / 3)]}
    assert (result.found["rows"], result.measures["exact_match_tuned_verdict"]) == (20, "better")
    titles = [event.title for event in result.events if isinstance(event, Table)]
    assert titles[0] == "Look 1 of 3: 20 rows"
    same = compare({"a": base_model, "b": base_model}, data=data, looks=3, stop_after=2, **FAST)
    assert (same.found["rows"], len(same.found["looks"]["fractions"])) == (40, 2)
    assert sorted(line["id"] for line in same.items) != ids(40)  # a sample of the rows, not the first


@pytest.mark.parametrize(("count", "looks"), [(1, 20), (4, 8), (10, 20), (7, 8)])
def test_more_looks_than_rows_are_refused_before_the_work(compare, base_model, make_dataset, count, looks) -> None:
    with pytest.raises(AskError, match=f"looks: {looks} is more than the {count} rows") as caught:
        compare({"a": base_model, "b": base_model}, data=make_dataset(test=rows(count)), looks=looks, **FAST)
    assert caught.value.code == "ask.wrong-value"


def test_an_endpoint_gets_the_tools_and_its_calls_are_scored(compare, make_dataset) -> None:
    call = {"type": "function", "function": {"name": "find", "arguments": '{"word": "yes"}'}}
    tool = {"type": "function", "function": {"name": "find", "description": "", "parameters": {"type": "object"}}}
    asked = [
        {
            **row,
            "messages": [row["messages"][0], {"role": "assistant", "content": "", "tool_calls": [call]}],
            "tools": [tool],
        }
        for row in rows(6)
    ]
    with ChatServer(lambda request: {"content": None, "tool_calls": [call]}) as right, ChatServer() as wrong:
        result = compare(
            {"wrong": {"url": wrong.url, "model": "m"}, "right": {"url": right.url, "model": "m"}},
            data=make_dataset(test=asked),
            scorers=[{"kind": "tool_call"}],
            **FAST,
        )
        assert right.seen[0]["tools"] == [tool]
    values = {name: each["value"] for name, each in result.found["scores"]["tool_call"]["candidates"].items()}
    assert values == {"wrong": 0.0, "right": 1.0}


def test_an_endpoint_gets_the_settings_of_generation_that_it_does_not_set(compare) -> None:
    with ChatServer(lambda request: "yes") as server:
        given = {"url": server.url, "model": "m"}
        endpoints = {
            "plain": given,
            "own": {**given, "temperature": 0.7, "max_tokens": 9},
            "other": {**given, "model": "n"},
        }
        sampling = {"max_new_tokens": 4, "temperature": 0.5, "seed": 3, "top_p": 0.9}
        result = compare(endpoints, perplexity=False, generation=sampling)
        names = ("model", "temperature", "max_tokens", "seed", "top_p")
        seen = {tuple(request[name] for name in names) for request in server.seen}
    assert seen == {("m", 0.5, 4, 3, 0.9), ("m", 0.7, 9, 3, 0.9), ("n", 0.5, 4, 3, 0.9)}
    assert len({each["fingerprint"] for each in result.found["candidates"].values()}) == 3


def test_equal_rows_are_matched_in_their_order(compare, tmp_path: Path) -> None:
    folders = {name: evaluation(tmp_path / name, dict.fromkeys(ids(6), 0.0)) for name in ("one", "other")}
    for name, folder in folders.items():
        lines = [json.loads(line) for line in (folder / "items.jsonl").read_text().splitlines()]
        for number, line in enumerate(lines):
            line |= {"id": "same", "scores": {"exact_match": float(number < 3) if name == "other" else 0.0}}
            line["answer"] = f"{name} {number}"
        (folder / "items.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = compare(folders, data=None, kinds=dict.fromkeys(folders, "evaluation"))
    assert [line["candidates"]["other"]["answer"] for line in result.items] == [
        f"other {number}" for number in range(6)
    ]
    looked = compare(folders, data=None, kinds=dict.fromkeys(folders, "evaluation"), looks=2)
    shown = [line["candidates"]["one"]["answer"] for line in looked.items]
    assert sorted(shown) == [f"one {number}" for number in range(6)]


def test_a_row_that_an_endpoint_refuses_is_missing_and_others_count(compare, base_model: Path) -> None:
    with ChatServer(lambda request: "yes") as server:
        server.faults = [400]
        endpoint = {"url": server.url, "model": "m", "concurrency": 1}
        result = compare({"base": base_model, "remote": endpoint}, **FAST)
    assert result.found["scores"]["exact_match"]["n"] == 7
    assert result.found["scores"]["exact_match"]["unscored"]["remote"] == {
        "the endpoint refuses the request (status 400)": 1
    }


@pytest.mark.torture
def test_rows_that_no_score_covers_are_reported_also_from_kept_answers(compare, base_model: Path, make_dataset) -> None:
    data = make_dataset(test=[*rows(7), chat_row(7, "long " * 90)])
    settings: dict[str, Any] = {"scorers": [{"kind": "number"}], "max_length": 64, "generation": SHORT}
    for _ in range(2):
        result = compare({"a": base_model, "b": base_model}, data=data, **settings)
        texts = " ".join(warnings(result))
        for name in ("a", "b"):
            assert f"number: 8 rows of {name} not scored: the reference has no number" in texts
            assert f"perplexity: 1 rows of {name} are longer than max_length" in texts
        assert "number: no row is scored for every candidate" in texts
        assert set(result.found["scores"]) == {"perplexity", "bits_per_byte"}
    assert "are longer than max_length" in (result.out / "report.md").read_text()


def test_a_loss_that_is_not_finite_is_left_out_and_counted() -> None:
    good, broken = Item(likelihood=Likelihood(3.0, 2.0, 4.0)), Item(likelihood=Likelihood(float("inf"), 2.0, 4.0))
    one, other = (
        Candidate(name, "", "model", "", items) for name, items in (("a", [good] * 3), ("b", [good, broken, good]))
    )
    (perplexity, bits) = columns_of([one, other], None)
    assert (perplexity.rows, bits.rows) == ([0, 2], [0, 2])
    assert perplexity.unpaired == {"a": 1, "b": 0}
    assert (left_out(one), left_out(other)) == ({}, {"have a loss that is not finite": 1})


def test_replies_are_not_requested_twice(compare, base_model: Path) -> None:
    with ChatServer(lambda request: "yes") as server:
        endpoint = {"url": server.url, "model": "m"}
        for _ in range(2):
            compare({"base": base_model, "remote": endpoint}, **FAST)
        assert len(server.seen) == 8


def test_models_without_data_are_refused(compare, base_model: Path) -> None:
    with pytest.raises(BurnishError, match="data is missing: a is no evaluation") as caught:
        compare({"a": base_model, "b": base_model}, data=None, **FAST)
    assert caught.value.code == "ask.missing-key"
