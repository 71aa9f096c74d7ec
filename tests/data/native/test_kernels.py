"""Each compiled kernel gives what its definition in numpy gives, on all texts."""

import hashlib
import inspect
import os
import shutil
import subprocess
from contextlib import contextmanager
from itertools import combinations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from burnish.core.errors import AskError
from burnish.data.dedup.minhash import Scheme
from burnish.data.dedup.near import SignedTexts, jaccard
from burnish.data.filters.junk import encoded
from burnish.data.native import compiling, library
from burnish.data.native.library import Kernels, WordRuns, kernels, loaded
from burnish.data.texts import characters, hashing, repeated
from burnish.data.texts.block import Block
from burnish.data.texts.phrases import Phrases

needs_compiler = pytest.mark.skipif(not compiling.compilers(), reason="no C compiler")
WORDS = st.sampled_from(
    ["one", "Two", "two", "\n", "\n\n", "你", "好", "_4", "é", "e\u0301", "…", "...", "#", "\ud800", ""]
)
TEXT = st.one_of(st.text(max_size=40), st.lists(WORDS, max_size=60).map(" ".join))
TEXTS = st.lists(TEXT, max_size=6)


@contextmanager
def numpy_alone():
    """The definitions, whatever is built."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(library.VARIABLE, "numpy")
        loaded.cache_clear()
        assert kernels() is None
        yield
    loaded.cache_clear()


def words(block):
    found = block.words
    return [found.starts, found.ends, found.hashes, found.bounds]


def spans(block):
    return [block.lines.hashes, block.paragraphs.hashes, block.character_shingles(3)[0]]


def counts(block):
    flags = block.properties
    return [
        block.count(flags),
        block.count(flags, characters.LETTER),
        block.counts_within(block.words, flags, characters.SPACE | characters.UPPER),
    ]


def members(block):
    return [block.count_of(listed) for listed in ("oé你", "\n")]


def mixed_runs(block):
    return [encoded._base64(block)]


def edges(block):
    lines = block.full_lines
    return [lines.at, lines.bounds, lines.visible, lines.first, lines.last, lines.second_last, lines.place]


def find(block):
    phrases = Phrases(["one", "two one", "好", "é one"])
    return [*phrases.at(block), phrases.counts(block), phrases.distinct(block)]


def shingles(block):
    return [array for size in (1, 2, 5) for array in block.shingles(size)]


def signatures(block):
    scheme = Scheme(size=2, bands=3, rows=3)
    return [scheme.signatures(*scheme.shingles(block))]


def signed(block):
    """The texts in two parts, and all pairs of them."""
    scheme, texts = Scheme(size=1, bands=3, rows=3), list(block.texts)
    half = len(texts) // 2
    pairs = np.array(list(combinations(range(len(texts)), 2)), np.int64).reshape(-1, 2)
    return SignedTexts([scheme.sign(texts[:half]), scheme.sign(texts[half:])]), pairs


def agreements(block):
    texts, pairs = signed(block)
    return [texts.agreements(pairs)]


def common(block):
    texts, pairs = signed(block)
    return [np.array([jaccard(texts.shingles(one), texts.shingles(other)) for one, other in pairs.tolist()], float)]


def repeats(block):
    return [repeated.repeats(block.lines.hashes, block.lines.bounds), repeated.repeats(*block.shingles(2))]


def shares(block):
    found = block.words
    lengths = np.minimum(found.lengths, repeated.MOST_WEIGHT)
    return repeated.shares(found.hashes, lengths, lengths % 2 == 1, found.bounds)


def of_runs(function):
    def values(block):
        ends = np.concatenate([[0], np.cumsum(block.words.lengths)])
        return [function(WordRuns(*block.shingles(size), block.words.bounds, size, ends)) for size in (1, 2, 5)]

    return values


VALUES = {
    "words": words,
    "spans": spans,
    "counts": counts,
    "members": members,
    "mixed_runs": mixed_runs,
    "edges": edges,
    "find": find,
    "shingles": shingles,
    "signatures": signatures,
    "agreements": agreements,
    "common": common,
    "repeats": repeats,
    "shares": shares,
    "covered": of_runs(repeated.covered),
    "top": of_runs(repeated.top),
}


def test_the_table_has_every_kernel():
    assert set(VALUES) == {name for name, _ in inspect.getmembers(Kernels, inspect.isfunction) if name[0] != "_"}


@needs_compiler
@pytest.mark.parametrize("name", VALUES)
@settings(deadline=None, max_examples=60)
@given(TEXTS)
@example([])
@example(["", "a", ""])
@example([f"x {'aB3' * 14}", f"{'aB3' * 13} {'ab3' * 14}", "aB3+/=" * 9 + ".", "AB3" * 20, "aB" * 30])
@example([f"{'aB3x' * 10}", f" {'aB3x' * 10}", f"{'aB3x' * 10}.{'aB3x' * 10}.", f"{'aB3x' * 9}aB3.{'aB3x' * 11}"])
@example(["aB 1\n" * 200, "你 x" * 300, "A" * 255 + "1" * 300, "A" * 510, "A" * 511])
@example(["a b a b a b long words then long words", "a b c a b c d e f d e f d e f"])
@example(["so so so so and so and so", "one two one two one two", "了了了了"])
def test_a_kernel_gives_what_numpy_gives(name, texts):
    assert kernels() is not None
    built = VALUES[name](Block(texts))
    with numpy_alone():
        defined = VALUES[name](Block(texts))
    for one, other in zip(built, defined, strict=True):
        assert one.dtype == other.dtype
        assert one.tolist() == other.tolist()


def test_a_kernel_refuses_numbers_of_another_type_rather_than_to_read_them_as_others():
    if (built := kernels()) is None:
        pytest.skip("no kernels")
    with pytest.raises(TypeError, match="int32 for int64"):
        built.spans(np.zeros(3, np.uint32), np.zeros(1, np.int32), np.ones(1, np.int64))
    with pytest.raises(TypeError, match="gaps"):
        built.spans(np.zeros(6, np.uint32)[::2], np.zeros(1, np.int64), np.ones(1, np.int64))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The sources of the kernels somewhere else."""
    for path in compiling.sources():
        shutil.copy(path, tmp_path)
    monkeypatch.setattr(compiling, "FOLDER", tmp_path)
    for module in (compiling, library):
        monkeypatch.setattr(module, "LIBRARY", tmp_path / "kernels.so")
        monkeypatch.setattr(module, "SUM", tmp_path / "kernels.so.sha256")
    loaded.cache_clear()
    yield tmp_path
    loaded.cache_clear()


