"""Good text: what people wrote to be read, and source code, from a folder of data and from the machine's documents."""

import json
import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from corpora.texts import Text, docstrings, files, kind_of, language_of, pieces, read

from labelled.document import Document

LONGEST = 8_000
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_KANA = re.compile(r"[\u3040-\u30ff]")
_NOT_PROSE = re.compile(r"(?i)changelog|copyright|licen[cs]e|\.min\.js|search|index|contents|^all\.|news")
_KINDS = {"manual": "man pages", "page": "HTML documentation", "plain": "text documentation", "docstring": "docstrings"}


def good(data: Path | None, folders: Sequence[Path], most: int, seed: int) -> Iterator[Document]:
    """At most `most` documents of each kind: a kind for each file of `data`, and kinds of what the folders hold."""
    for path in sorted(data.iterdir()) if data else []:
        texts = sorted({text for text in _records(path) if len(text) > 40})
        for text in random.Random(f"{seed} {path.name}").sample(texts, min(most, len(texts))):
            yield Document(path.stem, True, "en", text)
    for kind, texts in sorted(_of_folders(folders, most, seed).items()):
        for language, text in random.Random(f"{seed} {kind}").sample(texts, min(most, len(texts))):
            yield Document(kind, True, language, text)


def _records(path: Path) -> Iterator[str]:
    """A text for each record of a `.json`, `.jsonl` or `.txt` file; long ones in parts that end with a sentence."""
    whole = path.read_text(encoding="utf-8")
    if path.suffix == ".txt":
        records: list[Any] = whole.split("\n")
    else:
        records = (
            json.loads(whole) if path.suffix == ".json" else [json.loads(line) for line in whole.split("\n") if line]
        )
    for record in records:
        text = "\n".join(_strings(record))
        while len(text) > LONGEST:
            end = text.rfind(". ", LONGEST // 4, LONGEST) + 1 or LONGEST
            yield text[:end]
            text = text[end:].lstrip()
        yield text


def _strings(value: Any, name: str = "") -> Iterator[str]:
    """The texts within a record, without names of roles."""
    if isinstance(value, str):
        if value and name not in ("from", "role"):
            yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _strings(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def _of_folders(folders: Sequence[Path], most: int, seed: int) -> dict[str, list[tuple[str, str]]]:
    """Pieces of texts by kind, at most two of a text. A path says where to look for a kind, the text what it is."""
    rand = random.Random(seed)
    paths: dict[tuple[str, str], list[str]] = defaultdict(list)
    for path in files(folders):
        paths[kind_of(path), language_of(path)].append(path)
        if path.endswith(".py"):
            paths["docstring", "en"].append(path)
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for (wanted, language), group in sorted(paths.items()):
        before = {kind: len(texts) for kind, texts in found.items()}
        rand.shuffle(group)
        for path in group[: 10 * most]:
            for text in docstrings(path) if wanted == "docstring" else _read(path):
                kind, spoken = _kind(text)
                lengths = iter(lambda: int(rand.lognormvariate(7.3, 0.7)), -1)
                parts = [part[:LONGEST] for part in pieces(text.text, lengths) if len(part) > 200]
                found[kind] += [(spoken, part) for part in rand.sample(parts, min(2, len(parts)))]
            if any(len(found[kind]) - before.get(kind, 0) > most for kind in _expected(wanted, language)):
                break
    return {kind: sorted(set(texts)) for kind, texts in found.items()}


def _read(path: str) -> Iterator[Text]:
    if (text := read(path)) and not _NOT_PROSE.search(Path(path).name):
        yield text


def _expected(wanted: str, language: str) -> tuple[str, ...]:
    if wanted == "code":
        return ("source code",)
    return {"zh": ("Chinese documentation",), "en": (_KINDS[wanted],)}.get(language, ("other languages",))


def _kind(text: Text) -> tuple[str, str]:
    if text.kind == "code":
        return "source code", "code"
    characters = max(1, len(text.text))
    if len(_KANA.findall(text.text)) > 0.05 * characters:
        return "other languages", "ja"
    if len(_CHINESE.findall(text.text)) > 0.1 * characters:
        return "Chinese documentation", "zh"
    if text.language in ("en", "ja", "zh"):  # what is not translated in a Japanese or Chinese folder
        return _KINDS[text.kind], "en"
    return "other languages", text.language
