"""Quality filters judged on labelled text: precision and recall of each, and the share of good text they keep.

    python benchmarks/quality.py --out FOLDER [--data FOLDER] [--texts FOLDER …] [--half tune|judge] [--each 300]
                                 [--languages en zh] [--settings JSON | --filters MODULE:FUNCTION | --decisions FILE]

Junk (boilerplate, logs, base64, hex dumps, tables of numbers, minified code, keyword spam, Markov text, filler text,
repeated lines, mojibake) is made with seeds; good text is taken from the files of `--data` (JSON, JSON
Lines or text, a kind for each file) and from the documents of the machine (`--texts`: man pages, HTML, docstrings,
source code, Chinese, other languages, which are junk where `--languages` does not name them). Filters are tuned on
the half `tune` and judged on the half `judge`, split by a hash of the text.

Which filters: those of `burnish clean`, its defaults or `--settings` of its `filters`, each asked by itself; with
`--languages` its language filter too. Or FUNCTION, which takes a list of texts and gives for each the list of reasons
against it, `filter: reason` of every filter that refuses it (none: kept). Or `--decisions`: JSON Lines of
{"id", "reasons"} on the rows of `documents.jsonl`; ids without a line are kept.

Both halves of generated junk have the same templates, which the authors of filters can read: their recall is an upper
bound. Junk named `found …` was not generated: logs and certificates (`--found`), the navigation of HTML pages.

In the folder: `documents.jsonl` (id, kind, good, language, half, text), `quality.md`, `quality.json`, and
`wrong.jsonl`, the wrong decisions.
"""

import argparse
import importlib
import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from labelled.document import HALVES, Document
from labelled.found import found_junk
from labelled.good import good
from labelled.junk import Material, junk
from labelled.verdicts import judged, wrong

MEANT: dict[str, Sequence[str]] = {
    "Boilerplate": ("boilerplate", "Chinese boilerplate"),
    "Encoded": ("base64", "hex dumps"),
    "Logs": ("logs",),
    "Minified": ("minified code",),
    "Mojibake": ("mojibake",),
    "Numbers": ("tables of numbers",),
    "Stuffing": ("keyword spam", "Chinese keyword spam"),
    "Repetition": ("repeated lines", "Chinese repeated lines", "keyword spam", "Chinese keyword spam"),
    "languages": ("wrong language",),
}
"""For each filter the kinds of junk that it is to find; those of Gopher, C4 and FineWeb are for all kinds."""


def documents(
    data: Path | None, folders: Sequence[Path], each: int, seed: int, languages: Sequence[str]
) -> list[Document]:
    """Good and junk documents, at most `each` of a kind; the same for the same files and seed, without repetitions.

    With `languages`, good text in others is junk of the kind `wrong language`; code has no language.
    """
    found = list(good(data, folders, each, seed))
    foreign = [text.text for text in found if text.kind == "other languages"]
    material = Material(
        english=[text.text for text in found if text.language == "en"],
        chinese=[text.text for text in found if text.language == "zh"],
        foreign=foreign,
        code=[text.text for text in found if text.language == "code" and text.text.count(";") > 10],
        packed=_packed(folders),
        files=_binaries(folders, seed),
    )
    if languages:
        kept = (*languages, "code")
        found = [
            doc if doc.language in kept else Document("wrong language", False, doc.language, doc.text) for doc in found
        ]
    return list({document.id: document for document in [*found, *junk(material, each, seed)]}.values())


def _packed(folders: Sequence[Path]) -> list[str]:
    paths = sorted(path for folder in folders for path in folder.rglob("*.min.*s") if path.is_file())
    return sorted({path.read_text(encoding="utf-8", errors="ignore")[:1_000_000] for path in paths})


def _binaries(folders: Sequence[Path], seed: int) -> list[bytes]:
    """The first 64 kB of 200 images, archives and shared libraries; random bytes where there are none."""
    kinds = {".png", ".gz", ".so", ".jpg", ".woff2", ".npz", ".pyc"}
    paths = sorted(path for folder in folders for path in folder.rglob("*") if path.suffix in kinds and path.is_file())
    rand = random.Random(seed)
    found = []
    for path in rand.sample(paths, min(200, len(paths))):
        with path.open("rb") as file:
            found.append(file.read(65_536))
    return found or [rand.randbytes(65_536)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="a folder of good text in JSON, JSON Lines or text files")
    parser.add_argument("--texts", type=Path, nargs="+", default=[Path("/usr/share/doc"), Path("/usr/share/man")])
    parser.add_argument("--found", type=Path, nargs="+", default=[Path("/var/log"), Path("/etc/ssl/certs")])
    parser.add_argument("--half", choices=HALVES)
    parser.add_argument("--each", type=int, default=300, help="documents of each kind, both halves together")
    parser.add_argument(
        "--languages", nargs="+", default=[], help="text in other languages is junk (unless given: good)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--filters", metavar="MODULE:FUNCTION")
    parser.add_argument("--decisions", type=Path)
    parser.add_argument("--settings", default="{}", help="of `filters` of burnish clean, as JSON")
    parser.add_argument(
        "--kind", choices=("document", "conversation"), default="document", help="what rows are taken for"
    )
    args = parser.parse_args()

    args.out.mkdir(parents=True, exist_ok=True)
    folders = [*args.texts, Path(json.__file__).parents[1]]  # the standard library: docstrings and code
    labelled = documents(args.data, folders, args.each, args.seed, args.languages)
    labelled += found_junk(args.found, folders, args.each, args.seed)
    chosen = [doc for doc in labelled if args.half in (None, doc.half)]
    with (args.out / "documents.jsonl").open("w", encoding="utf-8") as file:
        for doc in chosen:
            row = {"id": doc.id, "kind": doc.kind, "good": doc.is_good, "language": doc.language, "half": doc.half}
            file.write(json.dumps({**row, "text": doc.text}, ensure_ascii=False) + "\n")
    print(f"{len(chosen):,} documents, {sum(doc.is_good for doc in chosen):,} of them good: {args.out}/documents.jsonl")
    if args.filters:
        module, _, name = args.filters.partition(":")
        sys.path.insert(0, "")
        reasons = getattr(importlib.import_module(module), name)([doc.text for doc in chosen])
    elif args.decisions:
        lines = map(json.loads, filter(None, args.decisions.read_text(encoding="utf-8").split("\n")))
        decided = {line["id"]: line["reasons"] for line in lines}
        reasons = [decided.get(doc.id, []) for doc in chosen]
    else:
        from labelled.filtered import reasons as filtered

        from burnish.specs.data import FiltersSpec

        texts = [doc.text for doc in chosen]
        reasons = filtered(texts, FiltersSpec.model_validate_json(args.settings), args.kind, args.languages)
    verdicts = judged(chosen, reasons)
    tables = verdicts.tables(MEANT)
    print(tables)
    (args.out / "quality.md").write_text(tables + "\n", encoding="utf-8")
    (args.out / "quality.json").write_text(json.dumps(verdicts.as_json(), indent=1), encoding="utf-8")
    with (args.out / "wrong.jsonl").open("w", encoding="utf-8") as file:
        for line in wrong(chosen, reasons):
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