@needs_compiler
def test_a_library_of_other_sources_is_not_used(folder):
    assert compiling.compiled() == ""
    assert kernels() is not None
    (folder / "words.c").write_text((folder / "words.c").read_text() + "\n")
    loaded.cache_clear()
    assert kernels() is None
    assert "other sources" in loaded()[1]


@needs_compiler
@pytest.mark.parametrize("size", [0, 5, 64, 5_000, 20_000])
def test_a_torn_library_is_not_used(folder, size):
    assert compiling.compiled() == ""
    os.truncate(folder / "kernels.so", size)
    assert kernels() is None
    assert "damaged" in loaded()[1]


@needs_compiler
def test_a_library_of_another_machine_is_not_used(folder):
    content = b"\x7fELF" + bytes(500)
    (folder / "kernels.so").write_bytes(content)
    (folder / "kernels.so.sha256").write_text(hashlib.sha256(content).hexdigest())
    assert kernels() is None
    assert "cannot be loaded" in loaded()[1]


def test_without_a_compiler_there_is_a_reason_and_a_former_library_stays(folder, monkeypatch):
    (folder / "kernels.so").write_bytes(b"of before")
    monkeypatch.setattr(compiling, "compilers", list)
    assert compiling.compiled() == "no C compiler was found"
    assert (folder / "kernels.so").read_bytes() == b"of before"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("printf 'boom \\377\\n' >&2; exit 1", "failed: boom"),
        ('while [ "$1" != -o ]; do shift; done; echo junk > "$2"', "cannot be loaded here"),
        ("kill -9 $$", "failed: status -9"),
        ("sleep 60", "timed out"),
    ],
)
def test_odd_compilers_are_a_reason(folder, monkeypatch, script, said):
    compiler = folder / "compiler"
    compiler.write_text(f"#!/bin/sh\n{script}\n")
    compiler.chmod(0o755)
    monkeypatch.setattr(compiling, "_SECONDS", 1 if script.startswith("sleep") else 60)
    monkeypatch.setattr(compiling, "compilers", lambda: [[str(compiler)]])
    assert said in compiling.compiled()
    assert not (folder / "kernels.so").exists()


