"""The corpus with planted duplicates: its truth is true, it is the same each time; and the score of what is removed."""

import json
import random

import pytest
from corpora.build import build
from corpora.planted import KINDS, recombined
from corpora.score import Corpus
from corpora.shingles import WORD, jaccard, shingles
from corpora.twice import CIPHER, write_twice

NOUNS = [f"{first}{second}" for first in ("ka", "lo", "mi", "ne", "pu", "ra") for second in "bcdfghjklmnpqrstvwxz"]
CHARACTERS = [chr(0x4E00 + 7 * number) for number in range(400)]


def document(number: int, chinese: bool = False) -> str:
    rand = random.Random(number)
    paragraphs = []
    for _ in range(rand.randint(6, 12)):
        if chinese:
            paragraphs.append("。".join("".join(rand.choices(CHARACTERS, k=30)) for _ in range(6)) + "。")
        else:
            paragraphs.append(" ".join(f"The {' '.join(rand.choices(NOUNS, k=9))}." for _ in range(6)))
    return "\n\n".join(paragraphs)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    for number in range(120):
        (folder / f"text{number:03}.txt").write_text(document(number), encoding="utf-8")
        if number < 40:
            (folder / f"text{number:03}.zh.txt").write_text(document(1000 + number, chinese=True), encoding="utf-8")
    for name in ("corpus", "again"):
        build([folder], folder / name, megabytes=1, seed=3, processes=1)
    return folder


def rows(folder):
    texts = [path.read_text(encoding="utf-8") for path in sorted((folder / "rows").iterdir())]
    lines = [line for text in texts for line in text.split("\n") if line]  # splitlines splits at U+0085 too
    return {row["id"]: row for row in map(json.loads, lines)}


def truth(folder):
    return [json.loads(line) for line in (folder / "truth.jsonl").read_text("utf-8").splitlines()]


def words_by_hand(text):
    found, word = [], ""
    for character in text.lower() + " ":
        if (character.isalnum() or character == "_") and not 0x4E00 <= ord(character) < 0xA000:
            word += character
            continue
        found += [word] if word else []
        word = ""
        found += [character] if 0x4E00 <= ord(character) < 0xA000 else []
    return found


