"""Each rule of a gate passes, fails, and fails by name where it cannot be decided; rules without sense are refused."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from burnish.core.context import Input
from burnish.core.errors import AskError, BurnishError
from burnish.core.recipes.gates import Rule, refuse_unknown
from burnish.evals.comparison.claims import Looks, Settings, claims_of, compared, concerned, scored_by
from burnish.evals.comparison.gate import Evidence, Judged, judged
from burnish.evals.comparison.regressions import Required, check
from burnish.evals.comparison.table import Candidate, Rows, columns_of
from burnish.evals.measure import Item
from burnish.evals.perplexity import Likelihood
from burnish.evals.scoring.scorers import Score, Unscored
from burnish.evals.statistics.clusters import labels_of
from burnish.specs.evals import CompareSpec, GateRuleSpec
from burnish.stages.evals.gates import read_rules

NAMES = ("base", "good", "same", "bad")


def evidence(rows: int = 200, sets: dict[str, list[Required]] | None = None, rules: tuple = ()) -> Evidence:
    """Four candidates: 60 %, 85 %, the same answers as the first, 30 %; bits per byte fall by a tenth for the good."""
    random = np.random.default_rng(0)
    luck = random.random(rows)
    lengths = random.integers(50, 150, rows)
    candidates = []
    for name, right, bits in zip(NAMES, (0.6, 0.85, 0.6, 0.3), (1.5, 1.35, 1.5, 1.8), strict=True):
        items: list[Item | None] = [
            Item(
                scores={"exact_match": Score(float(luck[row] < right))},
                likelihood=Likelihood(float(bits * lengths[row] * (1 + luck[row] / 9) * np.log(2)), 9, lengths[row]),
            )
            for row in range(rows)
        ]
        candidates.append(Candidate(name, f"file:{name}", "model", "", items))
    ids = [str(row) for row in range(rows)]
    place = Rows(ids, ids, [None] * rows, [None] * rows, [None] * rows)
    columns = columns_of(candidates, None)
    found = compared(claims_of(scored_by(columns), "base", {}, rules), columns, Settings(0.95, 0), Looks())
    scores = {rule.score for rule in rules} | {None}
    checked = {
        (name, each.name, score): check(required, place, candidates[0], each, score)
        for name, required in (sets or {}).items()
        for each in candidates
        for score in scores
    }
    return Evidence(columns, found, checked, NAMES, "base", 0.95, 0)


def judge(rows: int = 200, sets: dict[str, list[Required]] | None = None, **rule: Any) -> Judged:
    spec = GateRuleSpec(**rule)
    return judged(Rule(spec, "gate.yaml:1"), evidence(rows, sets, (spec,)))


SETS = {"core": [Required(str(row), {}) for row in range(40)]}
RULES: list[tuple[dict[str, Any], bool, str]] = [
    ({"score": "exact_match", "candidate": "good", "at_least": 0.7}, True, "good: exact_match is 0.785"),
    ({"score": "exact_match", "candidate": "good", "at_least": 0.9}, False, "must be at least 0.9"),
    ({"score": "exact_match", "candidate": "good", "at_least": 0.75}, False, "not enough evidence"),
    ({"score": "exact_match", "candidate": "good", "at_least": 0.75, "measured": True}, True, "good: exact_match"),
    ({"score": "exact_match", "candidate": "good", "at_least": 0.9, "measured": True}, False, "must be at least"),
    ({"score": "exact_match", "candidate": "good", "at_least": 0.785, "measured": True}, True, "good: exact_match"),
    ({"score": "bits_per_byte", "candidate": "good", "at_most": 1.5}, True, "good: bits_per_byte is 1.4"),
    ({"score": "bits_per_byte", "candidate": "bad", "at_most": 1.5}, False, "must be at most 1.5"),
    ({"score": "perplexity", "candidate": "good", "at_most": 1e9}, True, "perplexity"),
    ({"score": "exact_match", "candidate": "good", "better_than": "base"}, True, "good: better"),
    ({"score": "exact_match", "candidate": "same", "better_than": "base"}, False, "same: not enough evidence"),
    ({"score": "exact_match", "candidate": "bad", "better_than": "base"}, False, "bad: worse"),
    ({"score": "bits_per_byte", "candidate": "good", "better_than": "base"}, True, "good: better"),
    ({"score": "exact_match", "candidate": "good", "better_than": "bad"}, True, "against bad"),
    ({"score": "exact_match", "candidate": "same", "not_worse_than": "base", "margin": 0.05}, True, "margin 0.05"),
    ({"score": "exact_match", "candidate": "bad", "not_worse_than": "base", "margin": 0.05}, False, "margin 0.05"),
    ({"score": "exact_match", "candidate": "same", "not_worse_than": "base", "margin": 0.001}, False, "not enough"),
    ({"score": "bits_per_byte", "candidate": "same", "not_worse_than": "base", "margin": 0.01}, True, "not worse"),
    ({"regressions": "core", "candidate": "good"}, True, "good: 0 of 40 rows of core got worse"),
    ({"regressions": "core", "candidate": "bad"}, False, "of 40 rows of core got worse (8, 17"),
    ({"regressions": "core", "candidate": "bad", "allowed": 40}, True, "40 allowed"),
    ({"regressions": "core", "candidate": "bad", "score": "exact_match"}, False, "got worse"),
    ({"regressions": "core", "candidate": "bad", "score": "bits_per_byte"}, False, "cannot be decided"),
    ({"score": "exact_match", "better_than": "base"}, False, "same: not enough evidence"),  # all must be
    ({"score": "exact_match", "at_least": 0.2}, True, "good: exact_match"),
]


@pytest.mark.parametrize(("rule", "passes", "found"), RULES, ids=lambda value: str(value)[:60])
def test_a_rule_passes_or_fails_by_name(rule: dict[str, Any], passes: bool, found: str) -> None:
    result = judge(sets=SETS, **rule)
    assert result.passed is passes
    assert found in result.found
    assert result.rule == str(GateRuleSpec(**rule))


def test_a_rule_counts_the_rows_that_require_its_score() -> None:
    partly = [*(Required(str(row), {"exact_match": 0.0}) for row in range(4)), Required("4", {"contains": 1.0})]
    result = judge(sets={"core": partly}, regressions="core", candidate="bad", score="exact_match")
    assert result.passed
    assert "0 of 4 rows of core got worse, 0 allowed; 1 rows require no exact_match" in result.found
    nothing = judge(sets={"core": partly[4:]}, regressions="core", candidate="good", score="exact_match")
    assert not nothing.passed
    assert "cannot be decided: no row of core requires exact_match" in nothing.found


def test_as_many_rows_may_get_worse_as_are_allowed() -> None:
    one = {"core": [Required("8", {})]}  # the first that the bad one loses
    for allowed, passes in ((0, False), (1, True)):
        assert judge(sets=one, regressions="core", candidate="bad", allowed=allowed).passed is passes


UNDECIDED: list[tuple[dict[str, Any], str]] = [
    ({"score": "exact_match", "candidate": "good", "better_than": "base"}, "too few rows"),
    ({"score": "exact_match", "candidate": "same", "not_worse_than": "base", "margin": 0.5}, "too few rows"),
    ({"score": "exact_match", "candidate": "good", "at_least": 0.5}, "not enough evidence"),
    ({"regressions": "core", "candidate": "good"}, "38 rows cannot be decided: they are not in the data"),
]


@pytest.mark.parametrize(("rule", "found"), UNDECIDED, ids=lambda value: str(value)[:60])
def test_a_rule_that_two_rows_cannot_decide_fails(rule: dict[str, Any], found: str) -> None:
    result = judge(rows=2, sets=SETS, **rule)
    assert not result.passed
    assert found in result.found


def test_a_score_that_no_row_has_cannot_be_decided() -> None:
    for rule in ({"at_least": 0.0}, {"better_than": "base"}):
        spec = GateRuleSpec(score="no_call", candidate="good", **rule)
        result = judged(Rule(spec, ""), evidence())
        assert (result.passed, "cannot be decided" in result.found) == (False, True)


def test_a_row_without_a_score_is_undecided_and_a_recorded_score_counts() -> None:
    ids = ["0", "1", "2"]
    place = Rows(ids, ids, [None] * 3, [None] * 3, [None] * 3)
    base = Candidate("base", "", "model", "", [Item(scores={"s": Score(0.5)})] * 3)
    items = [Item(scores={"s": Score(0.4)}), Item(scores={"s": Unscored("?")}), None]
    other = Candidate("other", "", "model", "", items)
    found = check([Required(row, {}) for row in ids], place, base, other, None)
    assert [worse.id for worse in found.worse] == ["0"]
    assert (found.rows, found.undecided, found.why) == (3, 2, "the candidate has no s there")
    recorded = check([Required("0", {"s": 0.4}), Required("0", {"s": 0.3, "t": 1.0})], place, base, other, "s")
    assert (recorded.worse, recorded.undecided) == ([], 0)


NAMED: list[tuple[dict[str, Any], str]] = [
    ({"score": "exact_mach", "at_least": 0.5}, "there is no score 'exact_mach'"),
    ({"score": "exact_match", "candidate": "goood", "at_least": 0.5}, "there is no candidate 'goood'"),
    ({"score": "exact_match", "better_than": "bese"}, "there is no candidate 'bese'"),
    ({"score": "exact_match", "not_worse_than": "bese", "margin": 0.1}, "there is no candidate 'bese'"),
    ({"regressions": "cor"}, "there is no regression set 'cor'"),
]


@pytest.mark.parametrize(("rule", "what"), NAMED, ids=lambda value: str(value)[:60])
def test_an_unknown_name_is_refused_with_its_place_and_the_nearest(rule: dict[str, Any], what: str) -> None:
    rules = [Rule(GateRuleSpec(**rule), "gate.yaml:7")]
    with pytest.raises(AskError) as caught:
        refuse_unknown(rules, ["exact_match"], NAMES, ["core"])
    nearest = "exact_match" if "score" in what else "core" if "set" in what else "good" if "goood" in what else "base"
    assert (caught.value.what, caught.value.fix) == (f"gate.yaml:7: {what}", f"did you mean '{nearest}'?")


def test_a_rule_is_about_all_but_the_candidate_that_it_compares_with() -> None:
    for rule in ({"better_than": "bad"}, {"not_worse_than": "bad", "margin": 0.1}):
        assert concerned(GateRuleSpec(score="s", **rule), NAMES, "base") == ["base", "good", "same"]
    assert concerned(GateRuleSpec(score="s", at_least=0.1), NAMES, "base") == ["good", "same", "bad"]


def test_a_set_that_nobody_named_is_explained() -> None:
    with pytest.raises(AskError, match="no regression set 'core'") as caught:
        refuse_unknown([Rule(GateRuleSpec(regressions="core"), "gate, rule 1")], [], NAMES, [])
    assert "--regressions core=FILE" in caught.value.fix


def test_a_candidate_is_not_compared_with_itself() -> None:
    spec = GateRuleSpec(score="exact_match", candidate="base", better_than="base")
    with pytest.raises(AskError, match="compared with itself"):
        refuse_unknown([Rule(spec, "")], ["exact_match"], NAMES, [])


FIELDS = GateRuleSpec.model_fields
KINDS = {
    "at_least": {"score": "s", "at_least": 0.5},
    "at_most": {"score": "s", "at_most": 0.5},
    "not_worse_than": {"score": "s", "not_worse_than": "a", "margin": 0.1},
    "better_than": {"score": "s", "better_than": "a"},
    "regressions": {"regressions": "core"},
}
BAD: list[dict[str, Any]] = [
    {},
    {"score": "s"},
    {"better": "a"},
    {"score": "s", "at_least": "high"},
    {"score": "s", "not_worse_than": "a"},
    {"score": "s", "not_worse_than": "a", "margin": 0},
    {"score": "s", "not_worse_than": "a", "margin": -0.1},
    {"regressions": "core", "allowed": -1},
    *({**one, **other} for one in KINDS.values() for other in KINDS.values() if one != other),
    *({key: value for key, value in rule.items() if key != "score"} for rule in KINDS.values() if "score" in rule),
    *({**rule, "margin": 0.1} for name, rule in KINDS.items() if name != "not_worse_than"),
    *({**rule, "allowed": 1} for name, rule in KINDS.items() if name != "regressions"),
    *({**rule, "measured": True} for name, rule in KINDS.items() if name not in ("at_least", "at_most")),
]


@pytest.mark.parametrize("rule", KINDS.values(), ids=str)
def test_each_kind_of_rule_is_accepted(rule: dict[str, Any]) -> None:
    assert str(GateRuleSpec(**rule)).startswith("{")


def gate_of(path: Path) -> SimpleNamespace:
    spec = CompareSpec(candidates={"a": "builtin:pocket", "b": "builtin:pocket"}, data="file:x", gate=f"file:{path}")
    return SimpleNamespace(spec=spec, ctx=SimpleNamespace(input=lambda name: Input("", "file", path)))


@pytest.mark.parametrize("rule", BAD, ids=str)
def test_a_bad_rule_is_refused_with_file_and_line(rule: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "gate.yaml"
    path.write_text(f"# the release\n- {{score: s, at_least: 0.1}}\n\n- {str(rule).replace('True', 'true')}\n")
    gate = gate_of(path)
    with pytest.raises(BurnishError) as caught:
        read_rules(gate.spec, gate.ctx)
    assert caught.value.code in ("ask.wrong-value", "ask.unknown-key")
    assert f"{path}:4" in caught.value.what


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a gate is a list of rules"),
        ("[]", "a gate is a list of rules"),
        ("score: s", "a gate is a list of rules"),
        ("- {score: s", "invalid YAML"),
        ("- just words", "gate.yaml:1"),
    ],
)
def test_a_file_that_is_no_gate_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "gate.yaml"
    path.write_text(text)
    gate = gate_of(path)
    with pytest.raises(BurnishError, match=message) as caught:
        read_rules(gate.spec, gate.ctx)
    assert str(path) in caught.value.what


def test_the_rules_of_a_file_have_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "gate.yaml"
    path.write_text("- {score: a, at_least: 0.5}\n\n- score: b\n  better_than: a\n")
    gate = gate_of(path)
    rules = read_rules(gate.spec, gate.ctx)
    assert [rule.place for rule in rules] == [f"{path}:1", f"{path}:3"]
    assert [str(rule.spec) for rule in rules] == ["{score: a, at_least: 0.5}", "{score: b, better_than: a}"]


def threshold(
    scores: list[float], limit: float, clusters: list[str | None], seed: int = 0, kind: str = "at_least"
) -> Judged:
    """A rule on one candidate with these scores."""
    items: list[Item | None] = [Item(scores={"s": Score(value)}) for value in scores]
    columns = columns_of([Candidate("one", "file:one", "model", "", items)], labels_of(clusters))
    rule = Rule(GateRuleSpec(score="s", candidate="one", **{kind: limit}), "gate.yaml:1")
    return judged(rule, Evidence(columns, {}, {}, ("one",), "base", 0.95, seed))


def test_equal_scores_of_few_rows_pass_no_threshold() -> None:
    assert not threshold([0.75] * 2, 0.7, [None] * 2).passed
    assert not threshold([0.25] * 20, 0.3, [None] * 20, kind="at_most").passed
    assert threshold([0.25] * 100, 0.3, [None] * 100, kind="at_most").passed
    assert not threshold([1.0] * 6, 0.9, [str(row // 2) for row in range(6)]).passed
    assert not threshold([0.75] * 60, 0.7, [str(row // 3) for row in range(60)]).passed  # 20 clusters
    assert threshold([0.75] * 100, 0.7, [None] * 100).passed
    assert "so few clusters may miss worse ones" in threshold([0.95] * 6, 0.9, [*"aabbcc"]).found


def test_a_share_below_the_threshold_passes_as_rarely_with_clusters_as_without() -> None:
    random, clusters = np.random.default_rng(0), [str(row // 2) for row in range(40)]
    passed = sum(threshold([*(random.random(40) < 0.95).astype(float)], 0.97, clusters, n).passed for n in range(300))
    assert passed <= 17, "2.5 % of 300, and chance (binomial, 99.9 %)"
