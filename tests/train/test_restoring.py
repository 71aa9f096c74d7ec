"""What a loop restores from a checkpoint, and the ledger that it takes from another run."""

import hashlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from burnish.core.errors import RunError
from burnish.specs.train import AdamWSpec
from burnish.tokens.tokenised import TokenisedRows
from burnish.train.batches import Cursor, FixedRows, StepPlan
from burnish.train.checkpoints.checkpoint import Checkpoint, CheckpointFolder, capture_randomness
from burnish.train.checkpoints.lineage import Origin
from burnish.train.checkpoints.state import LoopSettings, TrainState
from burnish.train.loop import Loop
from burnish.train.objectives.causal import Causal
from burnish.train.optim.optimizers import Optimizer
from burnish.train.passes import Passes
from burnish.train.reporting import ledger


def loop_in(folder, total=10, settings=None, **more) -> Loop:
    """A loop that is not run."""
    model = nn.Linear(3, 2)
    causal = SimpleNamespace(device=torch.device("cpu"))
    given = {"total_steps": total, "learning_rate": 0.1, "schedule": float, "max_grad_norm": None} | more
    given = {"micro_batch_tokens": 32, "save_every": 1, "eval_every": None, "keep_best": False} | given
    rows = TokenisedRows.of((f"r{n}", np.arange(3, dtype=np.int32), np.ones(3, np.float32)) for n in range(3))
    plan = StepPlan(rows.lengths, seed=0, batch_size=1)
    passes = Passes(
        SimpleNamespace(model=model, causal=causal), Causal(), Optimizer(model, AdamWSpec()), TrainState(),
        max_grad_norm=None, balance=None, dropout=None, emit=lambda event: None, is_stopping=lambda: False,
    )  # fmt: skip
    return Loop(
        passes, FixedRows(rows, plan), None, plan, LoopSettings(**given),
        checkpoints=CheckpointFolder(folder / "checkpoints"), ledger_path=folder / "ledger/visits.bin",
        origin=Origin({"learning_rate": 0.1} | (settings or {}), {}, {}, "w"), emit=lambda event: None,
    )  # fmt: skip


BYTES = bytes(range(60))


def write_ledger(folder, content=BYTES):
    (folder / "ledger").mkdir(parents=True, exist_ok=True)
    (folder / "ledger/visits.bin").write_bytes(content)


def checkpoint_of(loop, step=4, digest=None, offset=40, **standing) -> Checkpoint:
    state = TrainState(step=step, cursor=Cursor(1, 1), micro_batch_tokens=7, stopped_early=True, **standing).as_json()
    weights = {name: torch.full_like(weight, 0.5) for name, weight in loop.optimizer.weights().items()}
    kept = {"standing": state, "ledger_offset": offset, "origin": loop.origin.as_json(), "lineage": [{"first": 1}]}
    kept |= {} if digest is None else {"ledger_sha256": digest}
    return Checkpoint(loop.origin.identity, kept, weights, {}, capture_randomness())


def test_everything_of_a_checkpoint_is_restored(tmp_path):
    write_ledger(tmp_path)
    loop = loop_in(tmp_path)
    torch.manual_seed(5)
    checkpoint = checkpoint_of(loop, evaluations=[(2, 0.5)])
    expected = torch.rand(3)
    assert loop.restore(checkpoint) == ()
    assert torch.equal(torch.rand(3), expected)
    assert loop.state.as_json() == checkpoint.state["standing"]
    assert loop._passes.state is loop.state
    assert (loop._ledger_offset, loop._saved_step, loop.lineage) == (40, 4, [{"first": 1}])
    assert all((weight == 0.5).all() for weight in loop.optimizer.weights().values())
    assert checkpoint.state["lineage"] == [{"first": 1}]


@pytest.mark.parametrize(
    ("before", "now", "tokens", "stopped"),
    [
        ({"micro_batch_tokens": 7}, {"micro_batch_tokens": 32}, 32, True),
        ({"early_stop.patience": 1}, {"early_stop.patience": 2}, 7, False),
        ({"max_steps": 5}, {"max_steps": 10}, 7, False),
        ({"epochs": 1}, {"epochs": 2}, 7, False),
        ({"eval_every": 1}, {"eval_every": 2}, 7, True),
        ({"schedule.warmup": 1}, {}, 7, True),
    ],
)
def test_settings_that_changed_at_a_named_checkpoint_take_effect(tmp_path, before, now, tokens, stopped):
    checkpoint = checkpoint_of(loop_in(tmp_path, settings=before))
    loop = loop_in(tmp_path, settings=now)
    with pytest.raises(RunError) as caught:
        loop.restore(checkpoint)
    assert caught.value.code == "run.other-settings"
    named = tmp_path / "there/checkpoints/step-00000004"
    write_ledger(tmp_path / "there")
    changes = loop.restore(checkpoint, named)
    [name] = before
    assert [(change.name, change.before, change.now) for change in changes] == [(name, before[name], now.get(name))]
    assert (loop.state.micro_batch_tokens, loop.state.stopped_early) == (tokens, stopped)
    entry = {"checkpoint": str(named), "step": 4, "changed": {name: [before[name], now.get(name)]}}
    assert loop.lineage == [{"first": 1}, entry]


