"""A project on disk, and the items that its extractors find."""

import pytest

from burnish.data.synthesize.docs.extractors import EXTRACTORS
from burnish.data.synthesize.docs.items import Item
from burnish.data.synthesize.docs.project import Project
from burnish.data.synthesize.docs.reading import read


@pytest.fixture
def project(tmp_path):
    """Write files; gives the project and its items, by name."""

    def project(files: dict[str, str]) -> tuple[Project, dict[str, Item]]:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text, encoding="utf-8")
        found = Project(tmp_path, frozenset(files))
        items: dict[str, Item] = {}
        for name in files:
            extract = EXTRACTORS.get(f".{name.rpartition('.')[2]}")
            text, reason = read(tmp_path / name)
            if extract is not None and not reason:
                items |= {item.name: item for item in extract(text, name, found)}
        return found, items

    return project
