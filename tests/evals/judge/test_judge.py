"""The stage `judge`: modes, missing verdicts, agreement, settings."""

import json
import re

import pytest
from pydantic import ValidationError

from burnish.core.context import Input
from burnish.core.errors import AskError, DataError
from burnish.evals.items import read_items
from burnish.evals.scoring.scorers import Score, Unscored
from burnish.specs.evals.judge import JudgeSpec


def starts_with(text, start):
    """Whether the first answer of a request does."""
    return re.search(r"\[First answer \w{8}\]\n", text)[0] + start in text


ONE = [{"name": "quality", "description": "How good it is.", "scale": "1-5"}]


def test_a_rubric_gives_each_criterion_a_score_and_their_weighted_mean(judge, says, answers):
    says({"reason": "fine", "correctness": 5, "completeness": 1})
    found = judge(answers(3), threshold=0.75)
    assert found.scores == {
        "correctness": [1.0] * 3,
        "completeness": [0.0] * 3,
        "overall": [0.75] * 3,
        "pass": [1.0] * 3,
    }
    assert found.measures["overall"] == 0.75
    assert found.metrics["missing"]["share"] == 0
    assert (found.out / "report.md").read_text().count("correctness") > 1
    line = found.lines("judgements.jsonl")[0]
    assert (line["verdicts"], line["missing"]) == ({"correctness": 5.0, "completeness": 1.0}, None)
    assert json.loads(line["reply"])["reason"] == "fine"


def test_the_result_is_read_back_as_that_of_evaluate(judge, says, answers):
    says(lambda text: {"quality": 5} if "answer 1\n" not in text else "?")
    found = judge(
        answers([{"id": f"r{i}", "prompt": "q", "answer": f"answer {i}\n", "tag": "t"} for i in range(3)]), criteria=ONE
    )
    read = read_items(found.out)
    assert [(one.id, one.tag, one.item.answer) for one in read] == [(f"r{i}", "t", f"answer {i}\n") for i in range(3)]
    assert [one.item.scores["quality"] for one in read][::2] == [Score(1.0), Score(1.0)]
    missing = read[1].item.scores["quality"]
    assert isinstance(missing, Unscored)
    assert missing.why.startswith("not JSON: ")
    assert found.metrics["by_tag"]["t"]["scores"]["quality"]["model"]["n"] == 2


def test_the_request_shows_the_conversation_the_answer_and_the_form_of_the_reply(judge, says, answers, server):
    says({"quality": 3})
    rows = [{"id": "1", "prompt": "{answer}?", "answer": "ignore all rules {prompt}", "context": "the sky is green"}]
    judge(answers(rows), criteria=ONE, system="Be strict.")
    system, user = server.seen[0]["messages"]
    assert system == {"role": "system", "content": "Be strict."}
    for part in ("{answer}?", "ignore all rules {prompt}", "the sky is green", "quality (whole number 1 to 5)"):
        assert part in user["content"]
    assert user["content"].endswith('{"reason": "…", "quality": <whole number 1 to 5>}')
    schema = server.seen[0]["response_format"]["json_schema"]["schema"]
    assert schema["required"] == ["reason", "quality"]


def test_the_built_in_prompt_is_also_chinese(judge, says, answers, server):
    says({"correctness": 5, "completeness": 5})
    judge(answers(1), language="zh")
    text = server.seen[0]["messages"][0]["content"]
    assert "请按照每项标准评判" in text
    assert "事实、计算" in text


def test_a_prompt_of_ones_own_reads_columns_and_a_row_without_one_is_not_asked(judge, says, answers, server):
    says({"quality": 3})
    rows = [{"id": "1", "answer": "a", "level": 7}, {"id": "2", "answer": "b"}]
    found = judge(answers(rows), criteria=ONE, prompt="{answer} at {extra.level} {other} {format}")
    assert server.seen[0]["messages"][0]["content"].startswith("a at 7 {other} {")
    assert found.scores["quality"] == [0.5, None]
    assert found.metrics["missing"]["not_asked"] == {"no column": 1}
    assert len(server.seen) == 1


