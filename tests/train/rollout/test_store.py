"""A checkpoint is bound to the rollouts that its steps used."""

import shutil

import pytest

from burnish.core.errors import RunError

SEVERAL = {"mini_batches": 2, "passes": 2, "max_steps": 10}


@pytest.mark.parametrize("number", [0, 1])
def test_a_rollout_of_another_run_is_refused(run_grpo, number):
    """Whole, and of the same prompts: the one of the next step, and one that only the ledger still needs."""
    other = run_grpo("other", learning_rate=0.02, **SEVERAL | {"max_steps": 6})
    first = run_grpo("run", **SEVERAL | {"max_steps": 6})
    scratch = first.folder / "scratch"
    if number == 0:  # equal: the weights have not changed before
        record = other.folder / "scratch/rollouts/00000000/record.json"
        record.write_text(record.read_text() + "\n")
    shutil.rmtree(scratch / f"rollouts/{number:08d}")
    shutil.copytree(other.folder / f"scratch/rollouts/{number:08d}", scratch / f"rollouts/{number:08d}")
    kept = sorted(scratch.glob("rollouts/*"))
    for name, resume in (("replay", str(scratch / "checkpoints/step-00000006")), ("run", "auto")):
        with pytest.raises(RunError, match=f"rollout {number} in .* is not the one") as caught:
            run_grpo(name, resume=resume, **SEVERAL | {"max_steps": 6 if name == "run" else 10})
        assert caught.value.code == "run.broken-checkpoint"
    assert sorted(scratch.glob("rollouts/*")) == kept
