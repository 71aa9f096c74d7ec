"""docs/reference/families.md is what burnish does with every family.

In `make test` each family is opened for training and for generation; both ask the model against transformers' own
forward, gradient and `generate`. The whole table, with rows and prompts of its own, a saved adapter and a merge, is
computed by `make torture`.
"""

import pytest
import torch

from families import FAMILIES, UNBUILDABLE
from family_table import EVERY, PAGE, opened, row

torch.set_num_threads(1)


def lines() -> dict[str, str]:
    """The table's lines by family."""
    found = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    return {line.split(" | ")[0][2:]: line for line in found[2:]}


LINES = lines()


def test_every_family_that_transformers_knows_has_its_line_and_none_crashes():
    assert sorted(LINES) == sorted(FAMILIES)
    assert not [line for line in LINES.values() if "crash" in line.lower()]


@pytest.mark.some(every=3)
@pytest.mark.parametrize("family", [family for family in EVERY if family not in UNBUILDABLE])
def test_a_family_is_opened_as_the_page_says(family):
    cells = LINES[family].strip("| ").split(" | ")
    if cells[1] != "yes":
        pytest.skip("it does not load")
    assert opened(family) == (cells[2], cells[4], cells[5])


@pytest.mark.torture
@pytest.mark.parametrize("family", EVERY)
def test_the_line_of_a_family_is_what_it_does(family):
    assert row(family).line() == LINES[family]
