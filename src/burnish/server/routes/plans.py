"""Plans: what a recipe, or one stage with its settings, would do; and the YAML, command and Python that it means."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from burnish.core.errors import AskError, DataError, ModelError
from burnish.server.problems import Problem, described
from burnish.server.routing import Place, Router, ServerSettings
from burnish.studio.recipes.forecasting import forecast_given
from burnish.studio.recipes.given import Given
from burnish.studio.recipes.planned import plan_given

router = Router(tags=["plans"])
_DEMO = {"recipe": "demo", "settings": ["tune.max_steps=20"], "only": ["tune"]}
_SFT = {"stage": "sft", "values": {"base": "builtin:pocket", "data": "file:rows.jsonl", "max_steps": 20}}


class Asked(BaseModel):
    """A recipe: by `recipe`, its name, as `yaml`, as `values`; or one `stage` with its settings as `values`."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_DEMO, _SFT]})

    recipe: Annotated[str | None, Field(max_length=1024)] = None
    yaml: Annotated[str | None, Field(max_length=1 << 18)] = None
    values: dict[str, Any] | None = None
    stage: Annotated[str | None, Field(max_length=100)] = None
    settings: Annotated[list[str], Field(max_length=1000)] = []
    """`step.field=value`; of a stage `field=value`."""
    only: Annotated[list[str], Field(max_length=1000)] = []
    """The steps to run, with those that they need."""
    force: Annotated[list[str], Field(max_length=1000)] = []
    """Steps that run again although there is a result; `*` for all."""
    start: Annotated[str | None, Field(max_length=100)] = None
    """This step and all that depend on it run again."""

    @property
    def given(self) -> Given:
        return Given(self.recipe, self.yaml, self.values, self.stage, tuple(self.settings))

    @property
    def selection(self) -> dict[str, Any]:
        return {"start": self.start, "force": self.force, "only": self.only}


class PlannedStep(BaseModel):
    """What happens to a step, and why; `inputs` are references, `last_seconds` is how long it took last time."""

    step: str
    stage: str
    action: Literal["run", "reuse", "resume", "wait"]
    reason: str
    fingerprint: str
    run: str | None
    last_seconds: float | None
    inputs: dict[str, str]
    pinned: dict[str, str]
    register_as: Annotated[str | None, Field(alias="register")] = None


class Plan(BaseModel):
    """What would happen. `values` is the whole recipe; `yaml`, `command` and `python` run the same."""

    recipe: str
    burnish: str
    free_bytes: int
    notes: list[str]
    warnings: list[str]
    values: dict[str, Any]
    steps: list[PlannedStep]
    yaml: str
    command: str
    python: str


class Draft(BaseModel):
    """Either what would happen, or what is still wrong."""

    plan: Plan | None = None
    problem: Problem | None = None


@router.post("/drafts", scope="read")
def plan_draft(asked: Asked, place: Place, settings: ServerSettings) -> Draft:
    """As a plan, for a request that is being written: what is wrong with it is no error of the call."""
    try:
        return Draft(plan=plan(asked, place, settings))
    except (AskError, DataError, ModelError) as error:
        return Draft(problem=described(error))


@router.post("/plans", scope="read")
def plan(asked: Asked, place: Place, settings: ServerSettings) -> Plan:
    """What a run would do for each step: run, reuse a result or resume; and why. Nothing is changed."""
    found = plan_given(asked.given, workspace=place, allowed=settings.allowed_paths, **asked.selection)
    return Plan.model_validate(found)


class ForecastChoice(BaseModel):
    """A setting that is `auto`, and the value that it would get on this machine."""

    field: str
    value: Any
    reason: str


class Forecast(BaseModel):
    """What a training would take, as an upper bound: its longest row is taken to have `longest_tokens`."""

    parameters: int
    trained: int
    longest_tokens: int
    device: str
    processes: int
    memory_of: Literal["device", "machine"]
    """Of what both memories are: of each process and its device, or of all processes and this machine."""
    memory_bytes: int
    free_memory_bytes: int
    checkpoint_bytes: int
    kept_checkpoints: int | None
    """At most; null where all are kept, and their number is known with the rows."""
    result_bytes: int
    choices: list[ForecastChoice]


class StepForecast(BaseModel):
    """The forecast of a training step, or why it is `unknown` before the step runs."""

    step: str
    forecast: Forecast | None
    unknown: str | None


@router.post("/forecasts", scope="read")
def forecast(asked: Asked, place: Place, settings: ServerSettings) -> list[StepForecast]:
    """The memory and disk that the trainings of a recipe would take. Nothing is run or downloaded."""
    found = forecast_given(asked.given, allowed=settings.allowed_paths, workspace=place)
    return [StepForecast.model_validate(one) for one in found]
