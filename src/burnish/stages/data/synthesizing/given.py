"""The rows that a step starts from."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from burnish.core.context import Context
from burnish.core.errors import DataError
from burnish.core.events import Note
from burnish.data.dataset import open_rows
from burnish.data.document import Row, canonical_json
from burnish.data.synthesize.model.slots import last_request, prompt_turns


@dataclass(frozen=True)
class Given:
    """Rows with a request of a user, each request once; and how many were left out, by reason."""

    rows: Sequence[Row] = ()
    left_out: Mapping[str, int] = field(default_factory=dict[str, int])


def read_given(ctx: Context, split: str) -> Given:
    """The rows of the input `generator.given`. Errors: those of reading; DataError `data.empty` if none has a request.

    A row without a request, and one with the same turns and tools as an earlier one, are left out and counted.
    """
    data = ctx.input("generator.given")
    rows, seen, left_out = list[Row](), set[bytes](), Counter[str]()
    for row in open_rows(data, split):
        prompt = canonical_json([prompt_turns(row), row.get("tools")])
        if not last_request(row).strip():
            left_out["no request"] += 1
        elif prompt in seen:
            left_out["same request"] += 1
        else:
            seen.add(prompt)
            rows.append(row)
    if not rows:
        raise DataError("data.empty", f"{data.ref} has no row with a request of a user", "check the file and its split")
    if left_out:
        listed = ", ".join(f"{reason} {count:,}" for reason, count in left_out.items())
        ctx.emit(Note(text=f"{data.ref}: {left_out.total():,} rows are left out: {listed}"))
    return Given(rows, left_out)