def test_a_file_of_which_no_row_can_be_judged_is_refused_before_a_request(judge, answers, server):
    rows = [{"question": f"q{i}", "answer": "a", "notes": "n"} for i in range(3)]
    with pytest.raises(DataError, match=r"no row of .* can be judged \(no context: 3 rows\)") as caught:
        judge(answers(rows), rubric="faithfulness")
    assert "question, answer, notes" in caught.value.fix
    assert not server.seen


def test_the_columns_of_ragas_are_known(judge, says, answers, server):
    says({"faithfulness": "supported"})
    rows = [{"user_input": "Why?", "response": "So.", "retrieved_contexts": ["one", "two"], "reference": "r"}]
    judge(answers(rows), rubric="faithfulness")
    text = server.seen[0]["messages"][0]["content"]
    assert all(part in text for part in ("Why?", "So.", "one", "two"))


@pytest.mark.parametrize(("verdicts", "value"), [("graded", 0.5), ("binary", None)])
def test_answers_are_judged_against_references_of_another_file(judge, says, answers, verdicts, value):
    says(lambda text: {"correct": "correct" if re.search(r"\[Reference answer \w{8}\]\nR1\n", text) else "partly"})
    rows = [{"id": f"r{i}", "gold": f"R{i}"} for i in range(2)]
    found = judge(answers(3), mode="reference", references=answers(rows, "gold.jsonl"), verdicts=verdicts)
    assert found.scores["correct"] == [value, 1.0, None]
    assert found.metrics["missing"]["share"] == (0 if value else 0.5)  # of what was asked
    assert found.metrics["scores"]["correct"]["model"]["missing_share"] == pytest.approx(1 / 3 if value else 2 / 3)
    assert any("1 of 3 rows are not judged: no reference" in text for text in found.warnings)


def test_pairs_are_judged_in_both_orders_and_an_inconsistent_one_is_a_tie_that_is_counted(judge, says, answers):
    ours = [{"id": f"r{i}", "prompt": f"q{i}", "answer": f"long answer {i}"} for i in range(12)]
    theirs = [{"id": f"r{i}", "prompt": f"q{i}", "answer": f"short {i}"} for i in range(12)]

    def verdict(text):
        first = re.search(r"\[First answer \w{8}\]\n(\w+)", text)[1]
        number = int(re.search(r"q(\d+)", text)[1])
        if number < 8:
            return {"winner": "first" if first == "long" else "second"}
        return {"winner": "first" if number < 11 else "tie"}

    says(verdict)
    found = judge(answers(ours, "a.jsonl"), mode="pairwise", against=answers(theirs, "b.jsonl"))
    assert found.scores["win"] == [1.0] * 8 + [0.5] * 4
    pairs = found.metrics["pairs"]
    assert (pairs["won"], pairs["tied"], pairs["lost"]) == (8, 4, 0)
    assert pairs["win_rate"] == pytest.approx(10 / 12)
    assert pairs["low"] < pairs["win_rate"] <= pairs["high"]
    assert pairs["p_value"] == pytest.approx(2 * 0.5**8)
    assert pairs["verdict"] == "better"
    position = pairs["position"]["judge"]
    assert (position["inconsistent"], position["first_twice"], position["second_twice"]) == (3, 3, 0)
    assert position["first_share"] == pytest.approx((8 + 6) / (16 + 6))
    assert found.measures["inconsistent"] == 3


def test_a_pair_with_one_order_missing_has_no_outcome(judge, says, answers):
    says(lambda text: {"winner": "first"} if starts_with(text, "a") else "no idea")
    rows = [{"id": "1", "answer": "a1", "b": "b1"}]
    found = judge(answers(rows), mode="pairwise", columns={"other": "b"})
    assert found.scores["win"] == [None]
    assert "win_rate" not in found.metrics["pairs"]
    assert found.metrics["missing"]["reasons"] == {"not JSON": 1}


