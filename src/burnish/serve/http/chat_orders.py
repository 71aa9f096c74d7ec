"""What a chat request asks of the engine: its conversation rendered, its tools, its reasoning mode."""

from collections.abc import Mapping, Sequence
from typing import Any

from burnish.core.errors import BurnishError
from burnish.serve.chat.forcing import ForcedCall, calling_of, forced_schema, plain_end
from burnish.serve.chat.model import ServedModel
from burnish.serve.chat.notation import Notation
from burnish.serve.chat.parts import Parts
from burnish.serve.engines.protocol import Asked, ServingEngine
from burnish.serve.http.orders import (
    Order,
    Reader,
    checked,
    choices_of,
    draw_of,
    require,
    room_for,
    schema_of,
    spread,
)
from burnish.serve.http.wire.errors import of_burnish, wrong
from burnish.serve.http.wire.requests import ChatRequest, Message, NamedTool, RefusalPart

Turn = dict[str, Any]


def order_chat(request: ChatRequest, model: ServedModel, engine: ServingEngine, most: int) -> Order:
    """The order of a chat. Errors: ApiError."""
    if not model.has_template:
        raise wrong(f"{model.name} has no chat template: ask /v1/completions", "model", "no_chat_template")
    choices = choices_of(request, most)
    tools = tools_of(request)
    turns = [turn_of(message, place) for place, message in enumerate(request.messages)]
    begun = _begun(request, turns)
    forced = request.tool_choice == "required" or isinstance(request.tool_choice, NamedTool)
    schema = schema_of(request.response_format, engine)
    if forced and schema is not None:
        raise wrong("response_format and a forced tool call exclude each other", "tool_choice")
    if tools and schema is not None:
        raise wrong("response_format with tools is not supported: a schema leaves no room for a call", "tools")
    mode = _mode(request, model, prefers_silence=forced or schema is not None)
    try:
        text, ids = model.prompt(turns, tools, mode, begun)
        notation = model.notation if tools or model.reasons else Notation(None, None, None)
        thinks = _is_thinking(text, begun, notation)
        calling = calling_of(notation)
        closing = f"\n{notation.reasoning.closes}\n\n" if thinks and notation.reasoning else ""
        if forced and begun:
            raise wrong("a forced tool call cannot continue a message of the assistant", "messages")
        opening = closing + calling.opens if forced else closing if schema is not None else ""
        if opening:
            ids = model.encode(text + opening, add_special_tokens=False)
    except BurnishError as error:
        raise of_burnish(error, "messages") from error
    if forced:
        schema = _forced_schema(request, tools or [], model, engine)
    _check_strict(request, forced)
    if request.logprobs:
        require(engine, "log_probs", "logprobs")
    one = Asked(
        prompt=tuple(ids),
        max_tokens=room_for(len(ids), request.longest, request.longest, engine),
        draw=draw_of(request, model, engine),
        stop_ids=model.stop_ids,
        top_log_probs=(request.top_logprobs or 0) if request.logprobs else None,
        schema=schema,
        after=plain_end(calling, model.special_texts) if forced else "",
        adapter=model.adapter,
    )
    parallel = request.parallel_tool_calls is not False

    def read() -> Reader:
        if forced:
            return ForcedCall(calling)
        return Parts(notation, tools, begins_in_reasoning=thinks and not opening, parallel=parallel)

    return Order(
        model,
        tuple(spread(one, choices)),
        len(ids),
        stops=request.stops,
        unshown=model.unshown(notation.example, request.stops),
        read=read,
        log_probs=bool(request.logprobs),
    )


def tools_of(request: ChatRequest) -> list[dict[str, Any]] | None:
    """The tools that the model sees: none with tool_choice none, so that it writes no call."""
    if not request.tools or request.tool_choice == "none":
        return None
    return [tool_of(tool.model_dump(exclude_none=True)) for tool in request.tools]


def tool_of(tool: dict[str, Any]) -> dict[str, Any]:
    """A tool as in a row; `strict` is a wish to the server, which the model does not see."""
    tool["function"].pop("strict", None)
    return tool


