"""Answers that are compared, scored or labelled."""

from layouts.turns import BAH, BOT, GPT, HUMAN, SYSTEM, USER, Examples, labelled, prefers

JUDGED: Examples = {
    "preference": ({"prompt": "Hi", "chosen": "Hello", "rejected": "Bah"}, prefers(USER)),
    "preference that repeats its prompt": (
        {"prompt": "Hi", "chosen": [SYSTEM, USER, BOT], "rejected": [SYSTEM, USER, BAH]},
        prefers(SYSTEM, USER),
    ),
    "preference without a prompt column": (
        {"chosen": [USER, BOT], "rejected": [USER, BAH], "score": 2},
        prefers(USER, extra={"score": 2}),
    ),
    "preference of UltraFeedback binarized": (
        {"prompt": "Hi", "messages": [USER, BOT], "chosen": [USER, BOT], "rejected": [USER, BAH], "score_chosen": 8.0},
        prefers(USER, extra={"prompt": "Hi", "score_chosen": 8.0}),
    ),
    "preference of sharegpt": (
        {
            "conversations": [{"from": "system", "value": "Be kind"}, HUMAN],
            "chosen": GPT,
            "rejected": {"from": "gpt", "value": "Bah"},
        },
        prefers(SYSTEM, USER),
    ),
    "preference of alpaca": ({"instruction": "Hi", "input": "", "chosen": "Hello", "rejected": "Bah"}, prefers(USER)),
    "preference of OpenAI": (
        {
            "input": {"messages": [USER], "tools": [], "parallel_tool_calls": True},
            "preferred_output": [BOT],
            "non_preferred_output": [BAH],
        },
        prefers(USER, extra={"input.parallel_tool_calls": True}),
    ),
    "preference of LLaMA-Factory v1": (
        {
            "chosen_messages": [
                {"role": "user", "content": [{"type": "text", "value": "Hi"}]},
                {"role": "assistant", "content": [{"type": "text", "value": "Hello"}]},
            ],
            "rejected_messages": [
                {"role": "user", "content": [{"type": "text", "value": "Hi"}]},
                {"role": "assistant", "content": [{"type": "text", "value": "Bah"}]},
            ],
        },
        prefers(USER),
    ),
    "preference of hh-rlhf": (
        {"chosen": "\n\nHuman: Hi\n\nAssistant: Hello", "rejected": "\n\nHuman: Hi\n\nAssistant: Bah"},
        prefers(USER),
    ),
    "preference of Stack Exchange": (
        {"qid": 7, "question": "Hi", "response_j": "Hello", "response_k": "Bah"},
        prefers(USER, extra={"qid": 7}),
    ),
    "preference of a response": ({"query": "Hi", "response": "Hello", "rejected_response": "Bah"}, prefers(USER)),
    "compared": ({"prompt": "Hi", "response_a": "Bah", "response_b": "Hello", "winner": "model_b"}, prefers(USER)),
    "compared in an arena": (
        {
            "conversation_a": [USER, BOT],
            "conversation_b": [USER, BAH],
            "winner": "model_a",
            "model_a": "x",
        },
        prefers(USER, extra={"model_a": "x"}),
    ),
    "compared by flags": (
        {
            "prompt": "Hi",
            "response_a": "Hello",
            "response_b": "Bah",
            "winner_model_a": 1,
            "winner_model_b": 0,
            "winner_tie": 0,
        },
        prefers(USER),
    ),
    "compared in a CSV": (
        {"prompt": "Hi", "response_a": "Hello", "response_b": "Bah", "winner_model_a": "1", "winner_model_b": "0"},
        prefers(USER),
    ),
    "compared by number": (
        {"prompt": "Hi", "response_0": "Bah", "response_1": "Hello", "better_response_id": 1, "safer_response_id": 0},
        prefers(USER, extra={"safer_response_id": 0}),
    ),
    "scored of UltraFeedback": (
        {
            "instruction": "Hi",
            "completions": [
                {"response": "Bah", "overall_score": 2.0, "model": "x"},
                {"response": "Hm", "overall_score": 5.0},
                {"response": "Hello", "overall_score": 8.5},
            ],
        },
        prefers(
            USER,
            extra={
                "completions.0.model": "x",
                "completions.0.overall_score": 2.0,
                "completions.1.overall_score": 5.0,
                "completions.1": "Hm",
                "completions.2.overall_score": 8.5,
            },
        ),
    ),
    "scored in two lists": (
        {"prompt": "Hi", "responses": ["Hello", "Bah"], "scores": [1, 0]},
        prefers(USER, extra={"responses.0.scores": 1, "responses.1.scores": 0}),
    ),
    "kto": ({"prompt": "Hi", "completion": "Hello", "label": True}, labelled()),
    "kto of messages": ({"messages": [USER, BOT], "kto_tag": False}, labelled(False)),
    "kto of alpaca": ({"instruction": "Hi", "output": "Hello", "kto_tag": "true"}, labelled()),
    "kto of numbers": ({"question": "Hi", "answer": "Hello", "label": 1.0}, labelled()),
    "kto of words": ({"prompt": "Hi", "response": "Hello", "label": "bad"}, labelled(False)),
    "kto of sharegpt": ({"conversations": [HUMAN, GPT], "label": "yes"}, labelled()),
}
