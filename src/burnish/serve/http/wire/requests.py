"""Requests in OpenAI's shapes. An unknown field is an error; fields without effect on the answer are named here."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

MOST_STOPS, LONGEST_STOP, MOST_TOP_LOG_PROBS, MOST_BIASED = 16, 256, 20, 1024
_Text: TypeAlias = str
Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class StreamOptions(_Body):
    """What a stream holds besides the answer. `include_obfuscation` has no effect on the answer."""

    include_usage: bool = False
    include_obfuscation: bool | None = None


class _Harmless(_Body):
    """Fields that say something about the client and change no answer: accepted, and not read."""

    user: str | None = None
    metadata: dict[str, Any] | None = None
    store: bool | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    prediction: dict[str, Any] | None = None


class SamplingRequest(_Harmless):
    """What chat and plain completions have in common."""

    model: str | None = Field(default=None, max_length=512)
    n: int | None = Field(default=None, ge=1)
    temperature: Finite | None = Field(default=None, ge=0, le=2)
    top_p: Finite | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=-1, le=2**31 - 1)
    min_p: Finite | None = Field(default=None, ge=0, le=1)
    seed: int | None = Field(default=None, ge=-(2**63), le=2**63 - 1)
    frequency_penalty: Finite | None = Field(default=None, ge=-2, le=2)
    presence_penalty: Finite | None = Field(default=None, ge=-2, le=2)
    repetition_penalty: Finite | None = Field(default=None, gt=0, le=2)
    logit_bias: dict[str, Finite] | None = Field(default=None, max_length=MOST_BIASED)
    stop: str | list[str] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    @field_validator("stop")
    @classmethod
    def stops_are_short_and_few(cls, stop: str | list[str] | None) -> str | list[str] | None:
        texts = [stop] if isinstance(stop, str) else stop or []
        if len(texts) > MOST_STOPS:
            raise ValueError(f"at most {MOST_STOPS} stop strings")
        if any(not text or len(text) > LONGEST_STOP for text in texts):
            raise ValueError(f"a stop string has 1 to {LONGEST_STOP} characters")
        return stop

    @field_validator("logit_bias")
    @classmethod
    def biases_are_of_token_ids(cls, bias: dict[str, float] | None) -> dict[str, float] | None:
        for token, value in (bias or {}).items():
            if not (token.isascii() and token.isdigit() and len(token) < 10 and token == str(int(token))):
                raise ValueError(f"'{token[:40]}' is not a token id")
            if not -100 <= value <= 100:
                raise ValueError("a bias is between -100 and 100")
        return bias

    @model_validator(mode="after")
    def options_of_a_stream_need_a_stream(self) -> "SamplingRequest":
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options needs stream: true")
        return self

    @property
    def stops(self) -> tuple[str, ...]:
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())


class TextPart(_Body):
    type: Literal["text"]
    text: _Text


class RefusalPart(_Body):
    type: Literal["refusal"]
    refusal: _Text


class FunctionCall(_Body):
    name: str = Field(min_length=1, max_length=256)
    arguments: str


class MessageCall(_Body):
    id: str | None = None
    type: Literal["function"] = "function"
    function: FunctionCall
    index: int | None = None


class Message(_Body):
    """A turn. Content in parts is of type text: the model reads nothing else."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[TextPart | RefusalPart] | None = None
    name: str | None = None
    tool_calls: list[MessageCall] | None = None
    tool_call_id: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    audio: None = None
    function_call: None = None
    annotations: list[Any] | None = Field(default=None, max_length=0)

    @staticmethod
    def _differ(one: Any, other: Any) -> bool:
        """Whether both are texts and not the same; "" and an empty list are as good as none."""
        return bool(one) and bool(other) and one != other

    @model_validator(mode="after")
    def the_fields_fit_the_role(self) -> "Message":
        if self.role != "assistant":
            for field in ("tool_calls", "reasoning_content", "reasoning", "refusal"):
                if getattr(self, field) is not None:
                    raise ValueError(f"{field} belongs to a message of the assistant")
            if self.content is None:
                raise ValueError("content is missing")
        elif self.content is None and not self.tool_calls and self.refusal is None:
            raise ValueError("content is missing, and there are no tool_calls")
        for one, other in (("content", "refusal"), ("reasoning_content", "reasoning")):
            if self._differ(getattr(self, one), getattr(self, other)):
                raise ValueError(f"{one} and {other} are both given and differ: the model reads one of them")
        if self.tool_call_id is not None and self.role != "tool":
            raise ValueError("tool_call_id belongs to a message with role tool")
        return self


