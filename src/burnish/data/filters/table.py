"""The filters that the settings ask for, in the order in which their reasons are counted.

Cheap ones and those that explain most stand first: a text is counted under the first reason that it has.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, TypeVar

from burnish.data.filters import BlockFilter
from burnish.data.filters.blocklist import Urls, Words, entries_of
from burnish.data.filters.junk.boilerplate import Boilerplate
from burnish.data.filters.junk.encoded import Encoded
from burnish.data.filters.junk.logs import Logs
from burnish.data.filters.junk.minified import Minified
from burnish.data.filters.junk.mojibake import Mojibake
from burnish.data.filters.junk.numbers import Numbers
from burnish.data.filters.junk.stuffing import Stuffing
from burnish.data.filters.language import Language
from burnish.data.filters.length import Count, Length, Tokens
from burnish.data.filters.quality.c4 import C4
from burnish.data.filters.quality.fineweb import FineWeb
from burnish.data.filters.quality.gopher import Gopher
from burnish.data.filters.quality.repetition import Repetition
from burnish.specs.base import Spec
from burnish.specs.data import FiltersSpec
from burnish.specs.data.filters import BlocklistSpec, JunkSpec, LengthSpec

SpecT = TypeVar("SpecT", bound=Spec)
Kind = Literal["document", "conversation"]
"""What a row is: of a document its text is judged, of a conversation all its turns, joined by blank lines."""
_MIN_WORDS = {"document": 5, "conversation": 0}


def block_filters(
    spec: FiltersSpec, kind: Kind, files: Mapping[str, Path] | None = None, count: Count | None = None
) -> list[BlockFilter]:
    """The filters of rows of a kind; each can be pickled. `files`: those of `words.file` and `urls.file`, by this key;
    `count` counts the tokens for bounds in tokens.

    Conversations are judged by their length and language, by listed words and addresses, and for wrong encodings:
    short answers, tables, code and logs are what people talk about. `c4` and `fineweb` apply where they are set.
    """
    return list(_filters(spec, kind, files or {}, count))


def _filters(spec: FiltersSpec, kind: Kind, files: Mapping[str, Path], count: Count | None) -> Iterator[BlockFilter]:
    all_rules = kind == "document" or spec.conversations_as_documents
    if (length := spec.length) is not None:
        yield _length(length, kind)
    if (junk := spec.junk) is not None:
        yield from _junk(junk, all_rules)
    if all_rules:
        if (boilerplate := spec.boilerplate) is not None:
            yield Boilerplate(boilerplate.max_share, boilerplate.max_filler)
        if (repetition := spec.repetition) is not None:
            yield Repetition(_read(repetition))
        if (gopher := spec.gopher) is not None:
            yield Gopher(_read(gopher))
    if (c4 := spec.c4) is not None:
        yield C4(_read(c4))
    if (fineweb := spec.fineweb) is not None:
        yield FineWeb(_read(fineweb))
    if (words := spec.words) is not None:
        yield Words(_entries(words, "words.file", files), words.min_matches)
    if (urls := spec.urls) is not None:
        yield Urls(_entries(urls, "urls.file", files), urls.min_matches)
    if (language := spec.language) is not None:
        yield Language(tuple(language.keep), language.min_probability, language.detector)
    if length is not None and length.counts_tokens and count is not None:
        yield Tokens(length.min_tokens, length.max_tokens, count)


def _read(spec: SpecT) -> SpecT:
    """The settings, each read here: filters run in other processes, where the ledger does not see it."""
    for name in type(spec).model_fields:
        getattr(spec, name)
    return spec


def _length(spec: LengthSpec, kind: Kind) -> BlockFilter:
    min_words = _MIN_WORDS[kind] if spec.min_words == "auto" else spec.min_words
    return Length(spec.min_characters, spec.max_characters, min_words, spec.max_words)


def _junk(spec: JunkSpec, all_rules: bool) -> Iterator[BlockFilter]:
    if (share := spec.mojibake) is not None:
        yield Mojibake(share)
    if not all_rules:
        return
    if (share := spec.encoded) is not None:
        yield Encoded(share)
    if (share := spec.logs) is not None:
        yield Logs(share)
    if (share := spec.numbers) is not None:
        yield Numbers(share)
    if spec.minified:
        yield Minified()
    if (share := spec.stuffing) is not None:
        yield Stuffing(share)


def _entries(spec: BlocklistSpec, name: str, files: Mapping[str, Path]) -> tuple[str, ...]:
    return (*spec.entries, *(entries_of(files[name]) if spec.file is not None else ()))
