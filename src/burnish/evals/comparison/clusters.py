"""Which cluster each row of a comparison belongs to: that of a column of the data, or what the evaluations record."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from burnish.core.context import Context
from burnish.core.errors import DataError
from burnish.core.events import Note
from burnish.evals.comparison.evaluated import Evaluated
from burnish.evals.comparison.table import Rows
from burnish.evals.statistics.clusters import labels_of

_THEIRS = "the evaluations"


def with_clusters(
    rows: Rows, column: str | None, named: Sequence[str | None] | None, evaluations: Sequence[Evaluated], ctx: Context
) -> Rows:
    """The rows with their clusters; `named` are those of the column, if there is one.

    A row takes its cluster from what records some: the column, else the first evaluation that has the row. Errors:
    DataError `data.other-rows` if two of them disagree on a row.
    """
    recorded: dict[str, Mapping[int, str | None]] = {}
    if column is not None and named is not None:
        recorded[f"the column '{column}'"] = dict(enumerate(named))
    recording = [each for each in evaluations if each.has_clusters]
    for each in recording:
        lines = each.matched(rows.ids)
        recorded[f"{each.name} ({each.ref})"] = {
            index: line.cluster for index, line in enumerate(lines) if line is not None
        }
    found: dict[int, tuple[str | None, str]] = {}
    for who, clusters in recorded.items():
        for index, name in clusters.items():
            known, first = found.setdefault(index, (name, who))
            if known != name:
                raise DataError(
                    "data.other-rows",
                    f"row {rows.ids[index]} ({rows.sources[index]}) belongs to {_quoted(name)} in {who} and to "
                    f"{_quoted(known)} in {first}",
                    "evaluate the candidates on the same data with the same cluster column",
                )
    by = "" if not recorded else _THEIRS if column is None else f"the column '{column}'"
    silent = [each.name for each in evaluations if not each.has_clusters]
    if recording and silent and column is None:
        names = ", ".join(each.name for each in recording)
        text = f"{', '.join(silent)} records no clusters of its rows: those of {names} are used for all"
        ctx.emit(Note(text=text))
    clusters = [found.get(index, (None, ""))[0] for index in range(len(rows))]
    labels = labels_of(clusters)
    if labels is not None:
        said = f"as {_THEIRS} record them" if column is None else f"by {by}"
        ctx.emit(Note(text=f"{len(rows):,} rows count as {int(labels.max()) + 1:,} clusters, {said}"))
    elif by:
        ctx.emit(Note(text=f"every row is alone in its cluster, by {by}: rows count as independent"))
    return replace(rows, clusters=clusters, clustered_by=by)


def _quoted(name: str | None) -> str:
    return "nothing" if name is None else f"'{name}'"
