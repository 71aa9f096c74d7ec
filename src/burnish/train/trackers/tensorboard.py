"""TensorBoard: event files in the run's folder."""

import shutil

from burnish.train.trackers.base import Point, State, TrackedRun


class TensorBoard:
    """A resumed run rewrites its files from the journal: TensorBoard keeps up to two minutes of points in memory."""

    def __init__(self, run: TrackedRun):
        from torch.utils.tensorboard.writer import SummaryWriter

        shutil.rmtree(run.folder, ignore_errors=True)
        self._writer = SummaryWriter(str(run.folder))
        self._writer.add_text("settings", f"```\n{run.name}: {dict(run.settings)}\n```")

    def holds(self, step: int, name: str) -> bool:
        return False

    def log(self, point: Point) -> None:
        for name, value in point.values.items():
            self._writer.add_scalar(name, value, point.step, walltime=point.at)

    def close(self, state: State, error: str) -> None:
        if error:
            self._writer.add_text("end", f"{state}: {error}")
        self._writer.close()
