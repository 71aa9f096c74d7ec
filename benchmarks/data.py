"""burnish's `clean` beside datatrove, text-dedup and rensa, on a corpus with planted duplicates.

    python benchmarks/corpus.py FOLDER                       builds the corpus
    python benchmarks/data.py FOLDER [--peers VENV] [--share 8] [--twice] [--workers 2] [--only PROGRAM …]

Near duplicates: JSON Lines to those that are kept, shingles of 5 words, 14 bands of 8 places. Pipeline: JSON Lines,
quality filters, near duplicates, Parquet. `--peers` is an environment with the peers; it is made if there is none.
With `--share 8` the slow peers, and burnish once more beside them, get an eighth of the corpus; a planted duplicate is
always in the same eighth as its base. `--twice` measures burnish also on twice the corpus (`corpora/twice.py`).

Measured for the whole process tree: wall time, CPU time, peak memory (PSS). Recall is the share of planted pairs of
which not both are kept, by exact Jaccard similarity; precision the share of removed documents that have a kept one at
0.7 or more. Prints Markdown, and writes it with all numbers to `FOLDER/results/data.md` and `data.json`.
"""

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from corpora.build import EIGHTHS, SHARDS
from corpora.programs import BURNISH, Program, burnish, install, kept_ids, peers, pipeline, versions
from corpora.score import Corpus, Score
from corpora.twice import write_twice
from measure import Usage, measured

ALONE = "--set filters=null --set rewriting.normalize=null --form jsonl"
"""Settings of `burnish clean` for duplicates alone."""
SETTINGS = {
    "burnish": f"{ALONE} --near-dedup.bands 14 --near-dedup.rows 8",
    "burnish, its default bands": f"{ALONE} --set near_dedup=true",
}
PIPELINE = "--set near_dedup=true"
"""All default filters, and near duplicates."""
STAND_IN = "the command of --burnish"


@dataclass(frozen=True)
class Result:
    table: str
    program: str
    part: str
    """whole | eighth | twice"""
    documents: int
    usage: Usage
    kept: int
    score: Score | None

    @property
    def speed(self) -> float:
        """Documents per CPU-second."""
        return self.documents / self.usage.cpu

    def as_json(self) -> dict[str, Any]:
        score = self.score.as_json() if self.score else None
        return {**self.__dict__, "usage": self.usage.as_json(), "score": score, "documents_per_cpu_second": self.speed}


