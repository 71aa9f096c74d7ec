"""What a browser fetches before Home is there stays small, and is all that the page needs."""

import gzip
import json
import re

from page_tools import built

MOST_BYTES = 250_000


def first_load(folder):
    """The files that Home needs: those of index.html, those of its screen, and what they import."""
    chunks = json.loads((folder / ".vite" / "manifest.json").read_text(encoding="utf-8"))
    wanted, files = ["index.html", "src/routes/home.tsx"], {"index.html"}
    while wanted:
        chunk = chunks[wanted.pop()]
        if chunk["file"] not in files:
            files |= {chunk["file"], *chunk.get("css", ())}
            wanted += chunk.get("imports", ())
    return files


def test_home_is_there_after_250_kilobytes():
    folder = built()
    sizes = {name: len(gzip.compress((folder / name).read_bytes(), 6)) for name in first_load(folder)}
    assert len(sizes) > 3, sizes
    assert sum(sizes.values()) < MOST_BYTES, sorted(sizes.items(), key=lambda one: -one[1])


def test_the_page_has_no_script_and_no_style_of_its_own_and_asks_no_other_server():
    index = (built() / "index.html").read_text(encoding="utf-8")
    assert re.search(r'<meta name="csp-nonce" content="__CSP_NONCE__"\s*/?>', index)
    assert re.findall(r"<script(?![^>]*\bsrc=)", index) == []
    assert "<style" not in index
    assert re.findall(r'(?:src|href)="(?!/)', index) == []