def turn_of(message: Message, place: int) -> Turn:
    """A message as in a row."""
    turn: Turn = {"role": "system" if message.role == "developer" else message.role}
    content = message.content or message.refusal
    if isinstance(content, list):
        content = "".join(part.refusal if isinstance(part, RefusalPart) else part.text for part in content)
    turn["content"] = content or ""
    if (thought := message.reasoning_content or message.reasoning) is not None:
        turn["reasoning_content"] = thought
    if message.tool_calls:
        turn["tool_calls"] = [
            {**({"id": call.id} if call.id else {}), "type": "function", "function": call.function.model_dump()}
            for call in message.tool_calls
        ]
    for name in ("name", "tool_call_id"):
        if (value := getattr(message, name)) is not None:
            turn[name] = value
    return turn


def _begun(request: ChatRequest, turns: Sequence[Turn]) -> str:
    """The start of the answer: a final message of the assistant is continued."""
    last = turns[-1]
    if last["role"] != "assistant":
        if request.continue_final_message:
            raise wrong("the last message is not one of the assistant", "continue_final_message")
        if request.add_generation_prompt is False:
            raise wrong("an answer needs the generation prompt", "add_generation_prompt")
        return ""
    if request.continue_final_message is False or request.add_generation_prompt:
        raise wrong(
            "the last message is one of the assistant, which is continued: remove it for another turn", "messages"
        )
    if "tool_calls" in last or "reasoning_content" in last:
        raise wrong("a message with tool_calls or reasoning cannot be continued", "messages")
    return last["content"]


def _mode(request: ChatRequest, model: ServedModel, *, prefers_silence: bool) -> Mapping[str, Any]:
    """The values of the template's reasoning switch."""
    given = dict(request.chat_template_kwargs or {})
    switches = sorted({name for mode in model.renderer.modes for name in mode})
    if unknown := sorted(given.keys() - set(switches)):
        known = f"it knows {', '.join(switches)}" if switches else "it knows none"
        raise wrong(f"chat_template_kwargs: the template has no switch '{unknown[0]}'; {known}", "chat_template_kwargs")
    if request.reasoning_effort is not None:
        if not switches:
            message = f"the template of {model.name} has no reasoning switch: remove reasoning_effort"
            raise wrong(message, "reasoning_effort")
        if request.reasoning_effort not in ("none", "minimal", "high"):
            message = "the template switches reasoning off and on, and knows no effort between: none or high"
            raise wrong(message, "reasoning_effort")
        if given:
            raise wrong("reasoning_effort and chat_template_kwargs exclude each other", "reasoning_effort")
        given = dict.fromkeys(switches, request.reasoning_effort == "high")
    if prefers_silence and not given:
        given = dict.fromkeys(switches, False)
    return given


def _is_thinking(text: str, begun: str, notation: Notation) -> bool:
    """Whether the prompt has opened reasoning and not closed it."""
    if notation.reasoning is None:
        return False
    if begun and notation.reasoning.opens in begun:
        return notation.reasoning.closes not in begun
    return text.rstrip().endswith(notation.reasoning.opens)


def _forced_schema(
    request: ChatRequest, tools: Sequence[Mapping[str, Any]], model: ServedModel, engine: ServingEngine
) -> dict[str, Any]:
    require(engine, "schema", "tool_choice")
    name = request.tool_choice.function.name if isinstance(request.tool_choice, NamedTool) else None
    for place, tool in enumerate(tools):
        if name in (None, tool["function"]["name"]) and "parameters" in tool["function"]:
            checked(tool["function"]["parameters"], f"tools.{place}.function.parameters")
    return forced_schema(tools, name, calling_of(model.notation))


def _check_strict(request: ChatRequest, forced: bool) -> None:
    """A strict tool needs a schema from the call's first letter on, which only a forced call has."""
    strict = [place for place, tool in enumerate(request.tools or ()) if tool.function.strict]
    if strict and not forced and request.tool_choice != "none":
        raise wrong(
            "strict is enforced where the call is forced: set tool_choice to required or to the function, "
            "or strict to false",
            f"tools.{strict[0]}.function.strict",
        )