class FunctionTool(_Body):
    name: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(_Body):
    type: Literal["function"]
    function: FunctionTool


class NamedFunction(_Body):
    name: str


class NamedTool(_Body):
    type: Literal["function"]
    function: NamedFunction


class JsonSchema(_Body):
    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    description: str | None = None
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool | None = None


class ResponseFormat(_Body):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    @model_validator(mode="after")
    def a_schema_is_given_where_one_is_asked_for(self) -> "ResponseFormat":
        if self.type == "json_schema" and (self.json_schema is None or self.json_schema.schema_ is None):
            raise ValueError("json_schema.schema is missing")
        if self.type != "json_schema" and self.json_schema is not None:
            raise ValueError("json_schema needs type: json_schema")
        return self


class ChatRequest(SamplingRequest):
    messages: list[Message] = Field(min_length=1, max_length=4096)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=MOST_TOP_LOG_PROBS)
    response_format: ResponseFormat | None = None
    tools: list[Tool] | None = Field(default=None, max_length=128)
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high"] | None = None
    chat_template_kwargs: dict[str, bool] | None = None
    modalities: list[Literal["text"]] | None = None
    continue_final_message: bool | None = None
    add_generation_prompt: bool | None = None

    @model_validator(mode="after")
    def fields_fit_each_other(self) -> "ChatRequest":
        if self.max_tokens is not None and self.max_completion_tokens not in (None, self.max_tokens):
            raise ValueError("max_tokens and max_completion_tokens differ: give one")
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("top_logprobs needs logprobs: true")
        names = [tool.function.name for tool in self.tools or ()]
        if len(set(names)) < len(names):
            raise ValueError("tools: a name is given twice")
        if isinstance(self.tool_choice, NamedTool) and self.tool_choice.function.name not in names:
            raise ValueError(f"tool_choice: there is no tool '{self.tool_choice.function.name[:64]}' in tools")
        if self.tool_choice in ("required", "auto") and not names:
            raise ValueError("tool_choice needs tools")
        return self

    @property
    def longest(self) -> int | None:
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens


class CompletionRequest(SamplingRequest):
    prompt: str | list[str] | list[int] | list[list[int]]
    max_tokens: int | None = Field(default=None, ge=0)
    logprobs: int | None = Field(default=None, ge=0, le=MOST_TOP_LOG_PROBS)
    echo: bool | None = None
    best_of: int | None = Field(default=None, ge=1)
    suffix: str | None = None
    response_format: ResponseFormat | None = None
    add_special_tokens: bool | None = None

    @model_validator(mode="after")
    def fields_fit_each_other(self) -> "CompletionRequest":
        if self.best_of is not None and self.best_of != (self.n or 1):
            raise ValueError("best_of is not supported: remove it, or set it to n")
        if self.suffix:
            raise ValueError("suffix is not supported: the models of this server do not fill in the middle")
        if self.max_tokens == 0 and not self.echo:
            raise ValueError("max_tokens is 0, and nothing is to be echoed")
        return self


class EmbeddingRequest(_Harmless):
    model: str | None = Field(default=None, max_length=512)
    input: str | list[str] | list[int] | list[list[int]]
    encoding_format: Literal["float", "base64"] | None = None


class TokenizeRequest(_Body):
    """A text, or a conversation, as vLLM's /tokenize takes it."""

    model: str | None = Field(default=None, max_length=512)
    prompt: str | None = None
    messages: list[Message] | None = Field(default=None, min_length=1, max_length=4096)
    tools: list[Tool] | None = Field(default=None, max_length=128)
    add_special_tokens: bool = True
    add_generation_prompt: bool = True
    return_token_strs: bool = False

    @model_validator(mode="after")
    def either_a_text_or_a_conversation(self) -> "TokenizeRequest":
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("either prompt or messages is needed")
        return self


class DetokenizeRequest(_Body):
    model: str | None = Field(default=None, max_length=512)
    tokens: list[int] = Field(max_length=1_000_000)


class LoadAdapterRequest(_Body):
    lora_name: str = Field(pattern=r"^[\w][\w./-]{0,127}$")
    lora_path: str = Field(min_length=1, max_length=4096)


class UnloadAdapterRequest(_Body):
    lora_name: str = Field(min_length=1, max_length=128)
