"""From judgements to one score per answer and criterion; what is missing stays missing, with its reason."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from burnish.evals.judge.criteria import FIRST, SECOND, TIE, WINNER, Criterion, Scale, Verdict
from burnish.evals.judge.panel import Judge, Judgement
from burnish.evals.judge.requests import FORWARD, SWAPPED, Unasked
from burnish.evals.scoring.scorers import Score, Unscored

OVERALL, PASS, WIN = "overall", "pass", "win"
OURS, THEIRS = "answers", "against"
PAIR_SCALE = Scale({THEIRS: 0.0, TIE: 0.5, OURS: 1.0}, 0, 1, False, {}, "ordinal")
"""The outcome of a pair, in both orders."""
_OUTCOMES = {(FORWARD, FIRST): OURS, (FORWARD, SECOND): THEIRS, (SWAPPED, FIRST): THEIRS, (SWAPPED, SECOND): OURS}


@dataclass(frozen=True)
class Ratings:
    """The verdicts on one criterion: `by[judge][case][repeat]`, None where it is missing."""

    criterion: Criterion
    by: Mapping[str, list[list[Verdict | None]]]

    def of_case(self, case: int) -> list[list[Verdict | None]]:
        """By judge, then repeat."""
        return [cases[case] for cases in self.by.values()]


@dataclass(frozen=True)
class PairCounts:
    """Of pairs that were judged in both orders: how often the order decided."""

    pairs: int
    inconsistent: int
    first_twice: int
    """Pairs of which the first answer won in both orders."""
    second_twice: int
    first: int
    """Verdicts for the first answer, and for the second."""
    second: int


def ratings_of(judges: Sequence[Judge], criteria: Sequence[Criterion], cases: int, repeats: int) -> list[Ratings]:
    """The verdicts by criterion. A pair has one criterion, `win`, whose verdicts come from both orders."""
    if [criterion.name for criterion in criteria] == [WINNER]:
        win = Criterion(WIN, criteria[0].description, PAIR_SCALE)
        return [Ratings(win, {judge.name: _outcomes(judge.judgements, cases, repeats) for judge in judges})]
    found = []
    for criterion in criteria:
        by = dict[str, list[list[Verdict | None]]]()
        for judge in judges:
            by[judge.name] = [[None] * repeats for _ in range(cases)]
            for one in judge.judgements:
                if one.verdicts is not None:
                    by[judge.name][one.question.case][one.question.repeat] = one.verdicts[criterion.name]
        found.append(Ratings(criterion, by))
    return found


def _outcomes(judgements: Sequence[Judgement], cases: int, repeats: int) -> list[list[Verdict | None]]:
    """Per case and repeat: who wins in both orders; a tie if the orders disagree, None if one is missing."""
    table: list[list[Verdict | None]] = [[None] * repeats for _ in range(cases)]
    for (case, repeat), winners in _in_both_orders(judgements).items():
        table[case][repeat] = winners[0] if winners[0] == winners[1] else TIE
    return table


def _in_both_orders(judgements: Sequence[Judgement]) -> dict[tuple[int, int], tuple[str, str]]:
    """(case, repeat) → the winner forward and swapped, of the pairs that have both."""
    found: dict[tuple[int, int], dict[str, str]] = {}
    for one in judgements:
        if one.verdicts is not None:
            key = (one.question.order, str(one.verdicts[WINNER]))
            winners = found.setdefault((one.question.case, one.question.repeat), {})
            winners[one.question.order] = _OUTCOMES.get(key, TIE)
    return {key: (both[FORWARD], both[SWAPPED]) for key, both in found.items() if len(both) == 2}


def pair_counts(judgements: Sequence[Judgement]) -> PairCounts:
    """How often a judge's verdict depends on the order of the answers."""
    both = list(_in_both_orders(judgements).values())
    said = Counter(str(one.verdicts[WINNER]) for one in judgements if one.verdicts is not None)
    return PairCounts(
        pairs=len(both),
        inconsistent=sum(forward != swapped for forward, swapped in both),
        first_twice=both.count((OURS, THEIRS)),
        second_twice=both.count((THEIRS, OURS)),
        first=said[FIRST],
        second=said[SECOND],
    )


def combined(
    verdicts: Sequence[Sequence[Verdict | None]], scale: Scale, how: Literal["mean", "majority"]
) -> float | None:
    """One score from verdicts by judge and repeat; None if there is none.

    `mean` is over judges, each by the mean of its repeats. `majority` is the most frequent verdict; of several, the
    mean of their scores.
    """
    given = [[scale.score(one) for one in each if one is not None] for each in verdicts]
    given = [each for each in given if each]
    if not given:
        return None
    if how == "mean":
        return sum(sum(each) / len(each) for each in given) / len(given)
    frequent = most_frequent([one for each in verdicts for one in each if one is not None])
    return sum(scale.score(one) for one in frequent) / len(frequent)


def most_frequent(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdict that occurs most often; several if they tie."""
    counts = Counter(verdicts)
    return [one for one, count in counts.items() if count == max(counts.values())]


def scores_of(
    ratings: Sequence[Ratings],
    case: int,
    how: Literal["mean", "majority"],
    threshold: float | None,
    missing: str,
) -> dict[str, Score | Unscored]:
    """The scores of one answer: each criterion, `overall` of several, and `pass` with a threshold."""
    found: dict[str, Score | Unscored] = {}
    for rating in ratings:
        value = combined(rating.of_case(case), rating.criterion.scale, how)
        found[rating.criterion.name] = Unscored(missing) if value is None else Score(value)
    values = [(rating.criterion.weight, found[rating.criterion.name]) for rating in ratings]
    total = sum(weight * score.value for weight, score in values if isinstance(score, Score))
    overall = (
        Score(total / sum(weight for weight, _ in values))
        if all(isinstance(score, Score) for _, score in values)
        else Unscored(missing)
    )
    if len(ratings) > 1:
        found[OVERALL] = overall
    if threshold is not None:
        is_scored = isinstance(overall, Score)
        found[PASS] = Score(float(overall.value >= threshold - 1e-9)) if is_scored else Unscored(missing)
    return found


def repeats_are_equal(judge: Judge) -> bool:
    """Whether all repeats of every question got the same reply, which makes their agreement meaningless."""
    texts: dict[tuple[int, str], list[str]] = {}
    for one in judge.judgements:
        if one.reply is not None:
            texts.setdefault((one.question.case, one.question.order), []).append(one.reply.text)
    repeated = [replies for replies in texts.values() if len(replies) > 1]
    return bool(repeated) and all(len(set(replies)) == 1 for replies in repeated)


def reasons_of(judges: Sequence[Judge], unasked: Mapping[int, Unasked]) -> dict[int, str]:
    """Why a case lacks verdicts: the first reason of each kind."""
    found: dict[int, dict[str, str]] = {}
    for judge in judges:
        for one in judge.judgements:
            if one.verdicts is None:
                found.setdefault(one.question.case, {}).setdefault(one.kind, f"{one.kind}: {one.why}")
    reasons = {case: "; ".join(kinds.values()) for case, kinds in found.items()}
    return reasons | {case: one.why for case, one in unasked.items()}
