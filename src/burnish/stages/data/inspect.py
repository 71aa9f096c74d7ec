"""inspect: the layout of a file or dataset, the lengths of its rows, and the tokens that would be learned."""

import tempfile
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.core.context import Input
from burnish.core.errors import BurnishError, DataError
from burnish.data.document import Row
from burnish.data.mixture import Part, open_part, open_prepared
from burnish.data.profile import Profile
from burnish.data.profile.reservoir import Reservoir
from burnish.data.record import Bad, ReadReport
from burnish.data.sources.repository import checkout
from burnish.specs.data import InspectSpec
from burnish.stages.answer import answer

if TYPE_CHECKING:
    from burnish.stages.tokens.rendering import RowRenderer

_BAD_SHOWN = 5
_SAMPLE = 1000
"""How many rows are rendered to measure lengths; larger inputs are sampled."""


@dataclass(frozen=True)
class Shown:
    """One row, and where a tokenizer is named its pieces, each a list of (token text, weight): weight 0 is not learned.

    `error` says why a row cannot be rendered; a preference has two pieces, a row that is split has several.
    """

    row: Row
    pieces: list[list[tuple[str, float]]] = field(default_factory=list)
    error: str = ""


@dataclass(frozen=True)
class Inspection:
    """`stats` are those of `data.profile.Profile` (lengths, roles, kinds, languages) over all `rows`.

    Only `rendered` of them were rendered with the tokenizer, chosen at random where those are not all: `tokens` and
    `learned` of the stats, and `unrendered`, are of these.
    """

    format: str
    reason: str
    rows: int
    bad: int
    blank: int
    splits: dict[str, int]
    stats: dict[str, Any]
    first_bad: list[Bad]
    shown: list[Shown]
    notes: list[str]
    unrendered: dict[str, int]
    """Rendered rows that failed or were dropped, by error code."""
    rendered: int


def inspect(spec: InspectSpec, input: Input, tokenizer: Input | None = None) -> Inspection:
    """Read all of `input`, and render it with `tokenizer` where one is named. DataError as `prepare` raises them.

    Rows that are too long or cannot be rendered are counted, not raised. `data.empty` where no row can be read.
    """
    renderer = _renderer(spec, tokenizer)
    reading, profile = ReadReport(), Profile()
    splits: Counter[str] = Counter()
    first_bad: list[Bad] = []
    shown: list[Shown] = []
    bad, wanted, lengths = 0, spec.rows, _Lengths(_SAMPLE)
    with tempfile.TemporaryDirectory() as scratch:
        part = _open(spec, input, Path(scratch))
        for item in part.items(reading):
            if isinstance(item, Bad):
                bad += 1
                first_bad += [item] if bad <= _BAD_SHOWN else []
                continue
            splits[item.split or "train"] += 1
            profile.add(item.row, remarks=item.remarks)
            is_shown, place = len(shown) < wanted, lengths.next_place()
            one = Shown(item.row)
            if renderer is not None and (is_shown or place is not None):
                one, length = _rendered(renderer, item.row, is_shown)
                lengths.put(place, length)
            if is_shown:
                shown.append(one)
    name, reason = (part.found.format.name, part.found.reason) if part.found else ("prepared", "it has stats.json")
    unrendered = lengths.count(profile)
    stats = profile.as_dict()
    rows = profile.characters.count
    if not rows:
        raise _no_rows(input, bad, first_bad)
    return Inspection(
        format=name,
        reason=reason,
        rows=rows,
        bad=bad,
        blank=reading.blank,
        splits=dict(splits),
        stats=stats,
        first_bad=first_bad,
        shown=shown,
        notes=[*reading.notes, *(sentence for sentence, _ in reading.messages()), *profile.messages()],
        unrendered=dict(unrendered),
        rendered=len(lengths.kept),
    )


def _no_rows(input: Input, bad: int, first_bad: list[Bad]) -> DataError:
    if not bad:
        return DataError("data.empty", f"{input.ref} has no rows", "check the path and its content")
    what = f"{input.ref} has no readable row: {bad:,} bad, the first is {first_bad[0]}"
    return DataError("data.empty", what, "fix the file, or name its layout with --format or its columns with --column")


def _renderer(spec: InspectSpec, tokenizer: Input | None) -> "RowRenderer | None":
    if spec.tokenizer is None or tokenizer is None:
        return None
    from burnish.stages.tokens.rendering import RowRenderer  # brings transformers, which takes seconds to import

    return RowRenderer.of(tokenizer, spec.render)


def _open(spec: InspectSpec, input: Input, scratch: Path) -> Part:
    part = open_prepared(input)
    if part is not None:
        given = {"format": spec.format, "columns": spec.columns, "subset": spec.subset, "roles": spec.roles}
        part.refuse_settings(**given, encoding=spec.encoding)
        return part
    return open_part(input, checkout(input, scratch), spec.format, spec.columns, spec.subset, spec.roles, spec.encoding)


class _Lengths(Reservoir[tuple[int, int] | str]):
    """(tokens, learned) or the error of a random sample of rows, so that few of them need to be rendered."""

    def count(self, profile: Profile) -> Counter[str]:
        """Add the lengths to the profile, and give the errors with their numbers."""
        errors: Counter[str] = Counter()
        for length in self.kept:
            if isinstance(length, str):
                errors[length] += 1
            else:
                profile.add_length(*length)
        return errors


def _rendered(renderer: "RowRenderer", row: Row, is_shown: bool) -> tuple[Shown, tuple[int, int] | str]:
    """A row for display, and its length or error code."""
    try:
        pieces = renderer.pieces(row)
    except BurnishError as error:
        return Shown(row, error=error.reason), error.code
    if not pieces:
        return Shown(row, error="longer than max_length, and dropped"), "dropped"
    length = sum(map(len, pieces)), sum(piece.learned for piece in pieces)
    return Shown(row, [renderer.shown(piece) for piece in pieces] if is_shown else []), length


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    inputs = {name: Input.from_json(value) for name, value in request["inputs"].items()}
    return asdict(inspect(InspectSpec.model_validate(request["spec"]), inputs["source"], inputs.get("tokenizer")))


if __name__ == "__main__":
    answer(_answer)
