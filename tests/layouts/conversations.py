"""Conversations turn by turn, as each vendor writes them."""

import json

from layouts.turns import (
    ARGUMENTS,
    BAH,
    BOT,
    CALL,
    GPT,
    HUMAN,
    SYSTEM,
    TOOL,
    TOOLS,
    USER,
    Examples,
    bot,
    chat,
    result,
    user,
)

_BARE = {key: TOOL[key] for key in ("name", "description")}
_CALLED = chat(USER, bot("", tool_calls=[{"id": "c1", **CALL}]), result(tool_call_id="c1"), BOT)

CONVERSATIONS: Examples = {
    "messages": ({"messages": [SYSTEM, USER, BOT]}, chat(SYSTEM, USER, BOT)),
    "messages with calls": (
        {
            "messages": [
                USER,
                bot(None, tool_calls=[{"id": "c1", **CALL}]),
                {"role": "tool", "tool_call_id": "c1", "name": "now", "content": "12:00"},
                BOT,
            ],
            "tools": TOOLS,
        },
        chat(
            USER,
            bot("", tool_calls=[{"id": "c1", **CALL}]),
            result(tool_call_id="c1", name="now"),
            BOT,
            tools=TOOLS,
        ),
    ),
    "messages with parts and weights": (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "H"}, {"type": "text", "text": "i"}],
                    "mood": "good",
                },
                {**BOT, "loss_weight": 0.5},
                USER,
                {**BOT, "train": False, "reasoning_content": "hm"},
                USER,
                {**BOT, "weight": 1},
            ]
        },
        chat(
            USER,
            {**BOT, "weight": 0.5},
            USER,
            {**BOT, "weight": 0.0, "reasoning_content": "hm"},
            USER,
            {**BOT, "weight": 1.0},
            extra={"messages.0.mood": "good"},
        ),
    ),
    "messages as JSON text": (
        {"messages": json.dumps([USER, BOT]), "source": "csv"},
        chat(USER, BOT, extra={"source": "csv"}),
    ),
    "messages without an answer": ({"messages": [SYSTEM, USER]}, {"kind": "prompt", "messages": [SYSTEM, USER]}),
    "messages that repeat a pair": (
        {"problem": "Hi", "solution": "Hello", "messages": [USER, BOT]},
        chat(USER, BOT, extra={"problem": "Hi", "solution": "Hello"}),
    ),
    "messages with roles in other words": (
        {"messages": [{"role": "Human", "content": "Hi"}, {"role": "AI", "content": "Hello"}]},
        chat(USER, BOT),
    ),
    "messages with empty tools and functions": (
        {"messages": [USER, BOT], "tools": [], "functions": [TOOL]},
        chat(USER, BOT, tools=TOOLS),
    ),
    "messages with a call in two places": (
        {
            "messages": [
                USER,
                bot(None, tool_calls=[{"id": "c1", **CALL}], function_call=CALL["function"]),
                {"role": "tool", "tool_call_id": "c1", "content": "12:00"},
                BOT,
            ]
        },
        _CALLED,
    ),
    "messages with a thought in two places": (
        {"messages": [USER, {**BOT, "content": [{"type": "thinking", "thinking": "hm"}, "Hello"], "reasoning": "hm"}]},
        chat(USER, {**BOT, "reasoning_content": "hm"}),
    ),
    "messages of LLaMA-Factory v1": (
        {
            "messages": [
                {"role": "system", "content": [{"type": "text", "value": "Be kind"}]},
                {"role": "user", "content": [{"type": "text", "value": "Hi"}]},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "reasoning", "value": "hm"},
                        {"type": "tool_call", "value": json.dumps({"name": "now", "arguments": ARGUMENTS})},
                    ],
                    "loss_weight": 1.0,
                },
                {"role": "tool", "content": [{"type": "text", "value": "12:00"}]},
                {"role": "assistant", "content": [{"type": "text", "value": "Hello"}]},
            ],
            "tools": json.dumps([TOOL]),
        },
        chat(
            SYSTEM,
            USER,
            bot("", reasoning_content="hm", tool_calls=[CALL], weight=1.0),
            result(),
            BOT,
            tools=TOOLS,
        ),
    ),
    "messages of Anthropic": (
        {
            "system": [{"type": "text", "text": "Be kind", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                USER,
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "hm", "signature": "s"},
                        {"type": "text", "text": "Wait"},
                        {"type": "tool_use", "id": "c1", "name": "now", "input": ARGUMENTS},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "12:00"}]},
                        {"type": "text", "text": "Well?"},
                    ],
                },
                BOT,
            ],
            "tools": [{**_BARE, "input_schema": TOOL["parameters"]}],
        },
        chat(
            SYSTEM,
            USER,
            bot("Wait", reasoning_content="hm", tool_calls=[{"id": "c1", **CALL}]),
            result(tool_call_id="c1"),
            user("Well?"),
            BOT,
            tools=TOOLS,
            extra={"system.0.cache_control": {"type": "ephemeral"}, "messages.1.content.0.signature": "s"},
        ),
    ),
    "messages beside empty answers": ({"messages": [USER, BOT], "chosen": None, "rejected": None}, chat(USER, BOT)),
    "messages of Bedrock": (
        {
            "schemaVersion": "bedrock-conversation-2024",
            "system": [{"text": "Be kind"}],
            "messages": [
                {"role": "user", "content": [{"text": "Hi"}]},
                {"role": "assistant", "content": [{"toolUse": {"toolUseId": "c1", "name": "now", "input": ARGUMENTS}}]},
                {"role": "user", "content": [{"toolResult": {"toolUseId": "c1", "content": [{"json": {"at": 12}}]}}]},
                {"role": "assistant", "content": [{"text": "Hello"}]},
            ],
            "toolConfig": {"tools": [{"toolSpec": {**_BARE, "inputSchema": {"json": TOOL["parameters"]}}}]},
        },
        chat(
            SYSTEM,
            USER,
            bot("", tool_calls=[{"id": "c1", **CALL}]),
            result('{"at": 12}', tool_call_id="c1"),
            BOT,
            tools=TOOLS,
            extra={"schemaVersion": "bedrock-conversation-2024"},
        ),
    ),
    "sharegpt": ({"conversations": [HUMAN, GPT], "system": "Be kind"}, chat(SYSTEM, USER, BOT)),
    "sharegpt with tools": (
        {
            "conversations": [
                HUMAN,
                {"from": "function_call", "value": '{"name": "now", "arguments": {"zone": "UTC"}}'},
                {"from": "observation", "value": "12:00"},
                GPT,
            ],
            "tools": json.dumps([TOOL]),
        },
        chat(USER, bot("", tool_calls=[CALL]), result(), BOT, tools=TOOLS),
    ),
    "sharegpt with several calls": (
        {
            "conversations": [
                HUMAN,
                {"from": "function_call", "value": '[{"name": "now", "arguments": {"zone": "UTC"}}, {"name": "b"}]'},
            ]
        },
        chat(USER, bot("", tool_calls=[CALL, {"type": "function", "function": {"name": "b", "arguments": "{}"}}])),
    ),
    "sharegpt in one conversation": (
        {"conversation": [USER, BOT], "lang": "en"},
        chat(USER, BOT, extra={"lang": "en"}),
    ),
    "sharegpt of exchanges": (
        {
            "conversation": [
                {"system": "Be kind", "input": "Hi", "output": "Hello"},
                {"human": "Hi", "gpt": "Bah"},
            ]
        },
        chat(SYSTEM, USER, BOT, USER, BAH),
    ),
    "gemini": (
        {
            "systemInstruction": {"role": "system", "parts": [{"text": "Be kind"}]},
            "contents": [
                {"role": "user", "parts": [{"text": "Hi"}]},
                {"role": "model", "parts": [{"functionCall": {"name": "now", "args": ARGUMENTS}}]},
                {"role": "user", "parts": [{"functionResponse": {"name": "now", "response": {"at": 12}}}]},
                {"role": "model", "parts": [{"text": "hm", "thought": True}, {"text": "Hello"}]},
            ],
            "tools": [{"functionDeclarations": [TOOL]}],
        },
        chat(
            SYSTEM,
            USER,
            bot("", tool_calls=[CALL]),
            result('{"at": 12}', name="now"),
            {**BOT, "reasoning_content": "hm"},
            tools=TOOLS,
        ),
    ),
    "transcript of hh-rlhf": (
        {"text": "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: And?\n\nAssistant: Human: is a word"},
        chat(USER, BOT, user("And?"), bot("Human: is a word")),
    ),
    "transcript of guanaco": ({"text": "### Human: Hi### Assistant: Hello"}, chat(USER, BOT)),
}
