"""Likelihoods against a plain loop with the loss of transformers, and bytes against the text."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from burnish.evals.perplexity import Likelihood, learned_bytes, likelihoods
from burnish.models.load import load_model
from burnish.testing import tiny_model

TEXT = ["Grüße aus Köln", "ok", "a longer row, with more words than the others", "你好 world", "x"]


@dataclass(frozen=True)
class Rendered:
    ids: np.ndarray
    weights: np.ndarray


def rendered(tokenizer: Any, text: str, learned: slice = slice(1, None), weight: float = 1.0) -> Rendered:
    ids = np.array(tokenizer(text)["input_ids"], dtype=np.int32)
    weights = np.zeros(len(ids), dtype=np.float32)
    weights[learned] = weight
    weights[0] = 0.0
    return Rendered(ids, weights)


@pytest.fixture(scope="module", params=["qwen3", "gpt2", "gemma2"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    from transformers import AutoTokenizer

    folder = tiny_model(tmp_path_factory.mktemp(request.param), request.param)
    return load_model(folder), AutoTokenizer.from_pretrained(folder)


def measured(model: Any, tokenizer: Any, rows: list[Rendered], batch_tokens: int) -> dict[int, Likelihood]:
    return dict(likelihoods(model, tokenizer, rows, batch_tokens=batch_tokens))


def plain_loss(model: Any, row: Rendered) -> tuple[float, int]:
    """The loss of transformers for one row, times its learned tokens."""
    labels = torch.where(torch.tensor(row.weights) > 0, torch.tensor(row.ids, dtype=torch.long), -100)
    ids = torch.tensor(row.ids, dtype=torch.long)[None]
    learned = int((labels != -100).sum())
    with torch.no_grad():
        return model(input_ids=ids, labels=labels[None]).loss.item() * learned, learned


def test_the_likelihood_equals_the_loss_of_transformers(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    rows = [rendered(tokenizer, text, slice(len(text) // 2, None)) for text in TEXT[:-1]]
    found = measured(model, tokenizer, rows, batch_tokens=128)
    for index, row in enumerate(rows):
        nats, tokens = plain_loss(model, row)
        assert found[index].tokens == tokens
        assert found[index].nats == pytest.approx(nats, rel=1e-5)


def test_the_likelihood_is_the_same_for_any_batch(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    rows = [rendered(tokenizer, text) for text in TEXT]
    alone = measured(model, tokenizer, rows, batch_tokens=1)
    for batch_tokens in (64, 100, 4096):
        together = measured(model, tokenizer, rows, batch_tokens)
        assert together.keys() == alone.keys()
        for index, likelihood in together.items():
            assert likelihood.nats == pytest.approx(alone[index].nats, rel=1e-6)


def test_a_row_without_learned_tokens_is_skipped(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    rows = [rendered(tokenizer, "abc"), rendered(tokenizer, "abc", slice(0, 0)), rendered(tokenizer, "a")]
    assert list(measured(model, tokenizer, rows, 64)) == [0]


def test_a_token_counts_with_its_weight(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    [whole] = measured(model, tokenizer, [rendered(tokenizer, "abcdef")], 64).values()
    [half] = measured(model, tokenizer, [rendered(tokenizer, "abcdef", weight=0.5)], 64).values()
    assert half == Likelihood(pytest.approx(whole.nats / 2), whole.tokens / 2, whole.bytes / 2)
    assert half.perplexity == pytest.approx(whole.perplexity)
    assert half.bits_per_byte == pytest.approx(whole.bits_per_byte)


def test_tokens_of_several_weights_in_one_row_each_count_with_their_own(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    row = rendered(tokenizer, "abcdefghijkl")  # a token is a letter, and a byte
    row.weights[1:] = np.resize(np.array([0.5, 0.5, 1.0, 0.0, 0.25, 2.0], np.float32), len(row.weights) - 1)
    ids = torch.tensor(row.ids, dtype=torch.long)
    with torch.no_grad():
        nats = -model(input_ids=ids[None]).logits[0].log_softmax(-1)[:-1].gather(1, ids[1:, None])[:, 0]
    [found] = measured(model, tokenizer, [row], 64).values()
    assert found.nats == pytest.approx(float((nats * torch.tensor(row.weights[1:])).sum()), rel=1e-5)
    assert found.tokens == found.bytes == pytest.approx(float(row.weights.sum()))


def test_bytes_are_those_of_the_learned_text_without_special_tokens(loaded: tuple[Any, Any]) -> None:
    _, tokenizer = loaded
    row = rendered(tokenizer, "Köln: 你好<|im_end|>", slice(0, None))
    row.weights[0] = 1.0
    assert learned_bytes(tokenizer, row) == len("Köln: 你好".encode())
    row.weights[:7] = 0.0  # "Köln: " without its last byte
    assert learned_bytes(tokenizer, row) == len("你好".encode())


def test_sums_are_taken_before_dividing() -> None:
    total = Likelihood(2 * math.log(2), 2, 4) + Likelihood(6 * math.log(4), 6, 12)
    assert total.perplexity == pytest.approx(2 ** ((2 + 12) / 8))
    assert total.bits_per_byte == pytest.approx(14 / 16)
    assert Likelihood(1e6, 1, 1).perplexity == math.inf


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    from transformers import AutoTokenizer

    folder = tiny_model(tmp_path_factory.mktemp("plain"))
    return load_model(folder), AutoTokenizer.from_pretrained(folder)


@pytest.fixture
def watched(plain: tuple[Any, Any]) -> Any:
    """The model, its tokenizer, and the inputs and logits of each forward pass."""
    model, tokenizer = plain
    passes: list[tuple[dict[str, Any], torch.Tensor]] = []
    hook = model.register_forward_hook(
        lambda _, args, inputs, found: passes.append((inputs, found.logits)), with_kwargs=True
    )
    yield model, tokenizer, passes
    hook.remove()


def test_the_longest_rows_come_first_in_batches_of_as_many_tokens_as_allowed(watched: Any) -> None:
    model, tokenizer, passes = watched
    lengths = [3, 8, 2, 5, 8, 13, 4, 2]
    rows = [rendered(tokenizer, "x" * length) for length in lengths]
    found = [index for index, _ in likelihoods(model, tokenizer, rows, batch_tokens=12)]
    assert found == [5, 1, 4, 3, 6, 0, 2, 7]  # those of one length in their order
    shapes = [tuple(inputs["input_ids"].shape) for inputs, _ in passes]
    assert shapes == [(1, 13), (1, 8), (1, 8), (2, 5), (3, 3)]
    assert list(likelihoods(model, tokenizer, [])) == []


def test_padding_is_masked_and_only_the_logits_before_learned_tokens_are_computed(watched: Any) -> None:
    model, tokenizer, passes = watched
    rows = [rendered(tokenizer, "abcdef", slice(4, None)), rendered(tokenizer, "abcd", slice(3, None))]
    list(likelihoods(model, tokenizer, rows))
    [(inputs, logits)] = passes
    ids = [row.ids.tolist() for row in rows]
    assert inputs["input_ids"].tolist() == [ids[0], [*ids[1], 0, 0]]
    assert inputs["attention_mask"].tolist() == [[1] * 6, [1] * 4 + [0] * 2]
    assert inputs["attention_mask"].dtype == torch.long
    assert inputs["use_cache"] is False
    assert logits.shape[:2] == (2, 3)  # before the tokens 3, 4 and 5


def test_a_model_that_computes_all_logits_gives_the_same_likelihoods(plain: tuple[Any, Any], monkeypatch: Any) -> None:
    model, tokenizer = plain
    rows = [rendered(tokenizer, "abcdef", slice(4, None)), rendered(tokenizer, "abcd", slice(1, 3))]
    expected = measured(model, tokenizer, rows, 64)

    class WithoutSelection(type(model)):
        def forward(self, input_ids: Any, attention_mask: Any, use_cache: bool) -> Any:
            return super().forward(input_ids=input_ids, attention_mask=attention_mask, use_cache=use_cache)

    monkeypatch.setattr(model, "__class__", WithoutSelection)
    found = measured(model, tokenizer, rows, 64)
    assert found.keys() == expected.keys() == {0, 1}
    for index, likelihood in found.items():
        assert likelihood.nats == pytest.approx(expected[index].nats, rel=1e-6)


def test_the_softmax_is_in_float32_whatever_the_model(tmp_path: Any) -> None:
    from transformers import AutoTokenizer

    folder = tiny_model(tmp_path, dtype="bfloat16")
    model, tokenizer = load_model(folder, dtype=torch.bfloat16), AutoTokenizer.from_pretrained(folder)
    row = rendered(tokenizer, "abcdefghijkl", weight=0.1)
    with torch.no_grad():
        logits = model(input_ids=torch.tensor(row.ids, dtype=torch.long)[None]).logits[0, :-1]
    assert logits.dtype == torch.bfloat16
    nats = -logits.double().log_softmax(-1).gather(1, torch.tensor(row.ids[1:, None], dtype=torch.long)).sum()
    [found] = measured(model, tokenizer, [row], 64).values()
    weight = float(np.float32(0.1))
    assert found.nats == pytest.approx(float(nats) * weight, rel=1e-6)
    assert found.tokens == pytest.approx(11 * weight, rel=1e-14)  # summed in float64


def test_blanks_before_signs_are_counted() -> None:
    """Decoders of words may clean them up."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = ["a", ",", "b", "."]
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="a"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, clean_up_tokenization_spaces=True)
    assert tokenizer.decode([0, 1, 2, 3]) == "a, b."
    row = Rendered(np.arange(4), np.array([0.0, 1.0, 1.0, 1.0]))
    assert learned_bytes(tokenizer, row) == len("a , b .") - len("a")
