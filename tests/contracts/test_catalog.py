"""Every row of the catalog leads to a spec, without torch, and to a function, in a workroom."""

import inspect
import subprocess
import sys

import pytest

from burnish.core.catalog import stages
from burnish.specs.base import Spec

KINDS = {"dataset", "model", "adapter", "tokenizer", "evaluation", "generations", "log-probabilities"}
KINDS |= {"certificate", "comparison", "gguf", "profile", "rows", "serving"}


@pytest.mark.parametrize("row", list(stages().values()), ids=lambda row: row.name)
def test_a_row_leads_to_a_documented_spec(row):
    assert issubclass(row.spec_type(), Spec)
    assert (row.spec_type().__doc__ or "").strip()
    assert row.produces in KINDS
    for name, info in row.spec_type().__pydantic_fields__.items():
        assert info.description, f"{row.name}.{name} has no help"


@pytest.mark.parametrize("row", list(stages().values()), ids=lambda row: row.name)
def test_the_summary_of_a_row_is_the_first_line_of_its_spec(row):
    assert row.summary == (row.spec_type().__doc__ or "").strip().splitlines()[0]


def test_specs_are_reached_without_torch():
    code = (
        "import sys; from burnish.core.catalog import stages\n"
        "[row.spec_type() for row in stages().values()]\n"
        "print([name for name in ('torch', 'transformers', 'numpy', 'pyarrow') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("row", list(stages().values()), ids=lambda row: row.name)
def test_a_function_is_reached_and_takes_a_spec_and_a_context(row):
    assert list(inspect.signature(row.function()).parameters) == ["spec", "ctx"]
