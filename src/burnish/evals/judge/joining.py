"""Joining answers with the rows of another file: by id, or by their order."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from burnish.core.errors import AskError, DataError
from burnish.core.events import Chosen, Note
from burnish.core.naming import nearest
from burnish.evals.judge.answers import ABSENT, Answers, Case, Emit, value_at


def with_references(answers: Answers, references: Answers, how: Literal["auto", "id", "order"], emit: Emit) -> Answers:
    """The answers with the references of another file, and what else only that has: prompt, context, tag."""
    found = _partners(answers, references, how, emit)
    cases = []
    for case, partner in zip(answers.cases, found, strict=True):
        if partner is not None:
            case = replace(
                case,
                reference=partner.reference,
                prompt=case.prompt or partner.prompt,
                context=partner.context if case.context is None else case.context,
                tag=partner.tag if case.tag is None else case.tag,
                columns={**partner.columns, **case.columns},
            )
        cases.append(case)
    return Answers(cases, {**references.columns, **answers.columns}, answers.name)


def with_others(answers: Answers, others: Answers, how: Literal["auto", "id", "order"], emit: Emit) -> Answers:
    """The answers, each with the other answer to its prompt."""
    found = _partners(answers, others, how, emit)
    cases = [
        case if partner is None else replace(case, other=partner.answer, prompt=case.prompt or partner.prompt)
        for case, partner in zip(answers.cases, found, strict=True)
    ]
    return Answers(cases, {**others.columns, **answers.columns}, answers.name)


def with_clusters(cases: Sequence[Case], column: str | None, name: str, emit: Emit) -> list[Case]:
    """The cases with what they belong to: by a column, or as an evaluation records it.

    Errors: AskError `ask.wrong-value` for a column that no case has.
    """
    if column is None:
        if any(case.cluster is not None for case in cases):
            emit(Chosen(field="cluster", value="cluster", reason=f"{name} records the clusters of its rows"))
        return list(cases)
    values = [value_at(case.columns, column) for case in cases]
    if all(value is ABSENT for value in values):
        names = list(dict.fromkeys(known for case in cases for known in case.columns))
        fix = f"{nearest(column, names)}; the columns: {', '.join(names)}"
        raise AskError("ask.wrong-value", f"cluster: {name} has no column '{column}'", fix)
    named = [None if value is ABSENT or value is None else str(value) for value in values]
    return [replace(case, cluster=cluster) for case, cluster in zip(cases, named, strict=True)]


def _partners(
    answers: Answers, others: Answers, how: Literal["auto", "id", "order"], emit: Emit
) -> Sequence[Case | None]:
    """The case of the other file for each answer; None where it has none."""
    have_ids = "id" in answers.columns and "id" in others.columns
    if how == "id" and not have_ids:
        without = answers.name if "id" not in answers.columns else others.name
        fix = "name the columns with the ids (columns.id, …), or set join: order"
        raise AskError("ask.wrong-value", f"join: id, but no column of {without} is the id", fix)
    return _by_id(answers, others, emit) if have_ids and how != "order" else _by_order(answers, others, emit)


def _by_id(answers: Answers, others: Answers, emit: Emit) -> Sequence[Case | None]:
    table = {case.id: case for case in others.cases}
    found = [table.get(case.id) for case in answers.cases]
    alone = sum(partner is None for partner in found)
    if alone == len(found):
        raise DataError(
            "data.other-rows",
            f"no id of {answers.name} (such as {answers.cases[0].id}) occurs in {others.name} (such as "
            f"{others.cases[0].id})",
            "name the columns with the ids, or set join: order if the rows have one order",
        )
    unused = len(table.keys() - {case.id for case in answers.cases})
    emit(Note(text=f"{answers.name} and {others.name} are joined by id: {len(found) - alone:,} rows"))
    for count, of, elsewhere in ((alone, answers, others), (unused, others, answers)):
        if count:
            text = f"{count:,} ids of {of.name} are not in {elsewhere.name}"
            emit(Note(level="warning", text=text))
    return found


def _by_order(answers: Answers, others: Answers, emit: Emit) -> Sequence[Case | None]:
    if len(answers.cases) != len(others.cases):
        raise DataError(
            "data.other-rows",
            f"{answers.name} has {len(answers.cases):,} rows and {others.name} {len(others.cases):,}, without ids in "
            "both: which rows belong together is unknown",
            "name the columns with the ids (columns.id, …), or make the files equally long",
        )
    for case, other in zip(answers.cases, others.cases, strict=True):
        if case.prompt and other.prompt and case.prompt.strip() != other.prompt.strip():
            raise DataError(
                "data.other-rows",
                f"{case.source} and {other.source} have different prompts, so the order of the rows differs",
                "name the columns with the ids, or sort both files alike",
            )
    emit(Note(text=f"{answers.name} and {others.name} are joined by the order of their {len(answers.cases):,} rows"))
    return others.cases
