"""The setting that names the clusters of rows, which every stage that gives verdicts has."""

from typing import Annotated

from pydantic import Field

ClusterColumn = Annotated[
    str | None,
    Field(
        description="A column that names what rows belong to, such as a document or a user: rows with an equal value "
        "count as one unit of evidence. Without it, those that an evaluation records are used."
    ),
]