def test_a_checkpoint_beyond_the_end_of_the_run_is_refused(tmp_path):
    write_ledger(tmp_path)
    loop = loop_in(tmp_path, total=4)
    loop.restore(checkpoint_of(loop, step=4))
    with pytest.raises(RunError, match="the checkpoint is of step 5, and the run ends after 4") as caught:
        loop.restore(checkpoint_of(loop, step=5))
    assert caught.value.code == "run.other-settings"


def test_the_ledger_beside_a_named_checkpoint_is_copied_unless_it_is_the_runs_own(tmp_path):
    loop = loop_in(tmp_path / "own")
    theirs = tmp_path / "theirs/ledger/visits.bin"
    loop.take_ledger_of(tmp_path / "theirs/checkpoints/step-00000004")
    assert not loop._ledger_path.exists()
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"1234")
    for _ in range(2):
        loop.take_ledger_of(tmp_path / "theirs/checkpoints/step-00000004")
        assert loop._ledger_path.read_bytes() == b"1234"
    (tmp_path / "link").symlink_to(tmp_path / "own")
    for own in ("own", "link"):
        loop.take_ledger_of(tmp_path / own / "checkpoints/step-00000004")
    linked = loop_in(tmp_path / "link")
    linked.take_ledger_of(tmp_path / "own/checkpoints/step-00000004")
    assert loop._ledger_path.read_bytes() == b"1234"


def test_a_checkpoint_is_about_three_float32_numbers_for_each_trained_weight(tmp_path):
    assert loop_in(tmp_path).checkpoint_bytes() == 3 * 4 * (3 * 2 + 2)


def digest_of(size):
    return hashlib.sha256(BYTES[:size]).hexdigest()


@pytest.mark.parametrize(
    ("content", "digest", "reason"),
    [
        (BYTES, digest_of(40), None),
        (BYTES[:40], digest_of(40), None),
        (BYTES, None, None),
        (BYTES[:39], digest_of(40), "it has 39 bytes instead of 40"),
        (
            BYTES[:20] + b"x" + BYTES[21:],
            digest_of(40),
            "its first 40 bytes (2 visits of rows) do not match their sha256",
        ),
        (None, digest_of(40), "it is missing"),
    ],
)
@pytest.mark.parametrize("is_named", [False, True])
def test_a_ledger_that_is_not_that_of_its_checkpoint_is_refused(tmp_path, content, digest, reason, is_named):
    place = tmp_path / ("theirs" if is_named else "own")
    if content is not None:
        write_ledger(place, content)
    loop = loop_in(tmp_path / "own")
    named = place / "checkpoints/step-00000004" if is_named else None
    checkpoint = checkpoint_of(loop, digest=digest)
    if reason is None:
        loop.restore(checkpoint, named)
        return
    with pytest.raises(RunError) as caught:
        loop.restore(checkpoint, named)
    assert caught.value.code == "run.broken-checkpoint"
    assert caught.value.what == f"the row ledger {place / 'ledger/visits.bin'} is not that of step 4: {reason}"
    assert caught.value.fix == "restore the file from a copy, or set resume: never to start over"
    assert loop.state.step == 0


def test_the_newest_earlier_checkpoint_with_a_whole_ledger_is_named(tmp_path):
    loop = loop_in(tmp_path)
    folder = loop.checkpoints
    folder.keep = 99
    for step, offset in ((1, 0), (2, 20), (3, 40), (5, 60)):
        folder.save(step, checkpoint_of(loop, step, digest_of(offset), offset))
    for broken, known in ((45, 40), (30, 20), (10, 0)):
        write_ledger(tmp_path, BYTES[:broken] + b"x" + BYTES[broken + 1 :])
        with pytest.raises(RunError) as caught:
            loop.restore(checkpoint_of(loop, 5, digest_of(60), 60))
        step = {40: 3, 20: 2, 0: 1}[known]
        part = f"its first {known} bytes ({known // 20} visits of rows), up to step {step}, are whole"
        assert caught.value.what.endswith(f"do not match their sha256; {part}")
        assert caught.value.fix.startswith(f"set resume: {folder.path / f'step-{step:08d}'}, or restore the file")


@pytest.mark.parametrize("block", [1, 19, 20, 39, 1 << 20])
def test_the_digest_of_a_ledger_is_that_of_its_first_bytes_whatever_the_blocks(tmp_path, monkeypatch, block):
    monkeypatch.setattr(ledger, "_BLOCK", block)
    write_ledger(tmp_path)
    path = tmp_path / "ledger/visits.bin"
    for size in (0, 1, 2, 20, 40, 60):
        assert ledger.damage(path, size, digest_of(size)) is None
        assert ledger.damage(path, size, digest_of(size + 1 if size < 60 else 0)) is not None
        assert ledger.damage(path, size, "") is None
        assert ledger.damage(tmp_path / "none", size, digest_of(size)) == (None if size == 0 else "it is missing")
    assert ledger.damage(path, 61, "") == "it has 60 bytes instead of 61"
    for size in (0, 20, 40):
        again = ledger.RowLedger(path, size)
        assert again.sha256 == digest_of(size)
        assert again.write() == size
        again.close()
        assert path.read_bytes() == BYTES[:size]
        path.write_bytes(BYTES)
