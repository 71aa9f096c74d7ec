"""The server on llama.cpp with the built-in model: the openai client, lm-eval, and many streams at a time."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import httpx
import numpy as np
import openai
import pytest
import torch

from burnish.models.engines.transformers import TransformersEngine
from burnish.models.load import load_model
from burnish.serve.chat.model import ServedModel
from burnish.serve.engines.llama import llama_engine
from burnish.serve.http.app import make_app
from burnish.specs.evals import GenerationSpec
from burnish.specs.ship.server import ServerSpec
from gguf_files import written
from scripted import pocket_folder
from serving import Running

HI = [{"role": "user", "content": "What is 3 days after 2024-02-27?"}]
CITY = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 12}}, "required": ["city"]}
CITY["additionalProperties"] = False
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "d", "parameters": CITY, "strict": True}}]


@pytest.fixture(scope="module")
def running(tmp_path_factory, tokenizer):
    folder = tmp_path_factory.mktemp("real")
    file = written(pocket_folder(), folder / "pocket.gguf", "F32")[0]
    engine = llama_engine(file, folder / "engine.log", context=512, slots=8, threads=1)
    engine.context, engine.slots = 512, 8
    settings = ServerSpec(port=0)
    app = make_app(engine, [ServedModel("pocket", tokenizer)], settings, folder=folder)
    served = SimpleNamespace(app=app, settings=settings, engine=engine, folder=folder)
    with Running(served, engine.open, engine.close) as server:
        yield server


@pytest.fixture(scope="module")
def client(running):
    with openai.OpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def reference(tokenizer):
    """The model in float32, by transformers."""
    engine = TransformersEngine(load_model(pocket_folder(), dtype=torch.float32), tokenizer)
    yield engine
    engine.close()


def test_the_client_gets_embeddings_that_say_what_texts_have_in_common(client):
    texts = ["What is 3 days after 2024-02-27?", "What is 4 days after 2024-02-25?", "{}[]();"]
    found = client.embeddings.create(model="pocket", input=texts)  # the client asks for base64
    vectors = np.array([item.embedding for item in found.data])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(3), abs=1e-6)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
    plain = client.embeddings.create(model="pocket", input=texts[0], encoding_format="float")
    np.testing.assert_allclose(plain.data[0].embedding, vectors[0], atol=1e-7)
    assert plain.usage.prompt_tokens == plain.usage.total_tokens > 5


def test_an_answer_is_that_of_generate(client, reference, tokenizer):
    model = ServedModel("pocket", tokenizer)
    prompt = model.prompt(HI, None)[1]
    (expected,) = reference.generate([prompt], GenerationSpec(max_new_tokens=40), model.stop_ids)
    answer = client.chat.completions.create(model="pocket", messages=HI, temperature=0, max_tokens=40)
    assert answer.choices[0].message.content == expected.text
    assert answer.choices[0].finish_reason == expected.finish_reason
    stream = client.chat.completions.create(model="pocket", messages=HI, temperature=0, max_tokens=40, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == expected.text


def test_a_seed_gives_the_same_answer_again(client):
    def ask(seed):
        return client.chat.completions.create(model="pocket", messages=HI, seed=seed, max_tokens=20, n=2).choices

    one, again, other = ask(1), ask(1), ask(5)
    assert [choice.message.content for choice in one] == [choice.message.content for choice in again]
    assert [choice.message.content for choice in one] != [choice.message.content for choice in other]


def test_log_probabilities_are_those_of_the_model(client, reference, tokenizer):
    """lm-eval's way: `echo` with `logprobs`; and those of an answer."""
    prompt = "The capital of France is Paris, 你好"
    found = client.completions.create(model="pocket", prompt=prompt, echo=True, logprobs=2, max_tokens=0).choices[0]
    ids = tokenizer.encode(prompt, add_special_tokens=False)
    (forced,) = reference.log_probs([ids], top=2)
    assert found.text == prompt
    np.testing.assert_allclose(found.logprobs.token_logprobs[1:], forced.chosen, atol=2e-2)
    best = [max(top.values()) for top in found.logprobs.top_logprobs[1:]]
    np.testing.assert_allclose(best, forced.log_probs[:, 0], atol=2e-2)
    hot = client.completions.create(model="pocket", prompt=ids, logprobs=1, max_tokens=1, temperature=2, seed=1)
    assert hot.choices[0].logprobs.token_logprobs[0] <= 0


