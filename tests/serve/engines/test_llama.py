"""llama.cpp as an engine of the server: several answers at a time, as the engine of `generate` gives them."""

import asyncio
import json
import os
import signal

import numpy as np
import pytest

from burnish.core.errors import MachineError
from burnish.models.engines.llama.engine import LlamaEngine
from burnish.models.engines.llama.grammar import Grammar
from burnish.models.engines.llama.model import LlamaModel
from burnish.models.engines.llama.parallel import ParallelContext
from burnish.serve.chat.schemas import check_schema
from burnish.serve.engines import llama_process
from burnish.serve.engines.child import News
from burnish.serve.engines.llama import llama_engine
from burnish.serve.engines.llama_process import LlamaDecoder
from burnish.serve.engines.protocol import Asked, Draw, End, EngineError, Token
from burnish.specs.evals import GenerationSpec
from burnish.tokens.load import load_tokenizer
from certified import make_adapter, make_base
from gguf_files import written

from .conftest import POCKET

GREEDY = Draw(temperature=0)
TEXTS = [
    "<|im_start|>user\nWhat is 3 days after 2024-02-27?<|im_end|>\n<|im_start|>assistant\n",
    "abc",
    "Zürich 🌊 hat",
    "x" * 90,
]


async def answer(engine, prompt, most=24, **more):
    return [item async for item in engine.complete(Asked(tuple(prompt), most, **{"draw": GREEDY, **more}))]


def ids(items):
    return [item.id for item in items if isinstance(item, Token)]


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(POCKET)


@pytest.fixture(scope="module")
def prompts(tokenizer):
    return [tokenizer(text, add_special_tokens=False).input_ids for text in TEXTS]


@pytest.fixture(scope="module")
def reference(pocket_file):
    engine = LlamaEngine(LlamaModel(pocket_file))
    yield engine
    engine.close()


@pytest.mark.parametrize("round", [1, 2], ids=["first", "with prompts that were read before"])
def test_answers_at_the_same_time_are_those_of_generate(llama, wait, prompts, reference, round):
    async def all_of_them():
        return await asyncio.gather(
            *(answer(llama, prompt, stop_ids=(0, 2), top_log_probs=0) for prompt in prompts * 2)
        )

    found = wait(all_of_them())
    expected = reference.generate(prompts, GenerationSpec(max_new_tokens=24), (0, 2), log_probs=True)
    for items, other in zip(found, expected * 2, strict=True):
        assert ids(items) == other.ids
        assert (items[-1].reason, items[-1].token) == (other.finish_reason, other.end)
        scored = [item.log_prob for item in (*items[:-1], items[-1]) if item.log_prob is not None]
        assert scored == pytest.approx(list(other.log_probs), abs=1e-4)
    assert {items[-1].reason for items in found} == {"stop", "length"}


def test_every_token_of_a_character_is_sent(llama, wait):
    """llama.cpp's own server leaves out tokens that end within a character."""
    items = wait(answer(llama, [1, 2, 3], 100, draw=Draw(temperature=3.0, seed=1)))
    assert len(ids(items)) == 100
    assert items[-1] == End("length")


def test_an_answer_goes_on_at_a_token_that_is_no_stop(llama, wait, prompts):
    stopped = wait(answer(llama, prompts[0], stop_ids=(2,)))
    assert stopped[-1].token == 2
    assert ids(wait(answer(llama, prompts[0], 40)))[len(stopped) - 1] == 2


def test_the_most_likely_tokens_are_those_of_the_model_alone(llama, wait, prompts, reference):
    items = wait(answer(llama, prompts[0], 1, draw=Draw(temperature=0, logit_bias={7: 100.0}), top_log_probs=3))
    [forced] = reference.log_probs([[*prompts[0], 7]], top=3)
    assert items[0].id == 7
    assert items[0].log_prob == pytest.approx(float(forced.chosen[-1]), abs=1e-4)
    assert [token for token, _ in items[0].top] == forced.ids[-1].tolist()