def similarity_by_hand(some, other):
    sets = []
    for text in (some, other):
        words = words_by_hand(text)
        sets.append({tuple(words[at : at + 5]) for at in range(max(1, len(words) - 4))})
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def test_the_jaccard_of_every_planted_copy_is_that_of_plain_sets_of_words(corpus):
    found, known = rows(corpus / "corpus"), truth(corpus / "corpus")
    copies = [row for row in known if row["base"]]
    assert {row["kind"] for row in copies} == set(KINDS)
    assert {row["language"] for row in copies} == {"en", "zh"}
    for row in copies:
        by_hand = similarity_by_hand(found[row["id"]]["text"], found[row["base"]]["text"])
        assert row["jaccard"] == pytest.approx(by_hand, abs=1e-4)
        assert (row["kind"] != "exact") or row["jaccard"] == 1
    assert min(row["jaccard"] for row in copies) < 0.8 < sorted(row["jaccard"] for row in copies)[len(copies) // 2]


def test_the_corpus_is_the_same_each_time_and_says_what_it_has(corpus):
    for path in sorted((corpus / "corpus").rglob("*.*")):
        assert path.read_bytes() == (corpus / "again" / path.relative_to(corpus / "corpus")).read_bytes(), path.name
    made, known = json.loads((corpus / "corpus" / "corpus.json").read_text()), truth(corpus / "corpus")
    assert made["documents"] == len(known) == len(rows(corpus / "corpus"))
    assert made["megabytes"] == pytest.approx(1, abs=0.2)
    assert made["kinds"]["recombined"] > 0
    assert made["kinds"]["junk"] > 0


def test_a_copy_is_in_the_same_eighth_as_its_base(corpus):
    eighth = {row["id"]: row["shard"] // 2 for row in truth(corpus / "corpus")}
    assert all(eighth[row["id"]] == eighth[row["base"]] for row in truth(corpus / "corpus") if row["base"])
    assert len(set(eighth.values())) == 8


def test_a_recombined_document_is_a_near_duplicate_of_none():
    texts = [document(number) for number in range(200)]
    made = [recombined(random.Random(number), texts, 2500) for number in range(10)]
    assert max(jaccard(shingles(new), shingles(text)) for new in made for text in texts) < 0.5


def test_a_perfect_deduplicator_has_full_recall_and_precision(corpus):
    judge, known = Corpus(corpus / "corpus"), truth(corpus / "corpus")
    found = judge.score({row["id"] for row in known if not (row["base"] and row["jaccard"] >= 0.7)})
    assert [found.recall[band] for band in ("1", "0.9–1", "0.8–0.9", "Chinese")] == [1, 1, 1, 1]
    assert found.recall["< 0.7"] == 0
    assert (found.precision, found.precision_of_any) == (1, 1)


def test_broken_deduplicators_get_the_numbers_they_deserve(corpus):
    judge, known = Corpus(corpus / "corpus"), truth(corpus / "corpus")
    everything = judge.score({row["id"] for row in known})
    assert everything.recall["exact"] == 0
    assert everything.precision is None

    exact = [row for row in known if row["kind"] == "exact"]
    half = judge.score({row["id"] for row in known} - {row["id"] for row in exact[::2]})
    assert half.recall["exact"] == pytest.approx(0.5, abs=0.05)
    assert half.precision == 1

    copied = {row["base"] for row in known} | {row["id"] for row in known if row["base"]}
    single = [row["id"] for row in known if row["id"] not in copied and row["kind"] == "base"][: len(exact)]
    wrong = judge.score({row["id"] for row in known} - {row["id"] for row in exact} - set(single))
    assert wrong.recall["exact"] == 1
    assert wrong.precision == pytest.approx(0.5, abs=0.02)

    both = judge.score({row["id"] for row in known} - {row["id"] for row in exact} - {row["base"] for row in exact})
    assert both.precision < 0.2, "none of a pair is left"
    assert both.precision_of_any == 1

    with pytest.raises(ValueError, match="ids are not of this corpus, such as x1"):
        judge.score({"x1"})


def test_partners_by_sketch_are_all_that_a_comparison_of_every_pair_finds(corpus):
    judge, found = Corpus(corpus / "corpus"), rows(corpus / "corpus")
    sets = [shingles(found[row["id"]]["text"]) for row in judge.truth]
    for number in range(0, len(sets), 7):
        alike = {other for other in range(len(sets)) if other != number and jaccard(sets[number], sets[other]) >= 0.7}
        assert {other for other, _ in judge.partners(number)} == alike


def test_twice_the_corpus_has_the_same_duplicates_twice_and_none_across(corpus, tmp_path):
    assert len(set(CIPHER.values())) == len(CIPHER)
    write_twice(corpus / "corpus" / "rows", tmp_path / "rows")
    once, twice = rows(corpus / "corpus"), rows(tmp_path)
    assert len(twice) == 2 * len(once)
    for row in truth(corpus / "corpus"):
        text, again = twice[row["id"]]["text"], twice["t" + row["id"]]["text"]
        assert len(again.encode()) == len(text.encode())
        if row["base"]:
            base = twice["t" + row["base"]]["text"]
            assert jaccard(shingles(again), shingles(base)) == pytest.approx(row["jaccard"], abs=1e-4)
        if row["kind"] == "base":
            assert jaccard(shingles(text), shingles(again)) < 0.1


def test_words_are_runs_of_letters_and_single_chinese_characters():
    assert WORD.findall("Größe_1, 你好world。") == ["Größe_1", "你", "好", "world"]
