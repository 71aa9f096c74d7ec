"""Tokenizers of the families, with their own vocabularies where a package carries one, on 10,000 strings each."""

import pytest

from burnish.export.gguf.proof import prove_tokenizer
from burnish.models.engines.llama.model import LlamaModel
from burnish.stages.models.tokenizers import tokenizer_of
from burnish.tokens.load import load_tokenizer
from family_folders import FAMILIES, WHOLE
from gguf_files import written


@pytest.fixture(scope="module", params=[*FAMILIES, *(pytest.param(name, marks=pytest.mark.torture) for name in WHOLE)])
def made(request, tmp_path_factory):
    """A family, its folder, and its GGUF file."""
    base = (FAMILIES | WHOLE)[request.param](tmp_path_factory.mktemp(request.param))
    return request.param, base, written(base, base / "x.gguf", "Q8_0")[0]


def test_llama_cpp_gives_the_tokens_of_the_family(made):
    family, base, file = made
    model = LlamaModel(file, vocabulary_only=True)
    proof = prove_tokenizer(model, load_tokenizer(base), strings=10_000)
    assert (proof.strings, proof.conversations > 20) == (10_000, True)
    assert proof.normalization == ("NFC" if family == "qwen2" else "")


def test_the_tokenizer_made_from_a_file_is_that_of_its_model(made):
    _, base, file = made
    ours, theirs = tokenizer_of(file), load_tokenizer(base)
    assert ours.chat_template == theirs.chat_template
    assert (ours.eos_token, ours.bos_token) == (theirs.eos_token, theirs.bos_token)
    for text in ("Hello, Zürich! 12345", "天气很好 🙂", f"{theirs.eos_token}a", "  two  spaces\n\n", "x"):
        ids = theirs(text)["input_ids"]
        assert ours(text)["input_ids"] == ids
        assert ours.decode(ids) == theirs.decode(ids)
