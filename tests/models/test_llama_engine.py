"""The engine of llama.cpp against that of transformers, on the same weights."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from burnish.core.errors import DataError, ModelError
from burnish.models.engines.forced import forced_log_probs
from burnish.models.engines.llama.engine import LlamaEngine
from burnish.models.engines.llama.model import LlamaModel
from burnish.models.engines.transformers import TransformersEngine
from burnish.models.load import load_model
from burnish.specs.evals import GenerationSpec
from burnish.testing import tiny_model
from burnish.tokens.load import load_tokenizer
from gguf_files import written

LENGTHS = [3, 30, 11, 57, 4]
PROMPTS = [
    torch.randint(3, 250, (length,), generator=torch.Generator().manual_seed(number)).tolist()
    for number, length in enumerate(LENGTHS)
]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("base"), initializer_range=0.4)


@pytest.fixture(scope="module")
def file(base):
    return written(base, base / "x.gguf")[0]


@pytest.fixture(scope="module")
def engine(file):
    made = LlamaEngine(LlamaModel(file))
    yield made
    made.close()


@pytest.fixture(scope="module")
def twin(base):
    return TransformersEngine(load_model(base), load_tokenizer(base))


@pytest.mark.parametrize(
    "spec",
    [
        GenerationSpec(max_new_tokens=24),
        GenerationSpec(max_new_tokens=24, temperature=0.9, top_p=0.8, top_k=40, seed=3),
    ],
    ids=["greedy", "sampled"],
)
def test_answers_are_those_of_transformers(engine, twin, spec):
    stops = (2, 77, 130)
    expected = twin.generate(PROMPTS, spec, (*stops, 0), log_probs=True)  # llama.cpp ends at <|endoftext|>, too

    found = engine.generate(PROMPTS, spec, stops, log_probs=True)

    assert [(answer.ids, answer.finish_reason, answer.end) for answer in found] == [
        (answer.ids, answer.finish_reason, answer.end) for answer in expected
    ]
    assert [answer.text for answer in found] == [answer.text for answer in expected]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.log_probs == pytest.approx(theirs.log_probs, abs=1e-3)
    assert len({answer.finish_reason for answer in found}) == 2


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16", "Q8_0", "Q4_0"])
def test_an_answer_does_not_depend_on_the_other_prompts(base, kind, tmp_path):
    engine = LlamaEngine(LlamaModel(written(base, tmp_path / "x.gguf", kind)[0]))
    spec = GenerationSpec(max_new_tokens=16, temperature=0.9, seed=4)
    together = engine.generate([*PROMPTS, *PROMPTS[:2]], spec, (2, 77), log_probs=True)
    fewer = engine.generate(PROMPTS, spec.model_copy(update={"batch_size": 2}), (2, 77), log_probs=True)
    for prompt, one, two in zip(PROMPTS, together, fewer, strict=False):
        [alone] = engine.generate([prompt], spec, (2, 77), log_probs=True)
        for found in (one, two):
            assert (found.ids, found.end, found.finish_reason) == (alone.ids, alone.end, alone.finish_reason)
            assert found.log_probs == pytest.approx(alone.log_probs, abs=1e-5 if kind == "F32" else 1e-6)
    engine.close()


def test_many_prompts_are_read_in_parts_that_fit(engine, monkeypatch):
    from burnish.models.engines.llama import model

    spec = GenerationSpec(max_new_tokens=6)
    whole = engine.generate(PROMPTS, spec, (2,))
    monkeypatch.setattr(model, "_MOST_PLACES", 80)
    done = []
    assert engine.generate(PROMPTS, spec, (2,), lambda count, total: done.append(count)) == whole
    assert done[0] == 0
    assert len(done) > 3
    assert done[-1] == len(PROMPTS)


def test_a_context_that_ends_before_the_longest_answer_is_a_warning_once(file):
    events = []
    engine = LlamaEngine(LlamaModel(file), events.append)
    spec = GenerationSpec(max_new_tokens=engine.context)
    for _ in range(2):
        engine.generate([[3, 4]], spec, range(engine._model.vocabulary))
    [note] = events
    assert note.level == "warning"
    assert note.text.endswith("answers end there")


def test_the_pieces_of_a_stream_add_up_to_the_answer(engine):
    spec = GenerationSpec(max_new_tokens=40, temperature=1.0, seed=5)
    for prompt in PROMPTS:
        [answer] = engine.generate([prompt], spec, (2,))
        assert "".join(engine.stream(prompt, spec, (2,))) == answer.text


def test_an_answer_ends_with_a_text(engine):
    spec = GenerationSpec(max_new_tokens=30)
    [whole] = engine.generate(PROMPTS[:1], spec, ())
    end = engine.decode(whole.ids[:6])[-2:]
    [part] = engine.generate(PROMPTS[:1], spec, (), until=[end])
    assert part.finish_reason == "stop"
    assert part.ids == whole.ids[: len(part.ids)]
    assert part.text.endswith(end)
    assert len(part.ids) <= 6


def test_log_probs_are_those_of_transformers(base, engine):
    rows = [*PROMPTS, [7]]
    expected = list(forced_log_probs(load_model(base), rows, top=5))
    for ours, theirs in zip(engine.log_probs(rows, top=5), expected, strict=True):
        np.testing.assert_allclose(ours.chosen, theirs.chosen, atol=1e-4)
        np.testing.assert_allclose(ours.log_probs, theirs.log_probs, atol=1e-4)
        assert np.array_equal(ours.ids, theirs.ids)
        assert np.array_equal(ours.top, theirs.top)
        assert ours.vocabulary == theirs.vocabulary
    asked = [row.ids for row in expected]
    for ours, theirs in zip(engine.log_probs(rows, at=asked), expected, strict=True):
        np.testing.assert_allclose(ours.log_probs, theirs.log_probs, atol=1e-4)


def test_a_row_longer_than_one_call_of_llama_cpp(base, engine, monkeypatch):
    from burnish.models.engines.llama import model

    [row] = torch.randint(3, 250, (1, 120), generator=torch.Generator().manual_seed(8)).tolist()
    [whole] = engine.log_probs([row])
    monkeypatch.setattr(model, "_MOST_TOKENS", 7)
    fresh = LlamaEngine(LlamaModel(base / "x.gguf"))
    [parts] = fresh.log_probs([row])
    fresh.close()
    np.testing.assert_allclose(parts.chosen, whole.chosen, atol=1e-4)


def test_ids_and_lengths_that_do_not_fit_are_refused(engine):
    spec = GenerationSpec(max_new_tokens=2)
    for prompt in ([], [264], [-1]):
        with pytest.raises(ModelError, match="empty or has ids outside"):
            engine.generate([prompt], spec, ())
        with pytest.raises(ModelError, match="empty or has ids outside"):
            list(engine.log_probs([prompt]))
    with pytest.raises(DataError, match="the model's context is 512"):
        engine.generate([[5] * 512], spec, ())
    with pytest.raises(DataError, match="the model's context is 512"):
        list(engine.log_probs([[5] * 514]))
    [full] = engine.generate([[5] * 511], spec, ())
    assert len(full.ids) + (full.end is not None) == 1


def test_a_file_that_is_no_gguf_is_refused(tmp_path, file):
    (tmp_path / "x.gguf").write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"llama.cpp cannot load .*x.gguf: ") as caught:
        LlamaModel(tmp_path / "x.gguf")
    assert caught.value.code == "model.broken"
    (tmp_path / "cut.gguf").write_bytes(file.read_bytes()[:-4096])
    with pytest.raises(ModelError, match=r"llama.cpp cannot load .*cut.gguf: "):
        LlamaModel(tmp_path / "cut.gguf")


def test_another_version_of_the_package_is_refused(monkeypatch):
    from importlib import metadata

    from burnish.core.errors import MachineError
    from burnish.models.engines.llama.library import library

    library.cache_clear()
    monkeypatch.setattr(metadata, "version", lambda name: "1999.1.1")
    with pytest.raises(MachineError, match=r"xllamacpp is 1999.1.1, and burnish calls the C library of") as caught:
        library()
    assert "pip install" in caught.value.fix
    monkeypatch.undo()
    library.cache_clear()
    library()


def test_the_threads_of_llama_cpp_soon_sleep_while_they_wait():
    settings = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    environment = {name: value for name, value in os.environ.items() if name not in settings}
    code = (
        "from burnish.models.engines.llama.library import library; library(); print(os.environ.get('OMP_WAIT_POLICY'))"
    )
    found = subprocess.run(
        [sys.executable, "-c", f"import os; {code}"],
        env={**environment, "OMP_DISPLAY_ENV": "verbose"},
        capture_output=True,
        text=True,
        check=True,
    )
    if "GOMP_SPINCOUNT" not in found.stderr:
        pytest.skip("llama.cpp of this machine does not use GNU's OpenMP")
    assert "GOMP_SPINCOUNT = '3000'" in found.stderr
    assert found.stdout.strip() == "None", "the setting stays in the environment, and torch and children get it"


def test_an_assertion_of_llama_cpp_is_an_error_with_its_file_at_once(base, tmp_path):
    path, _ = written(base, tmp_path / "x.gguf")
    content, key = path.read_bytes(), b"qwen3.rope.dimension_count"
    value = content.index(key) + len(key) + 4
    path.write_bytes(content[:value] + (3).to_bytes(4, "little") + content[value + 4 :])
    code = "import sys; from pathlib import Path; from burnish.models.engines.llama.model import LlamaModel as M; "
    ended = subprocess.run(
        [sys.executable, "-c", f"{code} M(Path(sys.argv[1])).start(4)", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == ModelError.exit_status
    assert f"error: llama.cpp gave up over {path}: " in ended.stderr
    assert "GGML_ASSERT(n_embd_head == n_rot) failed" in ended.stderr
    assert "gdb" not in ended.stderr