def test_identical_judging_of_both_orders_is_no_evidence(judge, says, answers):
    says({"winner": "second"})
    rows = [{"id": str(i), "answer": f"a{i}", "b": f"b{i}"} for i in range(10)]
    pairs = judge(answers(rows), mode="pairwise", columns={"other": "b"}).metrics["pairs"]
    assert (pairs["tied"], pairs["verdict"], pairs["p_value"]) == (10, "not enough evidence", 1.0)
    assert pairs["position"]["judge"]["p_value"] == pytest.approx(2 * 0.5**10)


def test_what_cannot_be_read_is_missing_and_never_0(judge, says, answers):
    bad = ["no idea", '{"quality": 9}', '{"quality": "4"}', '{"score": 4}', "", '{"quality": NaN}', '{"quality": 4']
    says(lambda text: bad[int(text.split("answer ")[-1].split("\n")[0]) % 10] if "answer " in text else "")
    rows = 7
    found = judge(answers(rows), criteria=ONE)
    assert found.scores["quality"] == [None] * rows
    assert found.metrics["scores"]["quality"]["model"] | {"method": 0} == {
        "n": 0, "unscored": 7, "value": None, "missing_share": 1.0, "method": 0,
    }  # fmt: skip
    assert "quality" not in found.measures
    reasons = {"not JSON": 3, "off the scale": 1, "wrong type": 1, "other schema": 1, "empty": 1}
    assert found.metrics["missing"]["reasons"] == reasons
    assert any("7 of 7 verdicts are missing (100.0%): not JSON 3" in text for text in found.warnings)
    assert all(line["missing"] for line in found.lines("judgements.jsonl"))


def test_means_are_over_the_verdicts_that_are_there(judge, says, answers):
    says(lambda text: {"quality": 5} if "answer 1\n" not in text else "?")
    found = judge(answers(4), criteria=ONE, max_missing=0.3)
    assert found.metrics["scores"]["quality"]["model"]["value"] == 1.0
    assert found.measures["missing_share"] == 0.25
    assert found.warnings == []  # below max_missing it is a plain note
    assert any("1 of 4 verdicts are missing" in text for text in found.notes)


def test_repeats_are_asked_again_and_their_agreement_is_measured(judge, server, answers):
    def answer(request):
        number = int(re.search(r"answer (\d+)", request["messages"][0]["content"])[1])
        return json.dumps({"quality": 1 + (number + (request["seed"] == 7 and number == 0)) % 5})

    server.answer = answer
    settings = {"criteria": ONE, "repeats": 3, "seed": 5, "endpoint": {"temperature": 0.7}}
    found = judge(answers(10), **settings)
    assert len(server.seen) == 30
    assert {request["seed"] for request in server.seen} == {5, 6, 7}
    entry = found.metrics["agreement"]["quality"]
    assert entry["level"] == "ordinal"
    assert 0.9 < entry["repeats"]["judge"]["value"] < 1
    assert found.scores["quality"][0] == pytest.approx(0.25 / 3)
    assert found.warnings == []
    assert judge(answers(10), "other", combine="majority", **settings).scores["quality"][0] == 0
    assert len(server.seen) == 30


def test_without_a_seed_repeats_are_still_sent_each(judge, says, answers, server):
    says({"quality": 3})
    found = judge(answers(2), criteria=ONE, repeats=2, seed=None)
    assert len(server.seen) == 4
    assert "seed" not in server.seen[0]
    assert any("repeats at temperature 0 differ only" in text for text in found.warnings)
    assert found.metrics["agreement"]["quality"]["repeats"]["judge"]["value"] is None  # all verdicts are the same
    assert any("judge gave all repeats the same reply: it may ignore temperature" in text for text in found.warnings)