def test_a_text_with_a_schema_matches_it(llama, wait, tokenizer):
    schema = {
        "type": "object",
        "properties": {"unit": {"enum": ["day", "week"]}, "ok": {"type": "boolean"}},
        "required": ["unit", "ok"],
        "additionalProperties": False,
    }
    for seed in range(4):
        items = wait(answer(llama, [5, 6], 200, draw=Draw(temperature=1.0, seed=seed), schema=schema))
        assert items[-1].reason == "stop"
        value = json.loads(tokenizer.decode(ids(items)))
        assert value["unit"] in ("day", "week")
        assert isinstance(value["ok"], bool)


CALL = {
    "type": "object",
    "properties": {
        "name": {"const": "cancel_order"},
        "arguments": {
            "type": "object",
            "properties": {"order": {"type": "string"}, "customer": {"type": "string"}},
            "required": ["order", "customer"],
            "additionalProperties": False,
        },
    },
    "required": ["name", "arguments"],
    "additionalProperties": False,
}


def test_a_token_may_span_the_json_and_what_follows_it(llama, wait, tokenizer):
    """`"}}` with a line end is one token: without it the model would go on within the string."""
    text = "<|im_start|>user\nCancel order B17 of Luca Jensen.<|im_end|>\n<|im_start|>assistant\n<tool_call>\n"
    prompt = tokenizer(text, add_special_tokens=False).input_ids
    free = wait(answer(llama, prompt, 60, stop_ids=(2,)))
    assert tokenizer.decode(ids(free)).endswith('"customer": "Luca Jensen"}}\n</tool_call>')
    assert wait(answer(llama, prompt, 60, stop_ids=(2,), schema=CALL, after="\n</tool_call>")) == free


@pytest.mark.parametrize("space", ["\n", "\t", " ", "\r"])
def test_white_space_in_json_ends(llama, wait, tokenizer, space):
    """A model that likes white space best would write it until its answer is cut."""
    (token,) = tokenizer.encode(space, add_special_tokens=False)
    draw = Draw(temperature=0, logit_bias={token: 100.0})
    items = wait(answer(llama, [5, 6], 240, draw=draw, schema={"const": {"a": ' " '}}))
    text = tokenizer.decode(ids(items))
    assert items[-1].reason == "stop"
    assert json.loads(text) == {"a": ' " '}
    assert len(text) > 60


def test_bounds_with_a_point_are_kept(llama, wait, tokenizer):
    """As pydantic writes `Field(ge=0.5, lt=0.75)`."""
    schema = {"type": "number", "minimum": 0.5, "exclusiveMaximum": 0.75}
    check_schema(schema)
    found = set[float]()
    for seed in range(8):
        items = wait(answer(llama, [5, 6], 6, draw=Draw(temperature=2.0, seed=seed), schema=schema))
        found.add(float(tokenizer.decode(ids(items))))
    assert all(0.5 <= value < 0.75 for value in found)
    assert len(found) > 2


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_schema_that_the_engine_gives_up_is_an_error(llama, wait, temperature):
    """llguidance gives up where too many continuations are possible, such as the names of 900 optional properties."""
    schema = {
        "type": "object",
        "properties": {f"p{number}": {"type": "string"} for number in range(900)},
        "additionalProperties": False,
    }
    with pytest.raises(EngineError, match="gave up the JSON schema") as caught:
        wait(answer(llama, [5, 6], 200, draw=Draw(temperature=temperature, seed=1), schema=schema))
    assert caught.value.kind == "failed"
    assert wait(llama.is_ready())


@pytest.mark.parametrize("value", [{"type": "integer"}, {"const": {}}, {"type": "array"}, {}], ids=str)
def test_a_grammar_in_use_is_not_taken_for_one_that_is_given_up(pocket_file, value):
    model = LlamaModel(pocket_file, vocabulary_only=True)
    grammar, random, ends = Grammar(model, value), np.random.default_rng(0), set(model.ends())
    for _ in range(60):
        allowed = np.flatnonzero(grammar.allowed())
        token = int(random.choice(allowed))
        assert grammar.allows(token)
        if token in ends:
            break
        grammar.accept(token)
    grammar.close()


