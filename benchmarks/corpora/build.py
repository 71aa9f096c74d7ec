"""Builds the corpus: texts of the machine in pieces, planted duplicates, junk; in shards, with the truth beside them.

rows/00.jsonl … 15.jsonl   id, text, language, source; a duplicate is in the same eighth (two shards) as its base
truth.jsonl                id, kind (base, recombined, a kind of duplicate, junk), base, jaccard, language
sketches.npy               the 24 smallest shingles of each document, in the order of the truth
corpus.json                counts, sizes, how it was made
"""

import json
import random
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from labelled.junk import KINDS as JUNK
from labelled.junk import Material

from corpora.planted import KINDS, recombined
from corpora.shingles import jaccard, shingles, sketch
from corpora.texts import docstrings, files, pieces, read

SHARDS, EIGHTHS = 16, 8
DUPLICATES = {"exact": 0.05, "edited": 0.05, "inserted": 0.03, "truncated": 0.03, "shuffled": 0.02}
"""How many of each kind, as shares of the documents that are no duplicates."""
_ALL = 1 + sum(DUPLICATES.values())
_MADE_OF = 3_000
_LONGEST = 20_000
"""Characters of a document: a longer paragraph is cut."""


@dataclass
class Entry:
    text: str
    language: str
    source: str
    kind: str = "base"
    base: int = -1
    """Index of what it is a copy of."""
    jaccard: float = 1.0


def build(
    folders: Sequence[Path], out: Path, megabytes: int, seed: int, junk: float = 0.02, processes: int = 2
) -> None:
    """About `megabytes` (10^6 bytes of text); the same for the same files and seed."""
    entries = list(_found(folders, megabytes * 1e6 / _ALL / (1 + junk), seed, processes))
    found = len(entries)
    entries += _recombined(entries, megabytes * 1e6 / _ALL / (1 + junk), seed)
    bases = len(entries)
    entries += list(_copies(entries, seed))
    entries += list(_junk(entries[:found], int(bases * junk), seed))
    with get_context("fork").Pool(processes) as pool:
        sketches = pool.map(_sketched, [entry.text for entry in entries], chunksize=500)
    _write(entries, np.stack(sketches), out, seed)


def _found(folders: Sequence[Path], size: float, seed: int, processes: int) -> Iterator[Entry]:
    """Pieces of documents in a random order, until they are `size` bytes; no two with the same text."""
    paths = files(folders)
    random.Random(seed).shuffle(paths)
    seen: set[str] = set()
    with get_context("fork").Pool(processes) as pool:
        for found in pool.imap(_pieces, paths, chunksize=32):
            for language, source, text in found:
                if text not in seen:
                    seen.add(text)
                    size -= len(text.encode())
                    yield Entry(text, language, source)
            if size <= 0:
                pool.terminate()
                return


def _pieces(path: str) -> list[tuple[str, str, str]]:
    texts = list(docstrings(path)) if path.endswith(".py") else [text for text in [read(path)] if text]
    found = []
    for text in texts:
        source = "/".join(Path(path).parts[-3:])
        rand = random.Random(zlib.crc32(text.text.encode("utf-8", "surrogatepass")))  # wherever the file lies
        lengths = (int(min(12_000, max(300, rand.lognormvariate(7.0, 0.8)))) for _ in count())
        for number, piece in enumerate(pieces(text.text, lengths)):
            if len(piece) > 200:
                found.append((text.language, f"{source}#{number}", piece[:_LONGEST].encode("utf-8", "ignore").decode()))
    return found


def _recombined(entries: Sequence[Entry], size: float, seed: int) -> list[Entry]:
    """As many as are missing to `size` bytes, in the languages of what was found."""
    rand = random.Random(f"{seed} recombined")
    missing = size - sum(len(entry.text.encode()) for entry in entries)
    texts: dict[str, list[str]] = {}
    for entry in entries:
        texts.setdefault(entry.language, []).append(entry.text)
    made: list[Entry] = []
    while missing > 0:
        language = rand.choice(entries).language
        text = recombined(rand, texts[language], int(min(12_000, max(600, rand.lognormvariate(7.2, 0.7)))))
        missing -= len(text.encode())
        made.append(Entry(text, language, "recombined", "recombined"))
    return made


