"""A question and its answer in columns, and rows without an answer."""

from layouts.turns import BAH, BOT, SYSTEM, USER, Examples, bot, chat, user

PAIRS: Examples = {
    "alpaca": ({"instruction": "Hi", "input": "", "output": "Hello"}, chat(USER, BOT)),
    "alpaca with everything": (
        {
            "instruction": "Add",
            "input": "1 2",
            "output": "3",
            "system": "Be kind",
            "history": [["Hi", "Hello"]],
            "n": 4,
        },
        chat(SYSTEM, USER, BOT, user("Add\n1 2"), bot("3"), extra={"n": 4}),
    ),
    "alpaca with a text column": (
        {"instruction": "Hi", "input": "", "output": "Hello", "text": "### Hi"},
        chat(USER, BOT, extra={"text": "### Hi"}),
    ),
    "instruction_response of Dolly": (
        {"instruction": "Who?", "context": "Ann came.", "response": "Hello", "category": "qa"},
        chat(user("Who?\nAnn came."), BOT, extra={"category": "qa"}),
    ),
    "input_output": ({"input": "Hi", "output": "Hello"}, chat(USER, BOT)),
    "input_output of numbers": ({"input": "1/2?", "output": 0.5}, chat(user("1/2?"), bot("0.5"))),
    "prompt_completion": ({"prompt": "Hi", "completion": "Hello"}, chat(USER, BOT)),
    "prompt_completion of turns": ({"prompt": [SYSTEM, USER], "completion": [BOT]}, chat(SYSTEM, USER, BOT)),
    "prompt_completion of JSON that is no turn": (
        {"prompt": "Hi", "completion": '[{"role": 7}]'},
        chat(USER, bot('[{"role": 7}]')),
    ),
    "prompt_response": ({"prompt": "Hi", "response": "Hello"}, chat(USER, BOT)),
    "prompt_response of hh-rlhf": (
        {"prompt": "\n\nHuman: Hi\n\nAssistant: Bah\n\nHuman: Hi\n\nAssistant:", "response": " Hello"},
        chat(USER, BAH, USER, bot(" Hello")),
    ),
    "prompt_answer": (
        {"prompt": "Hi", "answer": "Hello", "tag": "sums"},
        chat(USER, BOT, tag="sums"),
    ),
    "prompt_answer of numbers": ({"prompt": "1+1?", "answer": 2}, chat(user("1+1?"), bot("2"))),
    "query_response": (
        {"system": "Be kind", "history": [["Hi", "Hello"]], "query": "Hi", "response": "Hello"},
        chat(SYSTEM, USER, BOT, USER, BOT),
    ),
    "question_answer": ({"question": "Hi", "answer": "Hello"}, chat(USER, BOT)),
    "question_answer with a context": (
        {"context": "Ann came.", "question": "Who?", "answer": "Ann", "tag": 7},
        chat(user("Ann came.\n\nWho?"), bot("Ann"), extra={"tag": 7}),
    ),
    "question_answer of true and false": ({"question": "Hi?", "answer": True}, chat(user("Hi?"), bot("true"))),
    "question_response of OpenOrca": (
        {"id": "niv.1", "system_prompt": "Be kind", "question": "Hi", "response": "Hello"},
        chat(SYSTEM, USER, BOT, extra={"id": "niv.1"}),
    ),
    "problem_solution": ({"problem": "Hi", "solution": "Hello"}, chat(USER, BOT)),
    "squad": (
        {
            "context": "Ann came.",
            "question": "Who?",
            "title": "Ann",
            "answers": {"text": ["Ann", "Ann.", "Ann"], "answer_start": [0, 0, 0]},
        },
        chat(
            user("Ann came.\n\nWho?"),
            bot("Ann"),
            extra={"title": "Ann", "answers.text": ["Ann", "Ann.", "Ann"], "answers.answer_start": [0, 0, 0]},
        ),
    ),
    "squad of a list": ({"question": "Hi", "answers": ["Hello"]}, chat(USER, BOT)),
    "text": ({"text": "Hi", "url": "u"}, {"kind": "text", "text": "Hi", "extra": {"url": "u"}}),
    "prompt": (
        {"prompt": "Hi", "reference": "42", "tag": "sums"},
        {"kind": "prompt", "messages": [USER], "tag": "sums", "extra": {"reference": "42"}},
    ),
    "prompt of turns": (
        {"prompt": [SYSTEM, USER], "reward_model": {"ground_truth": "42"}},
        {"kind": "prompt", "messages": [SYSTEM, USER], "extra": {"reward_model": {"ground_truth": "42"}}},
    ),
}