class Bench:
    def __init__(self, folder: Path, workers: int, share: int, about: dict[str, Any]):
        self.folder, self.workers, self.share, self.about = folder, workers, share, about
        self.results: list[Result] = []

    def run(self, table: str, program: Program, part: str = "whole", is_scored: bool = True) -> None:
        rows, out = self._rows(part), Path(tempfile.mkdtemp(prefix="run-", dir=self.folder / "results"))
        log = self.folder / "results" / f"{table}, {program.name}, {part}.log"
        used = measured(program.command(rows, out, self.workers), out, log)
        if used.status:
            raise SystemExit(f"{program.name} ended with {used.status}; its output is in {log}")
        kept = list(kept_ids(out, program.kept))
        score = self._corpus(part).score(kept) if is_scored else None
        self.results.append(Result(table, program.name, part, self._documents(part), used, len(kept), score))
        print(f"{table}, {program.name}, {part}: {used.wall:.1f} s, {used.cpu:.1f} CPU-s", file=sys.stderr, flush=True)
        shutil.rmtree(out)
        results = [result.as_json() for result in self.results]
        (self.folder / "results" / "data.json").write_text(json.dumps({**self.about, "results": results}, indent=1))

    @cache  # noqa: B019, one object lives as long as the program
    def _rows(self, part: str) -> Path:
        """The folder of the corpus, of the first shards of it, or of twice as much."""
        if part == "whole":
            return self.folder / "rows"
        rows = self.folder / part
        shutil.rmtree(rows, ignore_errors=True)
        if part == "twice":
            write_twice(self.folder / "rows", rows)
        else:
            rows.mkdir()
            for shard in self._shards():
                os.link(self.folder / "rows" / f"{shard:02}.jsonl", rows / f"{shard:02}.jsonl")
        return rows

    @cache  # noqa: B019
    def _corpus(self, part: str) -> Corpus:
        return Corpus(self.folder, None if part == "whole" else self._shards())

    def _shards(self) -> frozenset[int]:
        return frozenset(range(SHARDS // self.share))

    @cache  # noqa: B019
    def _documents(self, part: str) -> int:
        count = 0
        for path in self._rows(part).glob("*.jsonl"):
            with path.open("rb") as file:
                count += sum(1 for _ in file)
        return count

    def measure(self, args: argparse.Namespace) -> None:
        """Every table that the options ask for."""
        ours = [burnish(_name(name, args), f"{args.burnish} {settings}") for name, settings in SETTINGS.items()]
        others = peers(args.peers) if args.peers else []
        for program in _chosen([*ours, *others], args):
            self.run("near duplicates", program, self._part(program))
        is_shared = self.share > 1 and any(program.is_slow for program in _chosen(others, args))
        for program in _chosen(ours[:1], args):
            if is_shared:
                self.run("near duplicates", program, self._part_name())
            if args.twice:
                self.run("near duplicates", program, "twice", is_scored=False)
        whole = burnish(_name("burnish", args), f"{args.burnish} {PIPELINE}")
        other = [pipeline(args.peers)] if args.peers else []
        for program in _chosen([whole, *other], args):
            self.run("pipeline", program, self._part(program), is_scored=False)
        for program in _chosen([whole] if self.share > 1 and _chosen(other, args) else [], args):
            self.run("pipeline", program, self._part_name(), is_scored=False)

    def _part(self, program: Program) -> str:
        return self._part_name() if program.is_slow and self.share > 1 else "whole"

    def _part_name(self) -> str:
        return "eighth" if self.share == EIGHTHS else f"1 of {self.share}"

    def tables(self) -> str:
        """Speed, recall and precision of each program in Markdown."""
        parts = [_speeds("near duplicates", self.results), _qualities(self.results), _speeds("pipeline", self.results)]
        return "\n\n".join(part for part in parts if part)


def _name(name: str, args: argparse.Namespace) -> str:
    """Another command is never reported as burnish."""
    return name if args.burnish == BURNISH else name.replace("burnish", STAND_IN)


def _chosen(programs: list[Program], args: argparse.Namespace) -> list[Program]:
    return [program for program in programs if not args.only or program.name in args.only]


def _speeds(table: str, results: list[Result]) -> str:
    found = [result for result in results if result.table == table]
    ours = {result.part: result for result in found if result.program in ("burnish", STAND_IN)}
    lines = [
        f"| {table} | documents | kept | wall s | CPU-s | documents per CPU-s | times burnish's CPU time, wall time "
    ]
    lines[0] += "| peak MB |"
    lines.append("|---|---|---|---|---|---|---|---|")
    for result in found:
        beside, used = ours.get(result.part, result), result.usage
        wall = (used.wall / result.documents) / (beside.usage.wall / beside.documents)
        times = f"{beside.speed / result.speed:.1f}, {wall:.1f}" if beside is not result else "1"
        lines.append(
            f"| {result.program}{'' if result.part == 'whole' else f', {result.part}'} | {result.documents:,} "
            f"| {result.kept:,} | {used.wall:.1f} | {used.cpu:.1f} | {result.speed:,.0f} | {times} "
            f"| {used.together / 1e6:,.0f} |"
        )
    if {"whole", "twice"} <= ours.keys():
        once, twice = ours["whole"].usage, ours["twice"].usage
        lines += ["", f"Twice the corpus takes {twice.wall / once.wall:.2f} times the time,"]
        lines.append(f"{twice.cpu / once.cpu:.2f} times the CPU time, {twice.together / once.together:.2f} the memory.")
    return "\n".join(lines) if found else ""


def _qualities(results: list[Result]) -> str:
    names = ("1", "0.9–1", "0.8–0.9", "0.7–0.8", "< 0.7", "Chinese")
    lines = [f"| removed of planted pairs with Jaccard | {' | '.join(names)} from 0.8 | precision | with chains |"]
    lines.append("|---" * (len(names) + 3) + "|")
    for result in results:
        if (score := result.score) is not None:
            shares = [f"{score.recall[name]:.3f}" if name in score.recall else "–" for name in names]
            right = ["–" if share is None else f"{share:.3f}" for share in (score.precision, score.precision_of_any)]
            part = "" if result.part == "whole" else f", {result.part}"
            lines.append(f"| {result.program}{part} | {' | '.join([*shares, *right])} |")
    return "\n".join(lines) if len(lines) > 2 else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="what corpus.py built")
    parser.add_argument("--peers", type=Path, help="an environment with the peers, made if there is none")
    parser.add_argument("--share", type=int, choices=(1, 2, 4, 8), default=8, help="what part slow peers get: 1 of 8")
    parser.add_argument("--twice", action="store_true")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--only", nargs="+", help="names of programs")
    parser.add_argument("--burnish", default=BURNISH, help="another command, with {rows}, {out} and {workers}")
    args = parser.parse_args()
    args.folder = args.folder.resolve()
    (args.folder / "results").mkdir(exist_ok=True)
    machine = {"machine": platform.machine(), "cores": os.cpu_count(), "load": os.getloadavg()}
    programs = {"python": platform.python_version(), "burnish": version("burnish")}
    if args.peers:
        args.peers = args.peers.absolute()
        install(args.peers)
        programs |= versions(args.peers)
    made = json.loads((args.folder / "corpus.json").read_text())
    numbers = {"corpus": made, **machine, "workers": args.workers, "versions": programs, "command": args.burnish}
    bench = Bench(args.folder, args.workers, args.share, numbers)
    bench.measure(args)
    said = f"{made['documents']:,} documents, {made['megabytes']} MB of text. {args.workers} workers on {machine}."
    said += " Versions: " + ", ".join(f"{name} {number}" for name, number in programs.items())
    text = f"{said}\n\n{bench.tables()}\n"
    print(text)
    (args.folder / "results" / "data.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
