"""The last number of a text, by the rule in numbers.py."""

from fractions import Fraction

import pytest

from burnish.evals.scoring.numbers import last_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("He has 3 + 4 = 7.\n#### 7", 7),
        ("#### 1,234", 1234),
        ("It costs $1,234,567.89 in all.", Fraction("1234567.89")),
        ("The list is 1,2,3", 3),
        ("a decimal comma: 1,5", 5),
        ("1234,567", 567),
        ("It is 5.", 5),
        ("It is .5", Fraction(1, 2)),
        ("about 50%", 50),
        ("a change of -12", -12),
        ("a change of −12", -12),
        ("a loss of -$5", -5),
        ("a loss of $-5", -5),
        ("costs € 12 today", 12),
        ("10-5", 5),
        ("(10)-5", 5),
        ("pages 3-5", 5),
        ("x=-3", -3),
        ("- 5 eggs", 5),
        ("+7", 7),
        ("3/4", Fraction(3, 4)),
        ("-3/4 of it", Fraction(-3, 4)),
        ("1 1/2 cups", Fraction(3, 2)),
        ("1½ cups", Fraction(3, 2)),
        (r"\boxed{\frac{3}{4}}", Fraction(3, 4)),
        (r"$1\frac{1}{2}$", Fraction(3, 2)),
        ("on 12/05/2024", 2024),
        ("7/0", None),
        ("1.5e-3 grams", Fraction("0.0015")),
        ("2e3", 2000),
        ("42kg", 42),
        ("5 tons of CO2", 5),
        ("答案是42。", 42),
        ("答案是４２", 42),
        ("答案是－４２", -42),
        ("10 m²", 10),
        ("none at all", None),
        ("", None),
    ],
)
def test_last_number(text: str, number: Fraction | int | None) -> None:
    assert last_number(text) == number


def test_an_endless_run_of_digits_is_not_a_number() -> None:
    assert last_number("It is 7, not " + "9" * 100_000) == 7
    assert last_number("1/" + "0" * 100_000) is None
    assert last_number("9" * 1000) == 10**1000 - 1
    assert last_number("9" * 1001) is None
    assert last_number("1," * 20_000 + "x") == 1
