"""The picture of a run's loss: its numbers are the ledger's, and it is drawn however short the run was."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from burnish.train.reporting.curve import draw, smoothed, step_losses
from burnish.train.reporting.ledger import LedgerType, RowLedger

pytestmark = pytest.mark.usefixtures("painted")


def write_visits(path: Path, losses: list[list[float]], learned: list[list[int]]) -> np.ndarray:
    ledger, type = RowLedger(path), LedgerType()
    for step, (values, tokens) in enumerate(zip(losses, learned, strict=True), start=1):
        ledger.append([type.record(np.arange(len(values)), 0, step, np.array([values]), np.array(tokens))])
    ledger.write()
    ledger.close()
    return type.read(path)


def weights_of(*tokens: list[float]) -> np.ndarray:
    """The weights of rows by those of their tokens."""
    return np.array([sum(row) for row in tokens])


def test_the_loss_of_a_step_weighs_rows_by_the_weight_of_their_tokens(tmp_path):
    visits = write_visits(tmp_path / "ledger/visits.bin", [[1.0, 4.0], [2.0], [9.0]], [[1, 2], [1], [0]])
    steps, losses = step_losses(visits, weights_of([0.5], [0.5, 0.5]))
    assert steps.tolist() == [1, 2, 3]
    assert losses.tolist() == pytest.approx([3.0, 2.0, 9.0])


def test_a_step_in_which_nothing_is_learned_is_left_out(tmp_path):
    visits = write_visits(tmp_path / "ledger/visits.bin", [[0.0], [2.0]], [[0], [1]])
    assert step_losses(visits, weights_of([0.0]))[0].tolist() == []


def test_the_smoothed_line_keeps_a_constant_and_a_straight_line_up_to_its_ends():
    assert smoothed(np.full(50, 3.0)) == pytest.approx(np.full(50, 3.0))
    falling = np.linspace(5, 1, 2000)
    assert smoothed(falling) == pytest.approx(falling)
    noisy = 2 + np.random.default_rng(0).normal(0, 1, 400)
    assert smoothed(noisy).std() < 0.4


def test_the_smoothed_line_does_not_lag_behind_a_fall():
    losses = np.where(np.arange(2000) < 700, 4.0, 1.0)
    assert abs(int(np.argmax(smoothed(losses) < 2.5)) - 700) <= 1


@pytest.mark.parametrize("steps", [1, 40])
def test_a_training_on_rewards_is_drawn_with_its_reward_above_its_loss(tmp_path, monkeypatch, steps):
    type, drawn = LedgerType(("weight", "reward")), []
    monkeypatch.setattr(Figure, "savefig", lambda figure, target: drawn.append(figure))
    records = [
        type.record(np.arange(2), 0, step, np.array([[0.5, 1.5], [1, 3], [step, step + 1]]), np.array([4, 4]))
        for step in range(1, steps + 1)
    ]
    draw(np.concatenate(records), np.ones(2), [(0, 1.0), (steps, 2.0)], tmp_path / "loss.png", "token", "reward")
    reward, loss = drawn[0].axes
    assert (reward.get_ylabel(), loss.get_ylabel(), loss.get_xlabel()) == ("reward", "loss", "step")
    assert reward.lines[0].get_ydata() == pytest.approx(np.arange(1, steps + 1) + 0.5)
    assert loss.lines[0].get_ydata() == pytest.approx(np.full(steps, 1.25))
    assert reward.lines[-1].get_ydata().tolist() == [1.0, 2.0]


@pytest.mark.parametrize("steps", [1, 3, 40])
@pytest.mark.parametrize("evaluations", [[], [(1, 2.5)]])
def test_a_run_of_any_length_is_drawn(tmp_path, steps, evaluations):
    visits = write_visits(tmp_path / "ledger/visits.bin", [[3.0 / i] for i in range(1, steps + 1)], [[4]] * steps)
    draw(visits, weights_of([1.0]), evaluations, tmp_path / "loss.png")
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