def _copies(bases: Sequence[Entry], seed: int) -> Iterator[Entry]:
    donors: dict[str, list[str]] = {}
    for entry in bases:
        donors.setdefault(entry.language, []).append(entry.text)
    for kind, share in DUPLICATES.items():
        rand = random.Random(f"{seed} {kind}")
        for _ in range(int(len(bases) * share)):
            number = rand.randrange(len(bases))
            base = bases[number]
            text = KINDS[kind](rand, base.text, rand.choice(donors[base.language]))
            similarity = 1.0 if text == base.text else jaccard(shingles(text), shingles(base.text))
            yield Entry(text, base.language, base.source, kind, number, round(similarity, 4))


def _junk(entries: Sequence[Entry], total: int, seed: int) -> Iterator[Entry]:
    rand = random.Random(f"{seed} junk")
    some = rand.sample(entries, min(_MADE_OF, len(entries)))
    material = Material(
        english=[entry.text for entry in some if entry.language == "en"],
        chinese=[entry.text for entry in some if entry.language == "zh"],
        foreign=[entry.text for entry in some if entry.language not in ("en", "zh", "code")],
        code=[entry.text for entry in some if entry.text.count(";") > 10],
        packed=[],
        files=[rand.randbytes(65_536) for _ in range(20)],
    )
    kinds = [kind for kind in JUNK if not kind.startswith("Chinese") or material.chinese]
    kinds = [kind for kind in kinds if kind != "mojibake" or material.foreign + material.chinese]
    kinds = [kind for kind in kinds if kind != "minified code" or material.code]
    for _ in range(total):
        kind = rand.choice(kinds)
        yield Entry(JUNK[kind](rand, material), "junk", kind, "junk")


def _sketched(text: str) -> Any:
    return sketch(shingles(text))


def _write(entries: Sequence[Entry], sketches: Any, out: Path, seed: int) -> None:
    """Documents in a random order; numbers in the ids follow it, so that an id says nothing of the kind."""
    rand = random.Random(f"{seed} order")
    order = list(range(len(entries)))
    rand.shuffle(order)
    ids = {index: f"d{number:07}" for number, index in enumerate(order)}
    (out / "rows").mkdir(parents=True, exist_ok=True)
    sizes = Counter[str]()
    shards = [(out / "rows" / f"{shard:02}.jsonl").open("w", encoding="utf-8") for shard in range(SHARDS)]
    with (out / "truth.jsonl").open("w", encoding="utf-8") as truth:
        for index in order:
            entry = entries[index]
            group = index if entry.base < 0 else entry.base
            shard = group % EIGHTHS * (SHARDS // EIGHTHS) + rand.randrange(SHARDS // EIGHTHS)
            row = {"id": ids[index], "text": entry.text, "language": entry.language, "source": entry.source}
            shards[shard].write(json.dumps(row, ensure_ascii=False) + "\n")
            known = {"id": ids[index], "kind": entry.kind, "base": ids.get(entry.base, ""), "jaccard": entry.jaccard}
            truth.write(json.dumps({**known, "language": entry.language, "shard": shard}) + "\n")
            sizes[entry.language] += len(entry.text.encode())
    for shard in shards:
        shard.close()
    np.save(out / "sketches.npy", sketches[order])
    kinds = Counter(entry.kind for entry in entries)
    languages = {language: round(size / 1e6, 1) for language, size in sizes.most_common()}
    counts = {"seed": seed, "documents": len(entries), "megabytes": round(sizes.total() / 1e6, 1), "kinds": kinds}
    (out / "corpus.json").write_text(json.dumps({**counts, "megabytes_by_language": languages}, indent=1))