@pytest.mark.parametrize(
    "more",
    [
        {"schema": {"type": "nonsense"}},
        {"schema": {"$ref": "http://example.com/x"}},
        {"adapter": "unknown"},
        {"draw": Draw(logit_bias={10**6: 1.0})},
        {"prompt": [10**6]},
        {"prompt": [-1]},
        {"prompt": [1] * 256},
        {"prompt": []},
    ],
    ids=str,
)
def test_what_cannot_be_done_is_refused(llama, wait, more):
    with pytest.raises(EngineError) as caught:
        wait(answer(llama, more.pop("prompt", [1, 2]), **more))
    assert caught.value.kind == "refused"
    assert wait(llama.is_ready())


def test_an_answer_has_the_whole_context(llama, wait):
    async def work():
        return await asyncio.gather(
            *(answer(llama, [9 + number, 8], 10**6, draw=Draw(temperature=2.0)) for number in range(4))
        )

    for items in wait(work()):
        assert len(ids(items)) == llama.context - 2
        assert items[-1] == End("length")


def test_more_requests_than_slots_are_answered_in_turn(llama, wait):
    async def work():
        return await asyncio.gather(*(answer(llama, [20 + number], 8) for number in range(20)))

    assert [len(ids(items)) for items in wait(work())] == [8] * 20


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    folder = tmp_path_factory.mktemp("family")
    base = make_base(folder / "base")
    return base, [make_adapter(base, folder / f"adapter-{seed}", seed) for seed in (1, 2)]


def test_adapters_by_name_are_loaded_and_unloaded_under_load(family, tmp_path, wait):
    from burnish.export.gguf.adapter import write_adapter

    base, folders = family
    file, _ = written(base, tmp_path / "base.gguf")
    files = [tmp_path / f"{number}.gguf" for number in range(2)]
    for path, folder in zip(files, folders, strict=True):
        write_adapter(path, folder, path.stem)
    prompts = [[5, 6, 7, 8], [9, 10]]

    def alone(*adapters):
        engine = LlamaEngine(LlamaModel(file, adapters=adapters))
        found = [one.ids for one in engine.generate(prompts, GenerationSpec(max_new_tokens=40), ())]
        engine.close()
        return found

    expected = {None: alone(), "first": alone(files[0]), "second": alone(files[1])}
    assert len({str(found) for found in expected.values()}) == 3
    engine = llama_engine(file, tmp_path / "log", context=128, slots=3, threads=1, adapters={"first": files[0]})

    async def ask(name):
        return [ids(await answer(engine, prompt, 40, adapter=name, stop_ids=(0, 2))) for prompt in prompts]

    async def work():
        await engine.open()
        under_way = [asyncio.create_task(ask(name)) for name in (None, "first", None)]
        await asyncio.sleep(0.02)
        await engine.add_adapter("second", files[1])
        found = await asyncio.gather(*under_way, ask("second"), ask("first"), ask(None))
        assert found == [expected[name] for name in (None, "first", None, "second", "first", None)]
        under_way = engine.complete(Asked(tuple(prompts[0]), 40, GREEDY, (0, 2), adapter="first"))
        first = await anext(under_way)
        await engine.remove_adapter("first")
        assert ids([first, *[item async for item in under_way]]) == expected["first"][0]
        with pytest.raises(EngineError, match="no adapter 'first'"):
            await ask("first")
        with pytest.raises(EngineError, match="there is an adapter 'second'"):
            await engine.add_adapter("second", files[1])
        with pytest.raises(EngineError, match=r"llama\.cpp cannot put the adapter"):
            await engine.add_adapter("third", base / "config.json")
        return await ask("second")

    try:
        assert wait(work()) == expected["second"]
    finally:
        wait(engine.close())


