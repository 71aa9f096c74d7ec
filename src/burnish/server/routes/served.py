"""Served models: where they answer, and how they are asked. `POST /runs/{recipe}/{number}/stop` stops one."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from burnish.server.routes.runs.submitting import Submission
from burnish.server.routing import Place, Router, ServerSettings
from burnish.studio.recipes.given import Given
from burnish.studio.recipes.submitted import submit_given
from burnish.studio.serving.served import served_models

router = Router(tags=["served"])
Reference = Annotated[str, Field(min_length=1, max_length=1024)]


class ServedModel(BaseModel):
    """A `serve` that runs. `key` is the variable with its API key; `curl` and `python` ask its first model. `reason`
    says what is wrong with one whose records are damaged."""

    run: str
    started: float | None
    model: str
    state: Literal["starting", "ready", "damaged"]
    reason: str
    address: str | None
    models: list[str]
    engine: str | None
    context: int | None
    key: str | None
    curl: str | None
    python: str | None


class Serving(BaseModel):
    """A model to serve on this machine, and adapters of it by the names that requests use. Port 0 is a free one."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"model": "builtin:pocket", "adapters": {"support": "support@1"}}]},
    )

    model: Reference
    adapters: Annotated[dict[str, Reference], Field(max_length=64)] = {}
    name: Annotated[str | None, Field(max_length=100)] = None
    engine: Literal["auto", "llama", "vllm", "transformers"] = "auto"
    port: Annotated[int, Field(ge=0, le=65_535)] = 0

    @property
    def given(self) -> Given:
        values: dict[str, Any] = {"port": self.port, **self.model_dump(exclude_defaults=True)}
        return Given(stage="serve", values=values)


@router.get("/served", scope="read")
def list_served(place: Place) -> list[ServedModel]:
    """The models that are served now, the newest first."""
    return [ServedModel.model_validate(row) for row in served_models(workspace=place)]


@router.post("/served", scope="run", status_code=202)
def serve_model(asked: Serving, place: Place, settings: ServerSettings) -> Submission:
    """Serve a model as a job, on this machine, until it is stopped."""
    return Submission.of(submit_given(asked.given, workspace=place, allowed=settings.allowed_paths))
