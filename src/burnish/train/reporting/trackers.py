"""Sends metrics to TensorBoard, Weights & Biases, SwanLab, Trackio or MLflow: one small adapter for each.

Each package is imported only when it was asked for, and its absence is told before the work begins.
TensorBoard is tested for real; the others are written against their documented calls and are not run
by the tests, for they are not installed there.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from burnish.core.errors import MachineError


class Tracker(Protocol):
    """Takes numbers of a step, and is closed at the end."""

    def log(self, step: int, values: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


def require(names: Sequence[str]) -> None:
    """MachineError `machine.no-package` for the first tracker whose package is not installed."""
    for name in names:
        if find_spec(name) is None:
            raise MachineError(
                "machine.no-package",
                f"track names {name}, but the package is not installed",
                f"pip install {name}, or take {name} out of track",
            )


def open_trackers(
    names: Sequence[str], folder: Path, run_name: str, settings: Mapping[str, Any], step: int = 0
) -> list[Tracker]:
    """A tracker for each name; local ones write below `folder`. A run that is gone on with has made `step` steps."""
    return [_TRACKERS[name](folder / name, run_name, settings, step) for name in names]


class _TensorBoard:
    def __init__(self, folder: Path, run_name: str, settings: Mapping[str, Any], step: int):
        from torch.utils.tensorboard.writer import SummaryWriter

        # steps that a killed attempt made after its last checkpoint are made, and shown, once more
        self._writer = SummaryWriter(str(folder), purge_step=step + 1 if step else None)
        self._writer.add_text("settings", f"```\n{run_name}: {dict(settings)}\n```")

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class _WandbLike:
    """wandb, swanlab and trackio share one shape: `init(project, name, config)`, `log(values, step)`, `finish()`."""

    package: str

    def __init__(self, folder: Path, run_name: str, settings: Mapping[str, Any], step: int):
        self._module = import_module(self.package)
        self._module.init(project="burnish", name=run_name, config=dict(settings), **self._place(folder))

    def _place(self, folder: Path) -> dict[str, str]:
        folder.mkdir(parents=True, exist_ok=True)
        return {"dir": str(folder)}

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._module.log(dict(values), step=step)

    def close(self) -> None:
        self._module.finish()


class _Wandb(_WandbLike):
    package = "wandb"


class _SwanLab(_WandbLike):
    package = "swanlab"

    def _place(self, folder: Path) -> dict[str, str]:
        return {"logdir": str(folder)}


class _Trackio(_WandbLike):
    package = "trackio"

    def _place(self, folder: Path) -> dict[str, str]:
        return {}


class _MLflow:
    def __init__(self, folder: Path, run_name: str, settings: Mapping[str, Any], step: int):
        self._mlflow = import_module("mlflow")
        self._mlflow.set_experiment("burnish")
        self._mlflow.start_run(run_name=run_name)
        self._mlflow.log_dict(dict(settings), "settings.json")

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._mlflow.log_metrics(dict(values), step=step)

    def close(self) -> None:
        self._mlflow.end_run()


_TRACKERS: dict[str, Any] = {
    "tensorboard": _TensorBoard,
    "wandb": _Wandb,
    "swanlab": _SwanLab,
    "trackio": _Trackio,
    "mlflow": _MLflow,
}
