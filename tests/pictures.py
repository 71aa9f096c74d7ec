"""Charts that no test looks at are saved without being painted: 0.07 s of a core for each training and evaluation.

All that is drawn on them is made as ever. Tests of what a chart shows ask for the fixture `painted`.
"""

import io
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

PAINTED = Figure.savefig


def _pixel() -> bytes:
    figure, file = Figure(figsize=(0.01, 0.01), dpi=100), io.BytesIO()
    FigureCanvasAgg(figure)
    PAINTED(figure, file)
    return file.getvalue()


_PIXEL = _pixel()


def save_unpainted(figure: Figure, target: Any, **options: Any) -> None:
    """As `Figure.savefig`; a PNG file has one pixel."""
    if isinstance(target, (str, Path)) and Path(target).suffix == ".png":
        Path(target).write_bytes(_PIXEL)
    else:
        PAINTED(figure, target, **options)
