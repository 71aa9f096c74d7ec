"""Every stage that trains against every kind of row: it takes the row, or names the stage that does."""

import pytest

from burnish.core.catalog import stages
from burnish.core.errors import DataError
from burnish.data.document import KINDS

TAKES = {
    "sft": {"chat", "text"},
    "pretrain": {"chat", "text"},
    "dpo": {"preference"},
    "orpo": {"preference"},
    "simpo": {"preference"},
    "reward": {"preference"},
    "kto": {"label"},
    "reference": {"preference", "label"},
}
FOR = {
    "chat": {"sft", "pretrain"},
    "text": {"sft", "pretrain"},
    "preference": {"dpo", "orpo", "simpo", "reward"},
    "label": {"kto"},
    "prompt": {"grpo", "ppo", "generate"},
}
SETTINGS = {"max_steps": 1, "threads": 1}


def test_the_table_knows_every_stage_that_reads_tokens_of_rows_and_every_kind():
    trained = {
        name for name, row in stages().items() if row.spec.startswith(("burnish.specs.train", "burnish.specs.pref"))
    }
    assert trained == set(TAKES)
    assert set(FOR) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stage", TAKES)
def test_rows_of_a_wrong_kind_name_the_stage_that_takes_them(stage, kind, rows, base, run_stage):
    model = "model" if stage == "reference" else "base"
    inputs = {"data": rows(kind, 6), model: base}
    settings = {} if stage == "reference" else SETTINGS
    if kind in TAKES[stage]:
        outcome, *_ = run_stage(stage, "run", inputs, **settings)
        assert outcome.measures
        return
    with pytest.raises(DataError) as caught:
        run_stage(stage, "run", inputs, **settings)
    error = caught.value
    assert error.code == "data.unknown-format"
    assert f"the row is of kind {kind}" in error.what
    assert f"{kind}.jsonl:1" in error.what
    advice = error.fix.split("use the stage ")[1].split(";")[0]
    assert FOR[kind] <= set(advice.split(" or "))
