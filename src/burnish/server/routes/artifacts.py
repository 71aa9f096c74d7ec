"""Artifacts: what steps have made; the certificates among them, exported models, and what each was made from."""

from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel
from starlette.responses import StreamingResponse

from burnish.server.problems import shown
from burnish.server.references import inside
from burnish.server.routes.runs.parameters import Number, Recipe, Step
from burnish.server.routing import Place, Router, ServerSettings
from burnish.studio import registry
from burnish.studio.views import archives
from burnish.studio.views import artifacts as studio

router = Router(tags=["artifacts"])
Limit = Annotated[int, Query(ge=1, le=1000)]
After = Annotated[str | None, Query(max_length=300, description="The run of the last row before, as in `next`.")]
Kinds = Annotated[list[str], Query(max_length=20, alias="kind", description="Kinds, such as `adapter`; may repeat.")]


class Check(BaseModel):
    """One check of a certificate."""

    name: str
    verdict: str
    found: str
    limit: str


class Certificate(BaseModel):
    """How an artifact compares with its parent after a change: whether all checks hold."""

    change: str
    parent: str
    child: str
    holds: bool
    checks: list[Check]
    rows: int
    tokens: int
    burnish: str


class CertificateRow(Certificate):
    """A certificate with the artifact that has it."""

    run: str
    ref: str
    kind: str
    stage: str
    created: float
    registered: list[str]


class Certificates(BaseModel):
    """All certificates, the newest first; `damaged` are runs whose records cannot be read."""

    certificates: list[CertificateRow]
    damaged: list[str]


class ArtifactRow(BaseModel):
    """What a step has made. `ref` is how recipes refer to it, `registered` are its versions in the registry."""

    run: str
    ref: str
    kind: str
    stage: str
    created: float
    bytes: int
    files: int
    base: str | None
    licence: str
    measures: dict[str, Any]
    certificate: Certificate | None
    registered: list[str]


class ArtifactPage(BaseModel):
    """Artifacts, the newest first; `next` continues after them; `damaged` are runs whose records cannot be read."""

    artifacts: list[ArtifactRow]
    next: str | None
    damaged: list[str]


class File(BaseModel):
    """A file of an artifact."""

    name: str
    size: int
    sha256: str


class InputOf(BaseModel):
    """An input of an artifact."""

    ref: str
    kind: str
    fingerprint: str


class ArtifactDetail(ArtifactRow):
    """Everything known of an artifact. `terms` is what its licences ask; `damage` says how its files differ."""

    path: str
    fingerprint: str
    digest: str
    manifest: list[File]
    inputs: dict[str, InputOf]
    settings: dict[str, Any]
    licences: list[dict[str, Any]]
    terms: list[str]
    provenance: dict[str, Any]
    damage: str


class LineageNode(BaseModel):
    """An artifact, model or file, and what it was made from. `role` is the input of the node above that it is."""

    role: str
    ref: str
    kind: str
    fingerprint: str
    run: str
    stage: str
    licence: str
    versions: list[str]
    evidence: str
    damage: str
    made_from: list["LineageNode"]


@router.get("/artifacts", scope="read")
def list_artifacts(place: Place, kinds: Kinds = [], after: After = None, limit: Limit = 200) -> ArtifactPage:  # noqa: B006
    """What steps have made, the newest first."""
    found = studio.artifacts(kinds=kinds, after=after, limit=limit, workspace=place)
    return ArtifactPage.model_validate(found)


@router.get("/artifacts/{recipe}/{number}/{step}", scope="read")
def show_artifact(recipe: Recipe, number: Number, step: Step, place: Place) -> ArtifactDetail:
    """One artifact: its files with hashes, inputs, settings, licences and certificate."""
    name = f"{recipe}/{number}/{step}"
    return shown(ArtifactDetail, studio.artifact(name, workspace=place), name)


@router.get(
    "/artifacts/{recipe}/{number}/{step}/download",
    scope="read",
    work="slow",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/x-tar": {"schema": {"type": "string", "format": "binary"}}}}},
)
def download_artifact(recipe: Recipe, number: Number, step: Step, place: Place) -> StreamingResponse:
    """All files of an artifact, and its certificate, as one tar. It breaks off where a file is not as recorded."""
    made = archives.archive(f"{recipe}/{number}/{step}", workspace=place)
    headers = {"Content-Length": str(made.size), "Content-Disposition": f'attachment; filename="{made.name}"'}
    return StreamingResponse(made.blocks, media_type="application/x-tar", headers=headers)


@router.get("/certificates", scope="read")
def list_certificates(place: Place) -> Certificates:
    """The certificates of all artifacts that have one: whether each holds, and its checks."""
    return Certificates.model_validate(studio.certificates(workspace=place))


@router.get("/exports", scope="read")
def list_exports(
    place: Place, after: After = None, limit: Limit = 200, of: Annotated[Literal["all", "gguf"], Query()] = "all"
) -> ArtifactPage:
    """Models that were merged, exported, quantized or converted, with their sizes."""
    chosen: dict[str, Any] = {"stages": studio.EXPORTING} if of == "all" else {"kinds": studio.EXPORTED}
    return ArtifactPage.model_validate(studio.artifacts(**chosen, after=after, limit=limit, workspace=place))


@router.get("/lineage", scope="read")
def show_lineage(
    place: Place,
    settings: ServerSettings,
    ref: Annotated[str, Query(min_length=1, max_length=1024, examples=["support@1", "demo.tune@3"])],
) -> LineageNode:
    """What an artifact, a version or a model was made from, down to the files of data, with hashes and licences."""
    return LineageNode.model_validate(registry.lineage(inside(ref, settings), workspace=place).as_dict())
