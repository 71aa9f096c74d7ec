"""Time and memory of `burnish sft --max-steps 5` on many rows: reading, checking, rendering, and five steps.

.venv/bin/python benchmarks/large_data.py [--rows 200000]

Makes a file of question and answer rows and trains the embedded model on it in an empty workspace, three times: the
first renders every row, the second takes the rendered rows from the workspace's cache, the third gets `--max-steps 6`.
Prints wall and CPU seconds, and the peaks of memory: of all processes together, each page once (PSS), and of the
largest process (RSS).
"""

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

from measure import measured

WORDS = "order,of,a,person,who,asks,where,it,is,and,what,the,weather,will,be".split(",")  # noqa: SIM905
SETTINGS = ["--base", "builtin:pocket", "--data", "file:rows.jsonl", "--batch-size", "8", "--learning-rate", "1e-3"]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    count: int = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_rows(folder / "rows.jsonl", count)
        print(f"{count:,} rows, {(folder / 'rows.jsonl').stat().st_size / 1e6:.0f} MB of JSON")
        for name, steps in (("first", "5"), ("again, with --force", "5"), ("again, one step more", "6")):
            force = ["--force"] if "force" in name else []
            command = ["sft", *SETTINGS, "--max-steps", steps, *force]
            used = measured([sys.executable, "-m", "burnish.cli.main", *command], folder)
            if used.status:
                raise SystemExit(f"burnish {' '.join(command)} ended with {used.status}")
            print(
                f"{name}: {used.wall:.0f} s, {used.cpu:.0f} CPU-s, peak {used.together / 1e6:,.0f} MB together, "
                f"{used.largest / 1e6:,.0f} MB the largest process",
                flush=True,
            )


def write_rows(path: Path, count: int) -> None:
    chance = random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            words = [" ".join(chance.choices(WORDS, k=chance.randint(5, 60))) for _ in range(2)]
            file.write(json.dumps({"question": f"{number}: {words[0]}", "answer": words[1]}) + "\n")


if __name__ == "__main__":
    main()
