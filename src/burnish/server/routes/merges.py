"""Merges of adapters: what `merge` or `combine` would do. `POST /stages/merge/runs` does it."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from burnish.server.routing import Place, Router, ServerSettings
from burnish.studio.recipes.merging import preview_merge as preview

router = Router(tags=["merges"])
_COMBINE = {
    "stage": "combine",
    "values": {
        "adapters": [{"adapter": "support@1", "weight": 0.7}, {"adapter": "legal@2", "weight": 0.3}],
        "method": "linear",
    },
}


class MergeRequest(BaseModel):
    """A stage, and its settings as in a recipe."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_COMBINE]})

    stage: Literal["merge", "combine"]
    values: dict[str, Any]


class MergedAdapter(BaseModel):
    """One of the adapters. `rank` is the highest of its layers."""

    name: str
    ref: str
    weight: float
    rank: int
    alpha: float | None
    parameters: int
    tensors: int
    bytes: int
    in_four_bits: bool


class MergeBase(BaseModel):
    """The model below the adapters."""

    ref: str
    family: str
    parameters: int
    dtype: str
    bytes: int


class MergeResult(BaseModel):
    """What would be written. With `dtype: auto` the size is between `bytes` and `most_bytes`."""

    kind: Literal["adapter", "model"]
    rank: int | None
    rank_is: Literal["exactly", "at most"] | None
    dtype: str
    bytes: int
    most_bytes: int
    into: Literal["original", "dequantized"] | None = None


class MergePreview(BaseModel):
    """What a merge would do; `warnings` are those that it would give."""

    adapters: list[MergedAdapter]
    base: MergeBase
    result: MergeResult
    warnings: list[str]


@router.post("/merges/preview", scope="run")
def preview_merge(asked: MergeRequest, place: Place, settings: ServerSettings) -> MergePreview:
    """Check whether adapters can be merged, and say what would come out: rank, dtype and size."""
    found = preview(asked.stage, asked.values, allowed=settings.allowed_paths, workspace=place)
    return MergePreview.model_validate(found)