def test_a_file_that_is_no_model_is_reported(tmp_path, wait):
    from burnish.core.errors import RunError

    file = tmp_path / "x.gguf"
    file.write_bytes(np.arange(100, dtype=np.int8).tobytes())
    with pytest.raises(RunError, match=r"llama\.cpp cannot load .*x\.gguf"):
        wait(llama_engine(file, tmp_path / "log", context=64, slots=1, threads=1).open())


def started(decoder, prompt, most):
    decoder.add(
        1, {"prompt": prompt, "draw": {"temperature": 0.0, "logit_bias": {}}, "max_tokens": most, "stop_ids": []}
    )


def finished(decoder):
    news = News()
    while decoder.has_work():
        decoder.step(news)
    assert not news.errors
    return [token for _, token, *_ in news.tokens]


def test_an_adapter_without_memory_for_it_leaves_the_answers_under_way(family, tmp_path, monkeypatch):
    from burnish.export.gguf.adapter import write_adapter

    base, [folder, _] = family
    file, _ = written(base, tmp_path / "base.gguf")
    write_adapter(tmp_path / "adapter.gguf", folder, "adapter")
    adapter = {"name": "adapter", "path": str(tmp_path / "adapter.gguf")}
    decoder = LlamaDecoder(file, context=128, slots=2, threads=1, adapters={})
    started(decoder, [5, 6, 7], 30)
    expected = finished(decoder)

    started(decoder, [5, 6, 7], 30)
    begun = News()
    decoder.step(begun)
    for failures in (1, 2):
        faults = iter(["no memory"] * failures)

        def context(*arguments, faults=faults, **settings):
            for fault in faults:
                raise MachineError("machine.no-memory", fault, "")
            return ParallelContext(*arguments, **settings)

        monkeypatch.setattr(llama_process, "ParallelContext", context)
        with pytest.raises(MachineError if failures == 1 else SystemExit, match="no memory"):
            decoder.command("add_adapter", adapter)
        if failures == 1:
            assert [token for _, token, *_ in begun.tokens] + finished(decoder) == expected
            decoder.command("add_adapter", adapter)
            decoder.command("remove_adapter", {"name": "adapter"})


def test_an_unload_while_the_engine_restarts_changes_nothing(family, tmp_path, wait):
    from burnish.export.gguf.adapter import write_adapter

    base, [folder, _] = family
    file, _ = written(base, tmp_path / "base.gguf")
    write_adapter(tmp_path / "adapter.gguf", folder, "adapter")
    adapters = {"adapter": tmp_path / "adapter.gguf"}
    engine = llama_engine(file, tmp_path / "log", context=64, slots=1, threads=1, adapters=adapters)

    async def work():
        await engine.open()
        os.kill(engine.process_id, signal.SIGKILL)
        while engine.process_id is not None:
            await asyncio.sleep(0.01)
        with pytest.raises(EngineError) as caught:
            await engine.remove_adapter("adapter")
        assert caught.value.kind == "unavailable"
        while not await engine.is_ready():
            await asyncio.sleep(0.05)
        assert len(ids(await answer(engine, [5], 4, adapter="adapter"))) == 4
        await engine.remove_adapter("adapter")
        await engine.add_adapter("adapter", adapters["adapter"])

    try:
        wait(work())
    finally:
        wait(engine.close())


def test_a_cancelled_request_frees_its_grammar(pocket_file):
    decoder = LlamaDecoder(pocket_file, context=64, slots=1, threads=1, adapters={})
    draw = {"temperature": 0.0, "logit_bias": {}}
    for number in range(3):
        request = {"prompt": [5], "schema": {"type": "object"}, "draw": draw, "max_tokens": 60, "stop_ids": []}
        decoder.add(number, request)
    memory = [request.grammar._freed for request in decoder._waiting]
    decoder.step(News())  # the first has the slot
    for number in (2, 0, 1):
        assert memory[number].alive
        decoder.cancel(number)
        assert not memory[number].alive
    assert not decoder.has_work()


def test_a_grammar_that_nothing_refers_to_is_freed(pocket_file):
    memory = Grammar(LlamaModel(pocket_file, vocabulary_only=True), {"type": "object"})._freed
    assert not memory.alive
