"""Twice a corpus: each document once more in a cipher, so that the copy has as many duplicates but is none itself.

Within a script every letter stands for another, always the same: lengths, words that are equal and their frequencies
stay, and so do the bytes. Planted duplicates of the second half are duplicates of its own documents.
"""

import json
from pathlib import Path

_ALPHABETS = (
    (0x61, 26, 7),  # a to z
    (0x41, 26, 7),
    (0x30, 10, 3),
    (0xDF, 24, 5),  # Latin with accents
    (0x430, 32, 9),  # Cyrillic
    (0x410, 32, 9),
    (0x3041, 86, 31),  # kana
    (0x30A1, 90, 31),
    (0x4E00, 20_992, 7_919),
    (0xAC00, 11_172, 3_571),  # Hangul
)
CIPHER = {
    first + number: first + (number + shift) % count for first, count, shift in _ALPHABETS for number in range(count)
}


def write_twice(rows: Path, out: Path) -> None:
    """For each shard of `rows` one in `out` with its documents and their ciphers, whose ids start with `t`."""
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(rows.glob("*.jsonl")):
        with path.open(encoding="utf-8") as file, (out / path.name).open("w", encoding="utf-8") as written:
            for line in file:
                row = json.loads(line)
                again = row | {"id": f"t{row['id']}", "text": row["text"].translate(CIPHER)}
                written.write(line + json.dumps(again, ensure_ascii=False) + "\n")
