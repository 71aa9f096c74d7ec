"""Junk as it lies on the machine, which no template made: logs, certificates, the navigation of HTML pages.

Filters may know the phrases of the generators by heart, since whoever writes them can read both; of these texts not.
"""

import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from corpora.texts import files, kind_of, page

from labelled.document import Document

_NAVIGATION = re.compile(
    r"<(nav|footer)\b[^>]*>(.*?)</\1\s*>|<div class=\"(?:related|sphinxsidebar|navheader|navfooter)\"[^>]*>(.*?)<hr",
    re.S,
)
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.S)


def found_junk(logs: Sequence[Path], folders: Sequence[Path], most: int, seed: int) -> Iterator[Document]:
    """At most `most` of each kind; none of a kind that the machine does not have."""
    rand = random.Random(f"{seed} found")
    kinds = {"found logs": _logs(logs), "found certificates": _certificates(logs), "found navigation": []}
    pages = [path for path in files(folders) if kind_of(path) == "page" and path.endswith("l")]
    rand.shuffle(pages)
    for path in pages[: 30 * most]:
        kinds["found navigation"] += _navigation(path)
        if len(kinds["found navigation"]) > 3 * most:
            break
    for kind, texts in kinds.items():
        different = sorted(set(texts))
        for text in rand.sample(different, min(most, len(different))):
            yield Document(kind, False, "en", text)


def _logs(folders: Sequence[Path]) -> list[str]:
    """Pieces of 40 lines of every `.log` file."""
    paths = sorted(path for folder in folders for path in folder.rglob("*.log") if path.is_file())
    found = []
    for path in paths:
        lines = path.read_text(encoding="utf-8", errors="ignore").splitlines()
        found += ["\n".join(lines[at : at + 40]) for at in range(0, min(len(lines), 40_000), 40)]
    return [text for text in found if len(text) > 500]


def _certificates(folders: Sequence[Path]) -> list[str]:
    paths = sorted(path for folder in folders for path in folder.rglob("*.pem") if path.is_file())
    return [text for path in paths for text in _CERTIFICATE.findall(path.read_text(encoding="ascii", errors="ignore"))]


def _navigation(path: str) -> list[str]:
    markup = Path(path).read_text(encoding="utf-8", errors="ignore")[:400_000]
    texts = [page(found[1] or found[2]) for found in _NAVIGATION.findall(markup)]
    tidied = ["\n".join(line.strip() for line in text.splitlines() if line.strip()) for text in texts]
    return [text[:4000] for text in tidied if len(text) > 150]
