"""The programs that are measured: burnish and its peers, each a command that turns a folder of JSON Lines into another.

Settings are the same as far as each has them: shingles of 5 words, 14 bands of 8 places, similarity from 0.75 on.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("datatrove[io,processing]", "spacy", "text-dedup", "rensa", "xxhash<4")  # datatrove fails with xxhash 4
NAMES = ("datatrove", "text-dedup", "rensa", "spacy", "xxhash", "numpy", "pyarrow")
_PEERS = Path(__file__).parents[1] / "peers"
BURNISH = f"{sys.executable} -m burnish.cli.main clean --source file:{{rows}} --workers {{workers}}"


@dataclass(frozen=True)
class Program:
    name: str
    command: Callable[[Path, Path, int], list[str]]
    """(rows, out, workers) → the command; it runs in `out` and leaves there what it keeps."""
    kept: str
    """Where under `out` the kept documents lie, as a glob."""
    is_slow: bool = False
    """Measured on a share of the corpus."""


def burnish(name: str, command: str) -> Program:
    def filled(rows: Path, out: Path, workers: int) -> list[str]:
        return [part.format(rows=rows, out=out, workers=workers) for part in command.split()]

    return Program(name, filled, "runs/*/*/*/out/rows/*")


def peers(environment: Path) -> list[Program]:
    """Near duplicates by each peer."""
    return [
        _peer(environment, "rensa", "with_rensa.py", "kept.jsonl"),
        _peer(environment, "text-dedup", "with_text_dedup.py", "kept/*.arrow", is_slow=True),
        _peer(environment, "datatrove", "with_datatrove.py", "kept/*.jsonl", is_slow=True),
        _peer(environment, "datatrove, words at blanks", "with_datatrove.py", "kept/*.jsonl", True, "--whitespace"),
    ]


def pipeline(environment: Path) -> Program:
    """datatrove from reading over quality filters and near duplicates to Parquet."""
    return _peer(environment, "datatrove", "with_datatrove.py", "kept/*.parquet", True, "--filters")


def _peer(environment: Path, name: str, script: str, kept: str, is_slow: bool = False, *options: str) -> Program:
    python = str(environment / "bin" / "python")

    def command(rows: Path, out: Path, workers: int) -> list[str]:
        return [python, str(_PEERS / script), str(rows), str(out), str(workers), *options]

    return Program(name, command, kept, is_slow)


def install(environment: Path) -> None:
    """Make an environment with the peers where there is none."""
    if not (environment / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        subprocess.run([environment / "bin" / "pip", "install", "--quiet", *PACKAGES], check=True)


def versions(environment: Path) -> dict[str, str]:
    code = f"import json, importlib.metadata as of; print(json.dumps({{name: of.version(name) for name in {NAMES!r}}}))"
    return json.loads(subprocess.check_output([environment / "bin" / "python", "-c", code], text=True))


def kept_ids(out: Path, pattern: str) -> Iterator[str]:
    """The ids in the JSON Lines, Parquet and Arrow files of a program."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    paths = sorted(out.glob(pattern))
    if not paths:
        raise FileNotFoundError(f"{out} has no {pattern}: the program wrote nothing")
    for path in paths:
        if path.suffix == ".jsonl":
            with path.open(encoding="utf-8") as file:
                yield from (json.loads(line)["id"] for line in file)
        elif path.suffix == ".parquet":
            yield from pq.read_table(path, columns=["id"])["id"].to_pylist()
        elif path.suffix == ".arrow":
            yield from pa.ipc.open_stream(path).read_all()["id"].to_pylist()
