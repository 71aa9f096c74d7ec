"""Plain completions in OpenAI's shapes: prompts of every form, echo, log-probabilities; models and tokens too."""

import json

import pytest

PATH = "/v1/completions"


def test_a_prompt_is_a_text_ids_or_a_list_of_either(served, tokenizer):
    app = served(script=lambda asked: f" {len(asked.prompt)}")
    ids = tokenizer.encode("Once upon", add_special_tokens=False)
    for prompt, count in (("Once upon", 1), (ids, 1), (["Once upon", "a"], 2), ([ids, ids[:1]], 2)):
        answer = app.post({"prompt": prompt}, PATH).json()
        assert answer["object"] == "text_completion"
        assert [choice["index"] for choice in answer["choices"]] == list(range(count))
        assert answer["choices"][0]["text"] == f" {len(ids)}"
    assert app.engine.asked[0].prompt == tuple(ids)
    assert app.engine.asked[0].max_tokens == 16


def test_a_stream_has_the_text_of_the_answer(served):
    answer = served().post({"prompt": "Once", "stream": True, "stream_options": {"include_usage": True}}, PATH)
    lines = [line.removeprefix("data: ") for line in answer.text.strip().split("\n\n")]
    assert lines.pop() == "[DONE]"
    chunks = [json.loads(line) for line in lines]
    assert "".join(c["choices"][0]["text"] for c in chunks if c["choices"]) == "Hello there"
    assert chunks[-1]["usage"]["prompt_tokens"] == 2
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"


def test_an_echoed_prompt_has_the_log_probabilities_of_its_tokens(served, tokenizer):
    app = served(script=lambda asked: " day")
    answer = app.post({"prompt": "Once upon a time", "echo": True, "logprobs": 1, "max_tokens": 1}, PATH).json()
    choice = answer["choices"][0]
    assert choice["text"] == "Once upon a time day"[: len(choice["text"])]
    found = choice["logprobs"]
    assert "".join(found["tokens"]) == choice["text"]
    assert found["token_logprobs"][0] is None
    assert found["top_logprobs"][0] is None
    assert all(value == -0.5 for value in found["token_logprobs"][1:])
    for token, offset in zip(found["tokens"], found["text_offset"], strict=True):
        assert choice["text"][offset:].startswith(token)
    forced = [asked for asked in app.engine.asked if asked.draw.logit_bias]
    ids = tokenizer.encode("Once upon a time", add_special_tokens=False)
    assert [list(asked.draw.logit_bias) for asked in forced] == [[token] for token in ids[1:]]


def test_max_tokens_0_scores_without_writing(served):
    answer = served().post({"prompt": "Once upon", "echo": True, "logprobs": 0, "max_tokens": 0}, PATH).json()
    assert answer["choices"][0]["text"] == "Once upon"
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 0


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"suffix": "end"}, "suffix"),
        ({"best_of": 3}, "best_of"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": [999999]}, "999999"),
        ({"prompt": [-1]}, "-1"),
        ({"logprobs": 21}, "logprobs"),
        ({"prompt": ["a"] * 17}, "17"),
    ],
)
def test_what_is_not_done_is_refused_by_name(served, body, word):
    answer = served().post({"prompt": "Once", **body}, PATH)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert word in error["message"] or "16 prompts" in error["message"]


def test_answers_and_the_list_give_the_fingerprint_of_the_model(served):
    app = served(adapters=["cats"])
    assert app.get("/v1/models/cats").json()["fingerprint"] is app.chat().json()["system_fingerprint"] is None
    app.state.models["cats"].fingerprint = "fp_1"
    assert app.get("/v1/models/cats").json()["fingerprint"] == "fp_1"
    assert app.chat(model="cats").json()["system_fingerprint"] == "fp_1"
    assert app.chat().json()["system_fingerprint"] is None


def test_models_are_listed_with_their_adapters(served):
    app = served(adapters=["cats"])
    found = app.get("/v1/models").json()
    assert [model["id"] for model in found["data"]] == ["pocket", "cats"]
    assert [model["parent"] for model in found["data"]] == [None, "pocket"]
    assert app.get("/v1/models/cats").json()["id"] == "cats"
    unknown = app.get("/v1/models/dogs")
    assert unknown.status_code == 404
    assert unknown.json()["error"]["code"] == "model_not_found"
    assert app.chat(model="dogs").status_code == 404
    app.chat(model="cats")
    assert app.engine.asked[-1].adapter == "cats"


def test_texts_and_conversations_become_tokens_and_back(served, tokenizer):
    app = served()
    found = app.post({"prompt": "Once upon"}, "/tokenize").json()
    assert found["tokens"] == tokenizer.encode("Once upon", add_special_tokens=False)
    assert found["count"] == len(found["tokens"])
    assert app.post({"tokens": found["tokens"]}, "/detokenize").json() == {"prompt": "Once upon"}
    turns = [{"role": "user", "content": "Hi"}]
    rendered = app.post({"messages": turns}, "/tokenize").json()["tokens"]
    app.post({"messages": turns})
    assert tuple(rendered) == app.engine.asked[0].prompt
    whole = app.post({"messages": turns, "add_generation_prompt": False}, "/tokenize").json()["tokens"]
    assert rendered[: len(whole)] == whole


def test_embeddings_are_vectors_of_each_input(served):
    app = served()
    found = app.post({"input": ["Once upon", "a"]}, "/v1/embeddings").json()
    assert [item["index"] for item in found["data"]] == [0, 1]
    assert found["data"][1]["embedding"] == [1.0, 1.0]
    coded = app.post({"input": "a", "encoding_format": "base64"}, "/v1/embeddings").json()["data"][0]["embedding"]
    assert coded == "AACAPwAAgD8="
    from scripted import FEATURES

    without = served(features=FEATURES - {"embeddings"}).post({"input": "a"}, "/v1/embeddings")
    assert without.status_code == 400
    assert without.json()["error"]["code"] == "unsupported_by_engine"
