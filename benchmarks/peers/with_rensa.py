"""JSON Lines without near duplicates by rensa: `with_rensa.py ROWS OUT WORKERS`, in an environment that has it.

The shingles are made in Python, as its users do; rensa hashes them, groups them in bands and compares signatures.
"""

import json
import os
import re
import sys
from pathlib import Path

WORD = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]|[^\W\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+")
BATCH = 2_000


def shingles(text: str) -> set[str]:
    words = WORD.findall(text.lower())
    return set(map(" ".join, zip(*(words[start:] for start in range(5)), strict=False))) or {" ".join(words)}


def main() -> None:
    rows, out, workers = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    os.environ["RAYON_NUM_THREADS"] = workers
    from rensa import RMinHash, RMinHashDeduplicator

    found = RMinHashDeduplicator(threshold=0.75, num_perm=112, use_lsh=True, num_bands=14)
    with (out / "kept.jsonl").open("w", encoding="utf-8") as kept:
        for path in sorted(rows.glob("*.jsonl")):
            with path.open(encoding="utf-8") as file:
                lines = file.readlines()
            for start in range(0, len(lines), BATCH):
                batch = lines[start : start + BATCH]
                documents = [json.loads(line) for line in batch]
                sets = [shingles(document["text"]) for document in documents]
                signatures = RMinHash.from_token_sets(sets, 112, 42)
                for line, document, signature in zip(batch, documents, signatures, strict=True):
                    if found.add(document["id"], signature):
                        kept.write(line)


if __name__ == "__main__":
    main()
