"""A text is dropped only for a kept one that is as similar as the threshold says, in the order that was asked for."""

import numpy as np
import pytest

from burnish.data.dedup.cover import cover
from burnish.data.dedup.minhash import Scheme
from burnish.data.dedup.near import SignedTexts, groups, jaccard

WORDS = [f"word{i}" for i in range(2000)]


def texts_of(seed=0, count=150):
    """Chains: each text is the one before with some words replaced, or a new one."""
    random = np.random.default_rng(seed)
    texts = []
    for i in range(count):
        words = list(random.choice(WORDS, 60)) if i % 6 == 0 else list(texts[-1])
        if i % 6:
            words[random.integers(60)] = str(random.choice(WORDS))
        texts.append(words)
    return [" ".join(words) for words in texts]


def plain_cover(signed, scheme, order):
    """The same by comparing each text with all that are kept."""
    kept = []
    for text in order:
        if all(jaccard(signed.shingles(text), signed.shingles(other)) < scheme.threshold for other in kept):
            kept.append(text)
    return set(kept)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("is_reversed", [False, True])
def test_what_is_kept_is_what_a_comparison_with_all_kept_texts_keeps(seed, is_reversed):
    scheme = Scheme(bands=40, rows=4)
    signed = SignedTexts([scheme.sign(texts_of(seed))])
    order = np.arange(len(signed))[:: -1 if is_reversed else 1]
    kept = cover(signed, scheme, order)
    assert set(np.flatnonzero(kept == np.arange(len(signed)))) == plain_cover(signed, scheme, order.tolist())
    for text in np.flatnonzero(kept != np.arange(len(signed))):
        assert kept[kept[text]] == kept[text]
        assert jaccard(signed.shingles(text), signed.shingles(kept[text])) >= scheme.threshold


def test_of_a_chain_more_is_kept_than_of_a_component():
    scheme = Scheme(bands=40, rows=4)
    signed = SignedTexts([scheme.sign(texts_of())])
    kept = cover(signed, scheme, np.arange(len(signed)))
    assert len(set(kept.tolist())) > len(set(groups(signed, scheme).tolist()))


def test_texts_that_are_left_out_are_kept_and_drop_none():
    scheme = Scheme()
    signed = SignedTexts([scheme.sign(["a b c d e f g"] * 3)])
    assert cover(signed, scheme, np.arange(1, 3)).tolist() == [0, 1, 1]


def test_of_a_large_group_one_is_kept_whatever_the_order():
    """Larger than the neighbours that are paired: each is compared with the first in the order, too."""
    scheme, base = Scheme(), " ".join(WORDS[:60])
    signed = SignedTexts([scheme.sign([f"{base} end{i}" for i in range(300)])])
    order = np.random.default_rng(0).permutation(300)
    assert set(cover(signed, scheme, order).tolist()) == {int(order[0])}


def test_texts_that_differ_in_one_word_are_no_duplicates_at_the_highest_threshold():
    """However long they are, and though their signatures may agree in all places."""
    scheme = Scheme(threshold=1.0)
    words = [f"{word}{i}" for i in range(20) for word in WORDS]
    texts = [" ".join(words), " ".join([*words, "more"]), " ".join(words)]
    signed = SignedTexts([scheme.sign(texts)])
    assert (signed.signatures(np.array([0])) == signed.signatures(np.array([1]))).all()
    assert cover(signed, scheme, np.arange(3)).tolist() == [0, 1, 0]
