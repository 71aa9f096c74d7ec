"""The metrics of a run on disk, so that a resumed attempt can send what a killed one did not."""

import json
from pathlib import Path

from burnish.core.files import write_atomically
from burnish.train.trackers.base import Point


class Journal:
    """Append-only JSON lines. Opening it for a run that resumes after `step` removes the points of later steps."""

    def __init__(self, path: Path, step: int):
        points, self.damaged = _read(path)
        """Lines that could not be read; a kill may tear the last one."""
        self.points = [point for point in points if point.step <= step]
        self._known = {(point.step, name) for point in self.points for name in point.values}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, "".join(_line(point) for point in self.points))
        self._path = path

    def add(self, point: Point) -> Point | None:
        """Append and return the new values of a point; None if there are none."""
        values = {name: value for name, value in point.values.items() if (point.step, name) not in self._known}
        if not values:
            return None
        new = Point(point.step, point.at, values)
        self._known |= {(point.step, name) for name in values}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_line(new))
        return new


def _line(point: Point) -> str:
    return json.dumps({"step": point.step, "at": point.at, "values": dict(point.values)}) + "\n"


def _read(path: Path) -> tuple[list[Point], int]:
    """Every complete line, and the number of damaged ones; a kill can truncate the last."""
    if not path.exists():
        return [], 0
    points: list[Point] = []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    damaged = 0
    for line in lines:
        try:
            points.append(Point(**json.loads(line)))
        except (ValueError, TypeError):
            damaged += line.endswith("\n")
    return points, damaged
