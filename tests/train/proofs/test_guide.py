"""The guide names every check with its question."""

from pathlib import Path

from burnish.train.proofs import QUESTIONS

GUIDE = (Path(__file__).parents[3] / "docs" / "guides" / "prove.md").read_text(encoding="utf-8")


def test_the_guide_has_every_check_in_the_order_of_the_list():
    places = [GUIDE.find(f"\n| {question.name} | ") for question in QUESTIONS]
    assert -1 not in places
    assert places == sorted(places)
    assert len({question.name for question in QUESTIONS}) == len(QUESTIONS)


def test_every_question_ends_as_one_and_has_a_fix():
    for question in QUESTIONS:
        assert question.asks.endswith("?")
        assert question.fix