def test_a_variable_whose_quotes_are_not_closed_names_no_compiler(monkeypatch):
    monkeypatch.setenv("CC", "'gcc")
    assert ["'gcc"] not in compiling.compilers()


@needs_compiler
def test_an_error_of_the_compiler_is_the_reason(folder):
    (folder / "words.c").write_text("no C")
    assert "failed: " in compiling.compiled()
    assert sorted(path.name for path in folder.iterdir()) == [path.name for path in compiling.sources()]


@needs_compiler
def test_the_sources_compile_without_a_warning(tmp_path):
    files = [str(path) for path in compiling.sources() if path.suffix == ".c"]
    strict = [
        *compiling.FLAGS,
        "-Wall",
        "-Wextra",
        "-Werror",
        "-Wconversion",
        "-Wno-sign-conversion",
        "-DFINGERPRINT=1",
    ]
    done = subprocess.run(
        [*compiling.compilers()[0], *strict, *files, "-o", tmp_path / "k.so"], capture_output=True, text=True
    )
    assert done.stderr == ""


@needs_compiler
def test_a_compiler_that_fails_or_makes_nothing_leaves_the_work_to_the_next_one(folder, monkeypatch):
    usable = compiling.compilers()[0]
    monkeypatch.setattr(compiling, "compilers", lambda: [["false"], ["true"], usable])
    assert compiling.compiled() == ""
    monkeypatch.setattr(compiling, "compilers", lambda: [["true"], ["false"]])
    assert compiling.compiled() == "true failed: status 0"
    assert kernels() is not None  # the one of before


@needs_compiler
def test_a_folder_that_cannot_be_written_is_the_reason(folder, monkeypatch):
    monkeypatch.setattr(compiling, "LIBRARY", folder / "missing" / "kernels.so")
    assert "missing" in compiling.compiled()


def test_an_unknown_value_of_the_variable_is_an_error(monkeypatch):
    monkeypatch.setenv(library.VARIABLE, "Numpy")
    loaded.cache_clear()
    with pytest.raises(AskError, match="BURNISH_KERNELS is 'Numpy'"):
        kernels()
    loaded.cache_clear()


def test_a_kernel_refuses_spans_and_characters_beyond_its_arrays():
    if (built := kernels()) is None:
        pytest.skip("no kernels")
    one, many = np.zeros(1, np.int64), np.array([9], np.int64)
    with pytest.raises(ValueError, match="ends of 9 in an array of 3"):
        built.spans(np.zeros(3, np.uint32), one, many)
    with pytest.raises(ValueError, match="table of other than"):
        built.members(np.zeros(3, np.uint32), np.zeros(4, bool), one, one)


def test_equal_hashes_of_other_weights_are_other_words():
    hashes, bounds = np.full(5, 1 << 40, np.uint64), np.array([0, 5])
    weights, chosen = np.array([3, 3, 2, 2, 2]), np.ones(5, bool)
    for found in (repeated.shares(hashes, weights, chosen, bounds), defined(hashes, weights, chosen, bounds)):
        assert [values.tolist() for values in found] == [[6], [5], [3]]


def defined(*given):
    with numpy_alone():
        return repeated.shares(*given)


def test_runs_of_words_have_the_hashes_of_shingles():
    found = Block(["one two three four"]).words
    at = np.arange(3)
    assert hashing.runs(found.hashes, at, 2).tolist() == hashing.shingles(found.hashes, found.bounds, 2)[0].tolist()
