"""What a browser fetches before Home is there stays small, and is all that the page needs."""

import gzip
import json
import re

from page_tools import built

MOST_BYTES = 225_000


def first_load(folder):
    """The files that Home needs: index.html, what it names, and what that imports."""
    index = (folder / "index.html").read_text(encoding="utf-8")
    chunks = json.loads((folder / ".vite" / "manifest.json").read_text(encoding="utf-8"))
    by_file = {chunk["file"]: chunk for chunk in chunks.values()}
    wanted, files = re.findall(r'(?:src|href)="/([^"]+)"', index), {"index.html"}
    while wanted:
        if (file := wanted.pop()) not in files:
            files.add(file)
            wanted += [chunks[name]["file"] for name in by_file.get(file, {}).get("imports", ())]
    return files


def test_home_is_there_after_225_kilobytes_in_a_few_files():
    folder = built()
    sizes = {name: len(gzip.compress((folder / name).read_bytes(), 6)) for name in first_load(folder)}
    assert 4 < len(sizes) < 9, sizes
    assert sum(sizes.values()) < MOST_BYTES, sorted(sizes.items(), key=lambda one: -one[1])


def test_the_page_has_no_script_and_no_style_of_its_own_and_asks_no_other_server():
    index = (built() / "index.html").read_text(encoding="utf-8")
    assert re.search(r'<meta name="csp-nonce" content="__CSP_NONCE__"\s*/?>', index)
    assert re.findall(r"<script(?![^>]*\bsrc=)", index) == []
    assert "<style" not in index
    assert re.findall(r'(?:src|href)="(?!/)', index) == []
