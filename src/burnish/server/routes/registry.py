"""The registry: named versions of models and of adapters, their history, evidence, licences and lineage."""

from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from burnish.server.references import author_of, inside
from burnish.server.routing import Caller, Place, Router, ServerSettings
from burnish.studio import registry as studio

Kind = Literal["adapter", "model"]
Stage = Literal["retired", "candidate", "staging", "production"]
Name = Annotated[str, Path(max_length=64, description="A name of the registry.", examples=["support"])]
Number = Annotated[
    str, Path(max_length=64, description="A number, a tag, a stage, or `latest`.", examples=["1", "production"])
]
Tag = Annotated[str, Path(max_length=64, examples=["best"])]
Reason = Annotated[str, Field(max_length=2000)]


class VersionRow(BaseModel):
    """A version of a name. `damage` says how its files differ from those that were registered."""

    model_config = ConfigDict(extra="allow")

    ref: str
    name: str
    version: int
    kind: Kind
    stage: Stage
    tags: list[str]
    at: float
    who: str
    why: str
    fingerprint: str
    base: dict[str, Any] | None = None
    made_by: dict[str, Any] | None = None
    measures: dict[str, Any] = {}
    bytes: int | None = None
    path: str = ""
    damage: str = ""
    removed: dict[str, Any] | None = None
    """When, by whom and why it was removed."""


class Versions(BaseModel):
    """Versions, the newest of each name first; `notes` name what is damaged."""

    versions: list[VersionRow]
    notes: list[str]


class VersionDetail(VersionRow):
    """Everything known of a version. `missing` is what a promotion lacks, `terms` what its licences ask."""

    settings: dict[str, Any]
    files: dict[str, Any] | None
    licences: list[dict[str, Any]]
    licence: list[str]
    evidence: list[dict[str, Any]]
    missing: list[str]
    left_out: list[str]
    history: list[dict[str, Any]]


class Registration(BaseModel):
    """What to register, and as the next version of which name."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"ref": "demo.tune@3", "name": "support", "because": "first"}]}
    )

    ref: Annotated[str, Field(min_length=1, max_length=1024)]
    name: Annotated[str, Field(min_length=1, max_length=64)]
    because: Reason = ""


class Move(BaseModel):
    """To which stage, and why; without a stage, to the next. A promotion without evidence needs a reason."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"to": "staging", "because": "tested"}]})

    to: Stage | None = None
    because: Reason = ""


class Changed(VersionRow):
    """A version after a change. `new` is False for one that was registered before; `replaced` left production."""

    new: bool | None = None
    replaced: list[str] = []
    notes: list[str] = []


class Removed(BaseModel):
    """A version that was removed. Its files stay, and its number is not used again."""

    ref: str
    removed: bool
    artifact: dict[str, Any]


Comparison = dict[str, dict[str, Any]]


def registry_router(kind: Kind) -> Router:
    """The routes of models, or of adapters."""
    router = Router(tags=[f"{kind}s"], prefix=f"/{kind}s")
    one, many = kind, f"{kind}s"

    @router.get("", scope="read", name=f"list_{many}")
    def listed(place: Place, name: Annotated[str | None, Query(max_length=64)] = None) -> Versions:
        """The versions in the registry, the newest of each name first; of one `name`, also those that were removed."""
        notes: list[str] = []
        rows = studio.listing(name, kind=kind, workspace=place, say=notes.append)
        return Versions(versions=[VersionRow.model_validate(row) for row in rows], notes=notes)

    @router.post("", scope="run", status_code=201, name=f"register_{one}")
    def register(asked: Registration, place: Place, caller: Caller, settings: ServerSettings) -> Changed:
        """Register an artifact as the next version of a name; what is registered already is not registered again."""
        notes: list[str] = []
        given: dict[str, Any] = {"name": asked.name, "because": asked.because, "kind": kind, "who": author_of(caller)}
        made = studio.register(inside(asked.ref, settings), **given, workspace=place, say=notes.append)
        return Changed.model_validate({**made, "notes": notes})

    @router.get("/{name}/{version}", scope="read", name=f"show_{one}")
    def show(name: Name, version: Number, place: Place) -> VersionDetail:
        """Everything known of one version: its record, stage, tags, history, evidence and licences."""
        return VersionDetail.model_validate(studio.show(f"{name}@{version}", kind=kind, workspace=place))

    @router.get("/{name}/{version}/compare", scope="read", name=f"compare_{many}")
    def compare(
        name: Name, version: Number, other: Annotated[str, Query(max_length=130, examples=["support@1"])], place: Place
    ) -> Comparison:
        """What differs between two versions, by parts: settings, data, measures, scores, evidence, files."""
        return studio.diff(f"{name}@{version}", other, kind=kind, workspace=place)

    @router.post("/{name}/{version}/promote", scope="run", name=f"promote_{one}")
    def promote(name: Name, version: Number, asked: Move, place: Place, caller: Caller) -> Changed:
        """Move a version one stage up, or to a stage: to staging or production with evidence, or a reason."""
        return _moved(studio.promote, kind, f"{name}@{version}", asked, place, author_of(caller))

    @router.post("/{name}/{version}/demote", scope="run", name=f"demote_{one}")
    def demote(name: Name, version: Number, asked: Move, place: Place, caller: Caller) -> Changed:
        """Move a version one stage down, or to a stage."""
        return _moved(studio.demote, kind, f"{name}@{version}", asked, place, author_of(caller))

    @router.put("/{name}/{version}/tags/{tag}", scope="run", name=f"tag_{one}")
    def tag(name: Name, version: Number, tag: Tag, place: Place, caller: Caller) -> Changed:
        """Give a version a tag; another version of the name loses it."""
        notes: list[str] = []
        given: dict[str, Any] = {"kind": kind, "who": author_of(caller), "workspace": place, "say": notes.append}
        return Changed.model_validate({**studio.tag(f"{name}@{version}", tag, **given), "notes": notes})

    @router.delete("/{name}/{version}/tags/{tag}", scope="run", name=f"untag_{one}")
    def untag(name: Name, version: Number, tag: Tag, place: Place, caller: Caller) -> Changed:
        """Remove a tag of a version."""
        notes: list[str] = []
        given: dict[str, Any] = {"kind": kind, "who": author_of(caller), "workspace": place, "say": notes.append}
        return Changed.model_validate({**studio.untag(f"{name}@{version}", tag, **given), "notes": notes})

    @router.delete("/{name}/{version}", scope="admin", name=f"remove_{one}")
    def remove(
        name: Name, version: Number, place: Place, caller: Caller, because: Annotated[str, Query(max_length=2000)] = ""
    ) -> Removed:
        """Remove a version from the registry; one in production needs a reason."""
        given: dict[str, Any] = {"because": because, "kind": kind, "who": author_of(caller)}
        return Removed.model_validate(studio.remove(f"{name}@{version}", **given, workspace=place))

    return router


def _moved(verb: Any, kind: Kind, ref: str, asked: Move, place: Any, who: str | None) -> Changed:
    notes: list[str] = []
    made = verb(ref, to=asked.to, because=asked.because, kind=kind, who=who, workspace=place, say=notes.append)
    return Changed.model_validate({**made, "notes": notes})


models = registry_router("model")
adapters = registry_router("adapter")
