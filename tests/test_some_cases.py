"""The mark `some` keeps what it says, whichever cases there are."""

from itertools import product

import pytest

from some_cases import leave_to_torture, some_of

CASES = [("-".join(values), values) for values in product("abcdefg", "123", "xy")]


def test_each_value_of_each_parameter_is_met_in_few_cases():
    kept = some_of(CASES, None)
    assert set("-".join(kept).split("-")) == set("abcdefg123xy")
    assert 7 <= len(kept) <= 10


@pytest.mark.parametrize("every", [1, 2, 5, 100])
def test_each_so_manyth_case_is_met(every):
    kept = some_of(CASES, every)
    assert len(set(kept)) == len(kept) == -(-len(CASES) // every)


RUN = """
import pytest

@pytest.mark.some(every=2)
@pytest.mark.parametrize("n", range(4))
def test_each_second(n): pass

@pytest.mark.some
@pytest.mark.parametrize("a", range(3))
@pytest.mark.parametrize("b", range(3))
def test_each_value(a, b): pass
"""


@pytest.mark.parametrize(("chosen", "least", "most"), [("not torture", 5, 7), ("torture", 6, 8), ("", 13, 13)])
def test_the_others_are_those_of_torture(chosen, least, most, request, tmp_path):
    (tmp_path / "test_x.py").write_text(RUN)
    module = pytest.Module.from_parent(request.session, path=tmp_path / "test_x.py")
    items = list(request.session.genitems(module))
    leave_to_torture(items)
    left = {item.name for item in items if item.get_closest_marker("torture")}
    found = {"": len(items), "torture": len(left), "not torture": len(items) - len(left)}[chosen]
    assert least <= found <= most