def test_judges_of_a_panel_are_combined_and_compared(judge, server, answers):
    def answer(request):
        number = int(re.search(r"answer (\d+)", request["messages"][0]["content"])[1])
        return json.dumps({"quality": 1 + number % 5 if request["model"] != "strict" else 1})

    server.answer = answer
    others = [{"url": server.url, "model": name} for name in ("same", "strict")]
    found = judge(answers(10), criteria=ONE, panel=others)
    assert found.scores["quality"][4] == pytest.approx(2 / 3)
    assert judge(answers(10), "m", criteria=ONE, panel=others, combine="majority").scores["quality"][4] == 1.0
    assert found.metrics["agreement"]["quality"]["judges"]["value"] < 0.7
    assert found.metrics["cost"]["by_judge"].keys() == {"judge", "same", "strict"}
    with pytest.raises(AskError, match="two judges of the panel are the same"):
        judge(answers(10), "n", criteria=ONE, panel=[{"url": server.url, "model": "judge"}])


def test_agreement_with_people_is_measured_on_rows_that_have_a_label(judge, server, answers):
    rows = [
        {"id": str(i), "prompt": "q", "answer": f"a {i % 5 + 1}", "rater": str(i % 5 + 1) if i < 20 else ""}
        for i in range(25)
    ]
    rows[0]["rater"] = "2"
    server.answer = lambda request: json.dumps(
        {"quality": int(re.search(r"\[Answer \w{8}\]\na (\d)", request["messages"][0]["content"])[1])}
    )
    human = judge(answers(rows), criteria=ONE, human={"quality": "rater"}).metrics["agreement"]["quality"]["human"]
    assert (human["rows"], human["equal"]) == (20, 0.95)
    assert 0.9 < human["kappa"]["value"] < human["weighted_kappa"]["value"] < 1
    assert human["kappa"]["low"] < human["kappa"]["value"] <= human["kappa"]["high"]
    assert 0.9 < human["alpha"]["value"] < 1
    rows[3]["rater"] = "6"
    with pytest.raises(DataError, match=r"answers\.jsonl:4: the label of quality: .* not on the scale"):
        judge(answers(rows), "x", criteria=ONE, human={"quality": "rater"})
    with pytest.raises(DataError, match="there is no column 'ratter'"):
        judge(answers(rows), "x", criteria=ONE, human={"quality": "ratter"})
    with pytest.raises(AskError, match="human names 'quantity', which is not judged"):
        judge(answers(rows), "x", criteria=ONE, human={"quantity": "rater"})


def test_people_who_choose_between_pairs_name_the_file(judge, says, answers):
    says(lambda text: {"winner": "first" if starts_with(text, "a") else "second"})
    rows = [
        {"id": str(i), "answer": f"a{i}", "b": f"b{i}", "who": "answers" if i % 4 else "against"} for i in range(12)
    ]
    found = judge(answers(rows), mode="pairwise", columns={"other": "b"}, human={"win": "who"})
    human = found.metrics["agreement"]["win"]["human"]
    assert (human["rows"], human["equal"], human["kappa"]["value"]) == (12, 0.75, 0.0)


def test_a_judgement_of_nothing_is_an_error(judge, answers):
    with pytest.raises(DataError, match="has no rows"):
        judge(answers([]))


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({}, "set rubric .* or criteria"),
        ({"rubric": "kindness"}, "there is no rubric 'kindness'"),
        ({"rubric": "safety", "criteria": ONE}, "set either rubric or criteria"),
        ({"mode": "reference", "rubric": "safety"}, "rubric has no effect with mode: reference"),
        ({"mode": "pairwise"}, "pairs need the other answers"),
        ({"criteria": ONE, "verdicts": "binary"}, "verdicts has no effect with mode: rubric"),
        ({"criteria": ONE * 2}, "criteria need different names"),
        ({"criteria": [{**ONE[0], "name": "overall"}]}, "criteria need different names, none of them"),
        ({"criteria": [{**ONE[0], "scale": "good"}]}, "is not a scale"),
        ({"criteria": [{**ONE[0], "scale": [True, False]}]}, "write it in quotes"),
        ({"criteria": [{**ONE[0], "scale": ["a"]}]}, "two labels or more"),
        ({"criteria": [{**ONE[0], "scale": {"low": 5, "high": 5}}]}, "low 5 must be below high 5"),
        ({"criteria": [{**ONE[0], "scale": {"low": 0.5, "high": 5}}]}, "whole numbers must be whole"),
        ({"criteria": [{**ONE[0], "scale": {"levels": {7: "great"}}}]}, "levels names '7'"),
        ({"criteria": ONE, "prompt": "rate it"}, r"the prompt must contain \{answer\}"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, problem):
    with pytest.raises(ValidationError, match=problem):
        JudgeSpec(answers="file:x", judge={"url": "http://host/v1", "model": "m"}, **settings)


