"""Evaluations: scores with their intervals, the items behind them, and the difference of two of them."""

from typing import Annotated, Any, Literal

from fastapi import Depends, Query
from pydantic import BaseModel

from burnish.server.problems import shown
from burnish.server.routes.runs.parameters import Number, Recipe, Step
from burnish.server.routing import Place, Router
from burnish.studio.evaluations import items as item_views
from burnish.studio.evaluations import pairs as pair_views
from burnish.studio.evaluations import scores as studio

router = Router(tags=["evaluations"], work="slow")
Name = Annotated[str, Query(min_length=1, max_length=300, examples=["demo/1", "demo/1/score"])]
Text = Annotated[str, Query(max_length=200, description="Words that an item has.")]
Offset = Annotated[int, Query(ge=0, le=10_000_000)]
Limit = Annotated[int, Query(ge=1, le=200)]


def _items_first(usual: item_views.Order) -> Any:
    """Which items are asked for, and in which order they come where none is asked for."""

    async def asked(
        order: item_views.Order = usual, q: Text = "", offset: Offset = 0, limit: Limit = 20
    ) -> dict[str, Any]:
        return {"order": order, "text": q, "offset": offset, "limit": limit}

    return Depends(asked)


ChangedFirst = Annotated[dict[str, Any], _items_first("changed")]
AsInFile = Annotated[dict[str, Any], _items_first("file")]


class Value(BaseModel):
    """A score of a model, and the ends of its interval where there is one."""

    value: float | None
    low: float | None
    high: float | None


class ScoreOf(BaseModel):
    """A score of all sides on the `rows` that count for all of them; `unscored` are those without one."""

    name: str
    rows: int
    higher_is_better: bool
    sides: dict[str, Value]
    unscored: dict[str, int]


class Difference(BaseModel):
    """The difference of a score between two sides: candidate minus base, with the ends of its interval.

    `margin` is that of a claim *not worse*; `detectable` is the smallest difference that these rows could show.
    `p_value` is corrected for `corrected_for` comparisons together (Holm), or not at all where that is null.
    """

    score: str
    base: str
    candidate: str
    rows: int
    delta: float | None
    low: float | None
    high: float | None
    p_value: float | None
    corrected_for: int | None
    test: str
    margin: float | None
    detectable: float | None
    verdict: str
    higher_is_better: bool


class Tagged(BaseModel):
    """The scores on rows with a tag."""

    tag: str
    rows: int
    scores: list[ScoreOf]
    differences: list[Difference]


class Spending(BaseModel):
    """What was asked, and what it cost; `uncounted` requests have no count of tokens."""

    requests: int
    cached: int
    retries: int
    prompt_tokens: int
    reply_tokens: int
    cost: float | None
    uncounted: int


class Judge(Spending):
    """A judge: where it is asked, and how many of its verdicts are missing."""

    name: str
    endpoint: str
    missing: int


class AgreementOf(BaseModel):
    """How far verdicts on a criterion agree: between the repeats of a judge, between judges, or with people."""

    criterion: str
    level: str
    between: Literal["repeats", "judges", "people"]
    judge: str | None
    coefficient: str
    value: float | None
    low: float | None
    high: float | None
    rows: int


class Position(BaseModel):
    """Of pairs: the share of those whose verdict changed with the order, and of first answers among those chosen."""

    judge: str
    inconsistent: float | None
    first: float | None


class Pairs(BaseModel):
    """How pairs of answers were decided."""

    pairs: int
    won: int
    lost: int
    tied: int
    win_rate: float | None
    low: float | None
    high: float | None
    p_value: float | None
    verdict: str | None
    position: list[Position]


class Judging(BaseModel):
    """What judges said besides scores: agreement, cost, and what is missing."""

    judges: list[Judge]
    total: Spending
    replies: int
    missing: int
    missing_reasons: dict[str, int]
    not_asked: dict[str, int]
    agreement: list[AgreementOf]
    pairs: Pairs | None


class GateRule(BaseModel):
    """A rule of a gate, with the numbers that decide it."""

    rule: str
    passed: bool
    found: str
    candidates: list[str]


class Gate(BaseModel):
    """Whether all rules hold."""

    passed: bool
    rules: list[GateRule]


class Scores(BaseModel):
    """Scores by side. `sides` are references by the names that `scores` and `differences` use."""

    rows: int
    clusters: int | None
    confidence: float
    baseline: str
    sides: dict[str, str]
    scores: list[ScoreOf]
    differences: list[Difference]
    tags: list[Tagged]
    judging: Judging | None
    gate: Gate | None
    missing_rows: dict[str, int]
    warnings: list[str] = []


class Evaluation(Scores):
    """An evaluation, a judgement or a comparison."""

    run: str
    ref: str
    kind: str
    stage: str
    created: float
    inputs: dict[str, str]


class ItemScore(BaseModel):
    """A score of one answer, and why it is what it is."""

    value: float | None
    why: str


class ItemSide(BaseModel):
    """What a side answered."""

    name: str
    answer: str | None
    scores: dict[str, ItemScore]


class ItemOf(BaseModel):
    """A row with the answers of all sides."""

    id: str
    source: str
    tag: str | None
    prompt: str
    reference: str | None
    sides: list[ItemSide]


class ItemPage(BaseModel):
    """Some items: of `total`, those that `match`."""

    items: list[ItemOf]
    match: int
    total: int


class EvaluationPair(BaseModel):
    """Evaluations of two runs that belong together."""

    step: str
    one: str
    other: str


@router.get("/evaluations/pairs", scope="read")
def list_evaluation_pairs(one: Name, other: Name, place: Place) -> list[EvaluationPair]:
    """The evaluations of two runs that can be compared with one another."""
    return [EvaluationPair.model_validate(row) for row in pair_views.pairs(one, other, workspace=place)]


@router.get("/evaluations/difference", scope="read")
def show_difference(one: Name, other: Name, place: Place) -> Scores:
    """Scores and differences of two evaluations on the rows that both have, as `compare` finds them.

    The sides are `one` and `other`.
    """
    return Scores.model_validate(pair_views.difference(one, other, workspace=place))


@router.get("/evaluations/answers", scope="read")
def list_answers(one: Name, other: Name, place: Place, page: ChangedFirst) -> ItemPage:
    """The answers of two evaluations to the same prompts, side by side."""
    return shown(ItemPage, item_views.answers(one, other, **page, workspace=place), f"{one} or {other}")


@router.get("/evaluations/{recipe}/{number}/{step}", scope="read")
def show_evaluation(recipe: Recipe, number: Number, step: Step, place: Place) -> Evaluation:
    """One evaluation: scores with intervals, differences, and of a judgement agreement and cost."""
    name = f"{recipe}/{number}/{step}"
    return shown(Evaluation, studio.evaluation(name, workspace=place), name)


@router.get("/evaluations/{recipe}/{number}/{step}/items", scope="read")
def list_items(recipe: Recipe, number: Number, step: Step, place: Place, page: AsInFile) -> ItemPage:
    """The items of an evaluation: prompts, references, answers and their scores."""
    name = f"{recipe}/{number}/{step}"
    return shown(ItemPage, item_views.items(name, **page, workspace=place), name)
