"""The licence of a source as an SPDX identifier, where its metadata or its text says so without doubt."""

import re
from collections.abc import Mapping
from pathlib import Path

_FILES = ("LICENSE", "LICENCE", "COPYING", "UNLICENSE")
_MAX = 64 << 10
_TEXTS = (
    ("Apache-2.0", r"Apache License\s+Version 2\.0"),
    ("AGPL-3.0", r"GNU AFFERO GENERAL PUBLIC LICENSE\s+Version 3"),
    ("LGPL-3.0", r"GNU LESSER GENERAL PUBLIC LICENSE\s+Version 3"),
    ("LGPL-2.1", r"GNU LESSER GENERAL PUBLIC LICENSE\s+Version 2\.1"),
    ("GPL-3.0", r"GNU GENERAL PUBLIC LICENSE\s+Version 3"),
    ("GPL-2.0", r"GNU GENERAL PUBLIC LICENSE\s+Version 2"),
    ("MPL-2.0", r"Mozilla Public License,? (?:Version|v\.?) ?2\.0"),
    ("Unlicense", r"This is free and unencumbered software released into the public domain"),
    ("CC0-1.0", r"CC0 1\.0 Universal"),
    (
        "ISC",
        r"Permission to use, copy, modify, and/?(?:or)? distribute this software for any purpose with or without fee",
    ),
    ("MIT", r"Permission is hereby granted, free of charge, to any person obtaining a copy"),
)
_BSD = r"Redistribution and use in source and binary forms, with or without modification"
_BSD_3 = (
    r"Neither the name of|names? of (?:its|the) (?:contributors|copyright holders?) may not|may not be used to endorse"
)
_CLASSIFIERS = {
    "MIT License": "MIT",
    "Apache Software License": "",
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
}
_SPELLINGS = {
    "mit": "MIT", "mit license": "MIT", "the mit license": "MIT",
    "apache-2.0": "Apache-2.0", "apache 2.0": "Apache-2.0", "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0", "apache 2": "Apache-2.0",
    "bsd-3-clause": "BSD-3-Clause", "bsd 3-clause": "BSD-3-Clause", "3-clause bsd": "BSD-3-Clause",
    "bsd-2-clause": "BSD-2-Clause", "bsd 2-clause": "BSD-2-Clause", "isc": "ISC", "mpl-2.0": "MPL-2.0",
    "psf-2.0": "PSF-2.0", "0bsd": "0BSD", "unlicense": "Unlicense",
}  # fmt: skip
_IDENTIFIER = re.compile(r"SPDX-License-Identifier:\s*(?P<id>[\w.+-]+(?: (?:AND|OR|WITH) [\w.+-]+)*)")


def of_metadata(metadata: Mapping[str, list[str]]) -> str | None:
    """The licence of an installed package: its expression, else what its field, its classifiers or its text mean."""
    for expression in metadata.get("License-Expression", ()):
        return expression.strip()
    for field in metadata.get("License", ()):
        if known := _SPELLINGS.get(field.strip().lower()):
            return known
    for classifier in metadata.get("Classifier", ()):
        if known := _CLASSIFIERS.get(classifier.rpartition(" :: ")[2]):
            return known
    texts = {of_text(text) for text in metadata.get("text", ())}
    return texts.pop() if len(texts) == 1 else None


def of_folder(folder: Path) -> str | None:
    """The licence that the licence files of a folder have; None if there are none, or several."""
    found: set[str] = set()
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name.upper().startswith(_FILES) and path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                found.add(of_text(file.read(_MAX).decode("utf-8", "replace")) or "")
    return found.pop() or None if len(found) == 1 else None


def of_text(text: str) -> str | None:
    """The licence whose words a text has."""
    plain = " ".join(text.split())
    for name, words in _TEXTS:
        if re.search(words, plain, re.IGNORECASE):
            return name
    if re.search(_BSD, plain, re.IGNORECASE):
        return "BSD-3-Clause" if re.search(_BSD_3, plain, re.IGNORECASE) else "BSD-2-Clause"
    return None


def of_file(text: str) -> str | None:
    """The SPDX identifier in the first lines of a source file."""
    found = _IDENTIFIER.search(text[:2_000])
    return found["id"] if found else None
