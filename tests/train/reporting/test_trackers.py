"""Metrics reach TensorBoard; a tracker that is not installed is told before the work."""

import pytest

from burnish.core.errors import MachineError, RunError
from burnish.train.reporting import trackers


@pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard.*")
def test_tensorboard_gets_every_metric_of_a_run(run_fit):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with pytest.raises(RunError):
        run_fit("run", track=["tensorboard"], max_steps=3, stop_before=1)
    ran = run_fit("run", track=["tensorboard"], max_steps=3)  # goes on in the same folder
    found = EventAccumulator(str(ran.folder / "out/trackers/tensorboard"))
    found.Reload()
    assert {"loss", "learning_rate", "grad_norm", "tokens_per_second"} <= set(found.Tags()["scalars"])
    losses = [(point.step, point.value) for point in found.Scalars("loss")]
    assert [step for step, _ in losses] == [1, 2, 3]
    assert losses[1:] == [(step + 2, pytest.approx(loss)) for step, loss in enumerate(ran.metrics("loss"))]


def test_a_tracker_that_is_not_installed_is_told_with_the_way_to_install_it(monkeypatch):
    monkeypatch.setattr(trackers, "find_spec", lambda _: None)
    with pytest.raises(MachineError) as caught:
        trackers.require(["wandb"])
    assert caught.value.code == "machine.no-package"
    assert caught.value.fix.startswith("pip install wandb")


@pytest.mark.parametrize("name", ["wandb", "swanlab", "trackio"])
def test_the_trackers_that_share_one_shape_are_called_as_documented(tmp_path, monkeypatch, name):
    calls = []

    class Package:
        def __getattr__(self, verb):
            return lambda *args, **kwargs: calls.append((verb, args, kwargs))

    monkeypatch.setattr(trackers, "import_module", lambda asked: Package() if asked == name else None)
    (tracker,) = trackers.open_trackers([name], tmp_path, "run 1", {"seed": 0})
    tracker.log(3, {"loss": 1.5})
    tracker.close()
    assert [call[0] for call in calls] == ["init", "log", "finish"]
    assert calls[0][2]["project"] == "burnish"
    assert calls[0][2]["config"] == {"seed": 0}
    assert calls[1][1:] == (({"loss": 1.5},), {"step": 3})
