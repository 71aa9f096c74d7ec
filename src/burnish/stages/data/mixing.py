"""The mixture of prepare: rows that pass the filters wait in a pool, are drawn by their shares, and are reported."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from burnish.core.context import Context
from burnish.core.errors import RunError
from burnish.core.events import Note, Progress, Table
from burnish.data.mixture import Part, named
from burnish.data.mixture.draw import MAX_EPOCHS, Drawn, as_dict, draw, repeat, shortfalls
from burnish.data.mixture.pool import Pool, Unit, chosen
from burnish.specs.data import MixtureSpec, PrepareSpec
from burnish.stages.data.placing import Placement

_ROWS_BETWEEN_CHECKS = 1000


class Mixing:
    """A mixture in three steps: `add` every row, `place` the rows that are drawn, and `repeat` what is lacking."""

    def __init__(self, spec: MixtureSpec, weights: Sequence[float], parts: Sequence[Part], counted: bool, ctx: Context):
        self._names, self._weights, self._counted, self._ctx = list(named(parts)), weights, counted, ctx
        rows, tokens = spec.rows, spec.tokens
        self._unit: Unit = "rows" if tokens is None else "tokens"
        self._budget, self._temperature = (rows if tokens is None else tokens), spec.temperature
        self._repeats, self._max_epochs = spec.repeat, spec.max_epochs or MAX_EPOCHS
        self._pool = Pool(ctx.scratch / "mixture.jsonl", spec.seed)
        self._sources: list[Drawn] = []
        self.add = self._pool.add

    @classmethod
    def of(cls, spec: PrepareSpec, parts: Sequence[Part], ctx: Context) -> "Mixing | None":
        """None where no mixture is requested."""
        mixture, sources = spec.mixture, spec.source
        if mixture is None or isinstance(sources, str):
            return None
        weights = [1.0 if (weight := source.weight) is None else weight for source in sources]
        return cls(mixture, weights, parts, spec.tokenizer is not None, ctx)

    def place(self, placement: Placement) -> int:
        """Draw rows, and place them; returns how many rows are not drawn."""
        self._sources = draw(self._pool, self._names, self._weights, self._unit, self._budget, self._temperature)
        drawn = chosen(self._pool, (source.drawn for source in self._sources))
        for kept in self._read("draw"):
            if drawn[kept.ordinal]:
                placement.add(kept)
        return len(self._pool) - int(drawn.sum())

    def repeat(self, placement: Placement) -> int:
        """Write further copies of training rows where a source is too small; returns how many."""
        if not self._repeats:
            return 0
        trained = chosen(self._pool, [np.array(placement.trained, np.int64)])
        repeat(self._pool, self._sources, self._unit, trained, self._max_epochs)
        copies = 0
        for number in range(max(len(source.rounds) for source in self._sources)):
            again = chosen(
                self._pool, (source.rounds[number] for source in self._sources if number < len(source.rounds))
            )
            for kept in self._read(f"repeat, epoch {number + 2}"):
                if again[kept.ordinal]:
                    placement.repeat(kept)
            copies += int(again.sum())
        return copies

    def as_dict(self) -> dict[str, Any]:
        return as_dict(self._pool, self._sources, self._unit, self._counted)

    def report(self, ctx: Context) -> None:
        """Report what each source was asked for and gives."""
        for sentence in shortfalls(self._pool, self._sources, self._unit, self._repeats):
            ctx.emit(Note(level="warning", text=f"mixture: {sentence}"))
        ctx.emit(_table(self.as_dict()))

    def _read(self, phase: str) -> Any:
        for kept in self._pool.read():
            yield kept
            if kept.ordinal % _ROWS_BETWEEN_CHECKS == 0:
                self._ctx.emit(Progress(phase=phase, done=kept.ordinal, total=len(self._pool)))
                if self._ctx.stopping:
                    raise RunError("run.interrupted", "stopped while rows were drawn", "run it again: it starts over")


def _table(found: dict[str, Any]) -> Table:
    unit, rows = found["unit"], []
    has_tokens = any("tokens" in source["taken"] for source in found["sources"].values())
    for name, source in found["sources"].items():
        counts = [source["asked"], source["available"][unit], source["taken"][unit], source["repeated"][unit]]
        other = [source["taken"]["tokens" if unit == "rows" else "rows"]] if has_tokens else []
        shares = [f"{source['share']:.1%}", f"{source['taken_share']:.1%}"]
        rows.append([name, *(f"{count:,}" for count in [*counts, *other]), *shares])
    columns = ["source", "asked", "available", "taken", "repeated"]
    columns += [{"rows": "tokens", "tokens": "rows"}[unit]] if has_tokens else []
    return Table(title=f"Mixture ({unit})", columns=[*columns, "share", "taken share"], rows=rows)