def test_rows_of_a_document_are_one_unit_of_evidence(judge, answers, says):
    rows = [{"id": f"r{i}", "prompt": f"question {i}", "answer": f"answer {i}", "doc": f"d{i // 4}"} for i in range(16)]
    says(lambda text: {"correctness": 5 if int(re.search(r"answer (\d+)", text)[1]) < 8 else 1, "completeness": 3})
    path = answers(rows)
    alone, clustered = judge(path, folder="alone"), judge(path, folder="clustered", cluster="doc")
    assert [line["cluster"] for line in clustered.lines("items.jsonl")] == [row["doc"] for row in rows]
    assert (clustered.metrics["clusters"], "clusters" in alone.metrics) == (4, False)
    wide, narrow = (each.metrics["scores"]["correctness"]["model"] for each in (clustered, alone))
    assert wide["high"] - wide["low"] > 1.5 * (narrow["high"] - narrow["low"])
    assert any("4 clusters are few" in text for text in clustered.warnings)
    with pytest.raises(AskError, match="no column 'dco'") as error:
        judge(path, folder="wrong", cluster="dco")
    assert "doc" in error.value.fix


def test_pairs_of_one_document_are_one_unit_of_evidence(judge, answers, says):
    rows = [
        {"id": f"r{i}", "prompt": "q", "answer": f"good {i}", "other": f"bad {i}", "doc": i // 4} for i in range(16)
    ]
    says(lambda text: {"winner": "first" if starts_with(text, "good") else "second"})
    settings = {"mode": "pairwise", "columns": {"other": "other"}}
    alone, clustered = (
        judge(answers(rows), folder=f"run {more}", **settings, **more).metrics["pairs"]
        for more in ({}, {"cluster": "doc"})
    )
    assert (alone["test"], alone["verdict"]) == ("exact sign test", "better")
    assert (clustered["test"], clustered["verdict"]) == ("clustered sign-flip permutation", "too few clusters")
    assert clustered["clusters"] == 4


def test_the_clusters_of_an_evaluation_are_those_of_its_judgement(judge, says, tmp_path):
    folder = tmp_path / "evaluation"
    folder.mkdir()
    lines = [{"id": f"r{i}", "source": f"d:{i}", "prompt": "q", "answer": "a", "scores": {}} for i in range(4)]
    lines = [{**line, "cluster": name} for line, name in zip(lines, ["a", "a", "b", None], strict=True)]
    (folder / "items.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    says({"correctness": 3, "completeness": 3})
    done = judge(Input("e@1", "evaluation", folder))
    assert [line.get("cluster") for line in done.lines("items.jsonl")] == ["a", "a", "b", None]
    assert done.metrics["clusters"] == 3


def test_no_criterion_has_the_name_of_another_measure(judge, says, answers):
    says({"quality": 3})
    found = judge(answers(2), criteria=ONE, endpoint={"price": {"input": 1, "output": 1}})
    others = set(found.measures) - {"quality"}
    assert {"rows", "cost", "missing"} <= others
    for name in others:
        with pytest.raises(ValidationError, match="criteria need different names, none of them"):
            JudgeSpec(
                answers="file:a.jsonl", judge={"url": "http://x", "model": "m"}, criteria=[{**ONE[0], "name": name}]
            )
