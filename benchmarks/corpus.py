"""Builds the corpus of `data.py`: documents of this machine in many languages, planted duplicates, junk.

    python benchmarks/corpus.py FOLDER [--megabytes 330] [--texts FOLDER …] [--seed 0]

Texts are man pages, HTML and text documentation, docstrings (`--texts`; without it /usr/share/doc, /usr/share/man and
this environment's packages). More languages: packages like `manpages-de` or `manpages-zh`, installed or unpacked into
a folder (`apt-get download manpages-zh; dpkg -x manpages-zh_*.deb FOLDER`). What is missing in size is made of
paragraphs of many documents. The files of the folder are described in `corpora/build.py`.
"""

import argparse
import time
from pathlib import Path

import numpy
from corpora.build import build


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--megabytes", type=int, default=330)
    here = [Path("/usr/share/doc"), Path("/usr/share/man"), Path(numpy.__file__).parents[1]]
    parser.add_argument("--texts", type=Path, nargs="+", default=here)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    began = time.monotonic()
    build(args.texts, args.folder, args.megabytes, args.seed)
    print((args.folder / "corpus.json").read_text())
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
