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