def test_a_schema_is_kept_to(client):
    schema = {**CITY, "properties": {**CITY["properties"], "warm": {"type": "boolean"}}, "required": ["city", "warm"]}
    for seed in range(4):
        answer = client.chat.completions.create(
            model="pocket",
            messages=HI,
            seed=seed,
            response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}},
        )
        assert answer.choices[0].finish_reason == "stop"
        value = json.loads(answer.choices[0].message.content)
        assert set(value) == {"city", "warm"}
        assert type(value["warm"]) is bool


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
def test_a_forced_call_is_one_with_valid_arguments(client, choice):
    answer = client.chat.completions.create(model="pocket", messages=HI, tools=TOOLS, tool_choice=choice, seed=1)
    assert answer.choices[0].finish_reason == "tool_calls"
    (call,) = answer.choices[0].message.tool_calls
    assert call.function.name == "weather"
    assert set(json.loads(call.function.arguments)) == {"city"}
    stream = client.chat.completions.create(
        model="pocket", messages=HI, tools=TOOLS, tool_choice=choice, seed=1, stream=True
    )
    deltas = [delta for chunk in stream for delta in chunk.choices[0].delta.tool_calls or []]
    assert "".join(delta.function.arguments for delta in deltas) == call.function.arguments


def test_lm_eval_scores_and_writes(running, reference, tokenizer):
    lm_eval = pytest.importorskip("lm_eval.models.openai_completions")
    from lm_eval.api.instance import Instance
    from lm_eval.models.api_models import JsonChatStr

    model = lm_eval.LocalCompletionsAPI(
        base_url=f"{running.url}/v1/completions",
        model="pocket",
        tokenizer_backend="huggingface",
        tokenizer=str(pocket_folder()),
        max_length=512,
    )
    pair = ("The capital of France is", " Paris")
    ((found, _),) = model.loglikelihood([Instance("loglikelihood", {}, pair, 0)])
    head, whole = (tokenizer.encode(text, add_special_tokens=False) for text in (pair[0], "".join(pair)))
    (forced,) = reference.log_probs([whole])
    assert found == pytest.approx(float(forced.chosen[len(head) - 1 :].sum()), abs=5e-2)
    asked = {"until": ["\n"], "max_gen_toks": 8, "temperature": 0}
    (text,) = model.generate_until([Instance("generate_until", {}, ("Once upon a time", asked), 0)])
    chat = lm_eval.LocalChatCompletion(base_url=f"{running.url}/v1/chat/completions", model="pocket")
    (answer,) = chat.generate_until([Instance("generate_until", {}, (JsonChatStr(json.dumps(HI)), asked), 0)])
    assert isinstance(text, str)
    assert answer


def ask_for(running, seconds, clients=32):
    """Streams of so many clients for so long; the number of whole answers, and what was wrong."""
    end = time.monotonic() + seconds
    body = {"messages": HI, "stream": True, "max_tokens": 12, "stream_options": {"include_usage": True}}

    def ask(number):
        whole, faults = 0, []
        with httpx.Client(timeout=60, verify=False) as client:
            while time.monotonic() < end or not whole:
                answer = client.post(f"{running.url}/v1/chat/completions", json={**body, "seed": number})
                if answer.status_code == 200 and answer.text.endswith("data: [DONE]\n\n"):
                    whole += 1
                else:
                    faults.append(answer.text[:200])
        return whole, faults

    with ThreadPoolExecutor(clients) as pool:
        found = list(pool.map(ask, range(clients)))
    return sum(whole for whole, _ in found), [fault for _, faults in found for fault in faults]


def test_32_streams_at_a_time(running):
    whole, faults = ask_for(running, 1)
    assert faults == []
    assert whole >= 32


@pytest.mark.torture
@pytest.mark.timeout(400)
def test_32_streams_for_five_minutes(running):
    whole, faults = ask_for(running, 300)
    assert faults == []
    assert whole > 320
    assert running.served.app.state.server.under_way == 0
    assert running.served.engine.restarts == 0
