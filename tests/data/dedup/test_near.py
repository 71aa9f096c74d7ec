"""Near duplicates are those that a comparison of all pairs finds, whatever the parts."""

import pickle
import random
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.data.dedup.components import components
from burnish.data.dedup.incremental import NearDuplicates
from burnish.data.dedup.minhash import Scheme, Signed
from burnish.data.dedup.near import SignedTexts, estimates, groups, jaccard
from burnish.data.dedup.stored import OpenFiles, read_signed, write_signed

WORDS = {"en": [f"word{i}" for i in range(400)], "zh": [chr(0x4E00 + i) for i in range(400)]}


def plain_jaccard(one, other, size=5):
    sets = [{tuple(words[i : i + size]) for i in range(max(1, len(words) - size + 1))} for words in (one, other)]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def corpus(language, seed=0):
    """60 texts as lists of words: 20 bases, each with a slightly and a heavily changed copy."""
    r = random.Random(seed)
    texts = []
    for _ in range(20):
        base = r.choices(WORDS[language], k=r.randint(40, 120))
        for changes in (0, 1, 25):
            copy = list(base)
            for _ in range(changes):
                copy[r.randrange(len(copy))] = r.choice(WORDS[language])
            texts.append(copy)
    return texts


def joined(texts, language):
    return [("" if language == "zh" else " ").join(words) for words in texts]


def found_groups(texts, scheme, parts=1):
    cuts = np.array_split(np.arange(len(texts)), parts)
    return groups(SignedTexts([scheme.sign([texts[i] for i in cut]) for cut in cuts]), scheme).tolist()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_groups_are_those_of_a_comparison_of_all_pairs(language):
    texts = corpus(language)
    near = [pair for pair in combinations(range(len(texts)), 2) if plain_jaccard(*(texts[i] for i in pair)) >= 0.75]
    assert len(near) > 15
    assert found_groups(joined(texts, language), Scheme()) == components(len(texts), np.array(near)).tolist()


@pytest.mark.parametrize("parts", [2, 7, 60])
def test_groups_do_not_depend_on_the_parts(parts):
    texts = joined(corpus("en"), "en")
    assert found_groups(texts, Scheme(), parts) == found_groups(texts, Scheme())


def test_of_a_large_group_all_are_found():
    """Larger than the neighbours that are paired: the rest is paired with the first."""
    base = corpus("en")[0]
    texts = joined([[*base, f"end{i}"] for i in range(300)], "en")
    assert found_groups(["other words that stand alone here", *texts], Scheme()) == [0, *[1] * 300]


def test_case_and_punctuation_do_not_matter_and_texts_without_words_are_left_alone():
    texts = ["One, two; THREE four five six!", "one two three four five six", "…", "…", ""]
    assert found_groups(texts, Scheme()) == [0, 0, 2, 3, 4]


def test_texts_that_are_left_out_are_in_no_group():
    texts, scheme = ["a b c d e f g"] * 3, Scheme()
    signed = SignedTexts([scheme.sign(texts)])
    assert groups(signed, scheme, np.array([False, True, True])).tolist() == [0, 1, 1]


def test_estimates_are_near_the_similarity():
    texts = corpus("en")
    signed = SignedTexts([Scheme().sign(joined(texts, "en"))])
    pairs = np.array([(i, i + 1) for i in range(0, 60, 3)])
    errors = estimates(pairs, signed) - [plain_jaccard(texts[i], texts[j]) for i, j in pairs]
    assert np.abs(errors).max() < 0.2
    assert abs(errors.mean()) < 0.03


def test_the_exact_similarity_is_that_of_the_sets():
    texts = corpus("en")
    signed = SignedTexts([Scheme().sign(joined(texts, "en"))])
    for i, j in combinations(range(9), 2):
        assert jaccard(signed.shingles(i), signed.shingles(j)) == plain_jaccard(texts[i], texts[j])


def test_a_lower_threshold_finds_more():
    texts = joined(corpus("en"), "en")
    counts = [len(set(found_groups(texts, Scheme(threshold=t, bands=28, rows=4)))) for t in (0.9, 0.7, 0.05)]
    assert counts[0] >= counts[1] > counts[2]


def test_character_shingles_find_texts_that_differ_in_every_word():
    texts = ["internationalization of localisations", "internationalizations of localisation", "nothing of that kind"]
    assert found_groups(texts, Scheme(unit="characters", size=4, threshold=0.7, bands=28, rows=4)) == [0, 0, 2]
    assert found_groups(texts, Scheme(size=1)) == [0, 1, 2]


def test_signed_texts_are_the_same_on_the_disk(tmp_path):
    signed = Scheme().sign(joined(corpus("zh"), "zh"))
    write_signed(tmp_path / "0", signed)
    stored = read_signed(tmp_path / "0", OpenFiles())
    assert np.array_equal(signed.signatures, stored.signatures)
    assert np.array_equal(signed.keys, stored.keys)
    assert np.array_equal(signed.bounds, stored.bounds)
    assert np.array_equal(signed.shingles[5:90], stored.shingles[5:90])
    behind = Signed.from_arrow(signed.to_arrow(before=7), signed.shingles, before=7)
    assert np.array_equal(signed.bounds + 7, behind.bounds)


def test_open_files_are_opened_anew_where_they_are_unpickled(tmp_path):
    (tmp_path / "a").write_bytes(b"first")
    (tmp_path / "b").write_bytes(b"other")
    files = OpenFiles()
    assert files.read(tmp_path / "a", 5, 0) == b"first"
    sent = pickle.dumps(files)
    del files  # closes its file, whose number the next one gets
    with (tmp_path / "b").open("rb"):
        received = pickle.loads(sent)
        assert received.read(tmp_path / "a", 5, 0) == b"first"
        del received
        assert (tmp_path / "b").read_bytes() == b"other"


def test_no_texts_have_no_groups():
    assert groups(SignedTexts([Scheme().sign([])]), Scheme()).tolist() == []
    assert groups(SignedTexts([]), Scheme()).tolist() == []


def test_one_by_one_the_same_are_found_as_at_once():
    texts = joined(corpus("en"), "en")
    labels = found_groups(texts, Scheme())
    seen = NearDuplicates()
    assert [seen.add(text) for text in texts] == [labels[i] == i for i in range(len(texts))]
    assert len(seen) == len(set(labels))


def test_a_text_without_words_is_new_once():
    seen = NearDuplicates(["a b c"])
    assert [seen.add(text) for text in ("…", "…", "A b c!")] == [True, False, False]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=40))
def test_components_are_those_of_a_plain_search(pairs):
    labels = list(range(30))
    for _ in range(30):
        for one, other in pairs:
            labels[one] = labels[other] = min(labels[one], labels[other])
    assert components(30, np.array(pairs, np.int64).reshape(-1, 2)).tolist() == labels
