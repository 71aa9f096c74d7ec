"""The playground: models and adapters answer the same prompt side by side, and people say which answer is better."""

from typing import Annotated, Any, Literal, Self

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.responses import Response, StreamingResponse

from burnish.server.routing import Caller, Place, Router, ServerSettings
from burnish.server.streams import Streams, as_they_come, event, streams_of
from burnish.studio.playground import votes as studio
from burnish.studio.playground.asking import MOST_MODELS, Playground

router = Router(tags=["generate"])
_LONGEST = 1 << 18
_HELLO = {"models": ["builtin:pocket"], "messages": [{"role": "user", "content": "Hello"}], "seed": 1}
_VOTE = {
    "prompt": "Hello",
    "answers": [{"model": "builtin:pocket", "answer": "Hi"}, {"model": "tune@2", "answer": "Hello!"}],
    "better": 1,
}
Reference = Annotated[str, Field(min_length=1, max_length=1024)]
Text = Annotated[str, Field(max_length=_LONGEST)]


class ChatMessage(BaseModel):
    """A message of a conversation."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["system", "user", "assistant", "tool"]
    content: Text


class Parameters(BaseModel):
    """How tokens are drawn. What is not given is as in OpenAI's API, whatever the model's generation config says:
    temperature 1.0, top_p 1.0, repetition_penalty 1.0, frequency_penalty 0.0, presence_penalty 0.0, min_p 0.0, and no
    top_k."""

    model_config = ConfigDict(extra="forbid")

    max_tokens: Annotated[int, Field(ge=1, le=1 << 17)] = 512
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None
    top_k: Annotated[int | None, Field(ge=1, le=1 << 20)] = None
    min_p: Annotated[float | None, Field(ge=0, le=1)] = None
    repetition_penalty: Annotated[float | None, Field(gt=0, le=2)] = None
    frequency_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    presence_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    stop: Annotated[list[Annotated[str, Field(min_length=1, max_length=256)]] | None, Field(max_length=16)] = None
    chat_template_kwargs: Annotated[dict[str, bool] | None, Field(max_length=16)] = None
    """The switches of a template, such as `enable_thinking`."""


class Prompted(BaseModel):
    """What was asked: `messages`, or a `prompt`, which is one message of the user."""

    model_config = ConfigDict(extra="forbid")

    messages: Annotated[list[ChatMessage] | None, Field(min_length=1, max_length=4096)] = None
    prompt: Annotated[Text | None, Field(min_length=1)] = None

    @model_validator(mode="after")
    def one_prompt_is_given(self) -> Self:
        names = [name for name in ("messages", "prompt", "text") if name in type(self).model_fields]
        if sum(getattr(self, name) is not None for name in names) != 1:
            raise ValueError(f"give one of {', '.join(names)}")
        return self


class Question(Prompted):
    """What is asked: `messages`, a `prompt`, or a `text` that is continued. A model without a chat template continues
    the prompt too."""

    text: Annotated[Text | None, Field(min_length=1)] = None
    params: Parameters = Parameters()
    seed: Annotated[int | None, Field(ge=0, le=2**31 - 1)] = None

    @property
    def asked(self) -> dict[str, Any]:
        """What the playground takes."""
        messages = [one.model_dump() for one in self.messages or ()]
        seed = {} if self.seed is None else {"seed": self.seed}
        return {
            "prompt": messages or self.prompt or self.text,
            "parameters": {**self.params.model_dump(exclude_none=True), **seed},
            "is_raw": self.text is not None,
        }


class GenerationRequest(Question):
    """What is asked, of which models. All get the same seed."""

    model_config = ConfigDict(json_schema_extra={"examples": [_HELLO]})

    models: Annotated[list[Reference], Field(min_length=1, max_length=MOST_MODELS)]


class LoadedModel(BaseModel):
    """A process of the playground."""

    model: str
    state: Literal["loading", "ready", "ended"]
    engine: str | None
    process: int | None
    answering: int
    adapters: int
    idle_seconds: float


class Answer(BaseModel):
    """What a model answered."""

    model_config = ConfigDict(extra="forbid")

    model: Reference
    answer: Text


class Vote(Prompted):
    """Which of some answers to a prompt is the best: its place among them."""

    model_config = ConfigDict(json_schema_extra={"examples": [_VOTE]})

    answers: Annotated[list[Answer], Field(min_length=2, max_length=MOST_MODELS)]
    better: Annotated[int, Field(ge=0, lt=MOST_MODELS)]


class Recorded(BaseModel):
    """The file of votes, relative to the workspace; the rows that were added, and all of its rows."""

    file: str
    added: int
    rows: int


class VoteCount(BaseModel):
    """How often a model was preferred to another one, and another one to it."""

    model: str
    won: int
    lost: int


class Tally(BaseModel):
    """The votes so far; `damaged` lines of the file cannot be read."""

    file: str
    rows: int
    damaged: int
    models: list[VoteCount]


async def playground_of(request: Request) -> Playground:
    """That of the server: its processes end with it."""
    return request.app.state.playground


async def _checked(asked: GenerationRequest, playground: Annotated[Playground, Depends(playground_of)]) -> Playground:
    """Before the answer begins: an error is a problem then, and later an event."""
    playground.check(asked.models)
    return playground


@router.post(
    "/generate",
    scope="run",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def generate(
    asked: GenerationRequest,
    playground: Annotated[Playground, Depends(_checked)],
    settings: ServerSettings,
    streams: Annotated[Streams, Depends(streams_of)],
) -> Response:
    """Answers of one or several models to one prompt, as server-sent events: `loading`, `token`, `done` and `error`,
    each with its `model`. Closing the connection ends the answers."""
    events = playground.generate(asked.models, **asked.asked, allowed=settings.allowed_paths)
    pieces = as_they_come(events, lambda found: event(found, name=found.pop("event")))
    return streams.response(pieces, first=b"", pause=0)


@router.get("/generate/models", scope="read")
async def list_loaded_models(playground: Annotated[Playground, Depends(playground_of)]) -> list[LoadedModel]:
    """The models that are loaded for the playground; an idle one is ended after ten minutes."""
    return [LoadedModel.model_validate(one) for one in playground.loaded()]


@router.get("/generate/votes", scope="read")
def list_votes(place: Place) -> Tally:
    """How the votes stand, by model."""
    return Tally.model_validate(studio.tally(workspace=place))


@router.post("/generate/votes", scope="run")
def vote(asked: Vote, place: Place, caller: Caller) -> Recorded:
    """Record which answer is better, as rows of preferences that `prepare` reads."""
    prompt: Any = asked.prompt if asked.messages is None else [one.model_dump() for one in asked.messages]
    answers = [one.model_dump() for one in asked.answers]
    return Recorded.model_validate(studio.record_vote(prompt, answers, asked.better, who=caller.name, workspace=place))
