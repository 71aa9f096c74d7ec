"""Licences of a base and of data, as their folders state them, and what follows for the result. No legal advice.

A licence is read from the front matter of README.md (as on Hugging Face), from `license` in config.json, or recognised
by the first lines of a LICENSE file. What is not found or not in the table is `unknown`, never assumed.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.core.context import DATA_KINDS, Input
from burnish.core.runs.run import run_of_output

_MANIFEST = "manifest.json"
UNKNOWN = "unknown"
_MOST = 65_536
"""Bytes read of a file."""


@dataclass(frozen=True)
class Terms:
    """What a licence asks of derived works. `extra` names conditions that do not fit the columns."""

    commercial: bool = True
    derivatives: bool = True
    share_alike: bool = False
    attribution: bool = True
    extra: str = ""


_OWN = "its own conditions, which are passed on: read them"
_RESTRICTED = Terms(extra="restrictions of use, which are passed on")
TERMS: Mapping[str, Terms] = {
    **dict.fromkeys(("apache-2.0", "mit", "bsd", "bsd-2-clause", "bsd-3-clause", "isc", "zlib", "ecl-2.0"), Terms()),
    **dict.fromkeys(("cc0-1.0", "unlicense", "wtfpl", "pddl", "0bsd"), Terms(attribution=False)),
    **dict.fromkeys(("cc-by-2.0", "cc-by-3.0", "cc-by-4.0", "odc-by", "cdla-permissive-1.0"), Terms()),
    "cdla-permissive-2.0": Terms(),
    **dict.fromkeys(("cc-by-sa-3.0", "cc-by-sa-4.0", "odbl", "cdla-sharing-1.0"), Terms(share_alike=True)),
    **dict.fromkeys(("cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0"), Terms(commercial=False)),
    **dict.fromkeys(("cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0"), Terms(False, share_alike=True)),
    "cc-by-nd-4.0": Terms(derivatives=False),
    **dict.fromkeys(("cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0"), Terms(commercial=False, derivatives=False)),
    **dict.fromkeys(("gpl", "gpl-2.0", "gpl-3.0", "agpl-3.0", "lgpl", "lgpl-2.1", "lgpl-3.0"), Terms(share_alike=True)),
    **dict.fromkeys(("mpl-2.0", "epl-2.0", "eupl-1.1", "eupl-1.2", "osl-3.0"), Terms(share_alike=True)),
    **dict.fromkeys(("openrail", "openrail++", "creativeml-openrail-m", "bigscience-openrail-m"), _RESTRICTED),
    **dict.fromkeys(("bigcode-openrail-m", "bigscience-bloom-rail-1.0", "bloom-rail-1.0"), _RESTRICTED),
    **dict.fromkeys(("llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "llama4"), Terms(extra=_OWN)),
    **dict.fromkeys(("gemma", "qwen", "tongyi-qianwen", "deepseek", "falcon-llm-license"), Terms(extra=_OWN)),
    **dict.fromkeys(("qwen-research", "tongyi-qianwen-research", "mrl", "mnpl", "fair"), Terms(False, extra=_OWN)),
}
"""By the identifier that Hugging Face uses. A licence that is not here is unknown."""
_TITLES = (
    (r"Apache License\s+Version 2\.0", "apache-2.0"),
    (r"MIT License|Permission is hereby granted, free of charge", "mit"),
    (r"GNU AFFERO GENERAL PUBLIC LICENSE\s+Version 3", "agpl-3.0"),
    (r"GNU LESSER GENERAL PUBLIC LICENSE\s+Version 3", "lgpl-3.0"),
    (r"GNU GENERAL PUBLIC LICENSE\s+Version 3", "gpl-3.0"),
    (r"GNU GENERAL PUBLIC LICENSE\s+Version 2", "gpl-2.0"),
    (r"Mozilla Public License Version 2\.0", "mpl-2.0"),
    (r"Attribution-NonCommercial-ShareAlike 4\.0", "cc-by-nc-sa-4.0"),
    (r"Attribution-NonCommercial-NoDerivatives 4\.0", "cc-by-nc-nd-4.0"),
    (r"Attribution-NonCommercial 4\.0", "cc-by-nc-4.0"),
    (r"Attribution-NoDerivatives 4\.0", "cc-by-nd-4.0"),
    (r"Attribution-ShareAlike 4\.0", "cc-by-sa-4.0"),
    (r"Attribution 4\.0", "cc-by-4.0"),
    (r"CC0 1\.0 Universal", "cc0-1.0"),
    (r"LLAMA 2 COMMUNITY LICENSE", "llama2"),
    (r"META LLAMA 3 COMMUNITY LICENSE", "llama3"),
    (r"LLAMA 3\.(\d) COMMUNITY LICENSE", r"llama3.\1"),
    (r"Gemma Terms of Use", "gemma"),
    (r"Qwen RESEARCH LICENSE", "qwen-research"),
    (r"Qwen LICENSE AGREEMENT|Tongyi Qianwen LICENSE AGREEMENT", "qwen"),
    (r"Redistribution and use in source and binary forms", "bsd"),
)
_FRONT = re.compile(r"\A---\s*\n(.*?)\n---\s*(?:\n|\Z)", re.S)
_KEY = re.compile(r"^license(?P<name>_name)?[ \t]*:[ \t]*(?P<value>[^\n]*)(?P<items>(?:\n[ \t]*-[ \t]*[^\n]+)*)", re.M)


def licence_of(folder: Path) -> tuple[str, str]:
    """The licence that a folder states, and the file that states it; `unknown` and "" if none does."""
    if not folder.is_dir():
        return UNKNOWN, ""
    stated = [(name, _front_matter(_text(folder / name))) for name in ("README.md", "readme.md")]
    stated += [("config.json", _of_config(folder / "config.json")), (_MANIFEST, _of_manifest(folder / _MANIFEST))]
    stated += [(path.name, by_title(path)) for path in sorted(folder.glob("[Ll][Ii][Cc][Ee][Nn][CcSs][Ee]*"))]
    return next(((found, name) for name, found in stated if found), (UNKNOWN, ""))


def _front_matter(text: str) -> str:
    """`license` of a model card; `license_name` if that is `other`."""
    front = _FRONT.match(text.replace("\r\n", "\n"))
    found: dict[str, str] = {}
    for key in _KEY.finditer(front[1] if front is not None else ""):
        values = [key["value"], *(item.strip().removeprefix("-") for item in key["items"].splitlines())]
        cleaned = [value.strip("[]").split("#")[0].strip().strip("'\"").lower() for value in values]
        found["name" if key["name"] else "id"] = ", ".join(filter(None, cleaned))
    named = found.get("id", "")
    return found.get("name", named) if named in ("", "other", "unknown") else named


def _of_config(path: Path) -> str:
    with suppress(ValueError, RecursionError, AttributeError):
        found = json.loads(_text(path)).get("license")
        return found.strip().lower() if isinstance(found, str) else ""
    return ""


def _of_manifest(path: Path) -> str:
    """The licence of rows that were fetched, which is that of their source."""
    with suppress(OSError, ValueError, RecursionError, AttributeError):
        found = json.loads(path.read_bytes()).get("licence")
        return found.strip().lower() if isinstance(found, str) else ""
    return ""


def by_title(path: Path) -> str:
    """The licence whose text is in a file; "" if its title is not known."""
    head = _text(path)[:4000]
    for pattern, name in _TITLES:
        found = re.search(pattern, head, re.I)
        if found is not None:
            return found.expand(name)
    return ""


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MOST).decode("utf-8", "replace")
    except OSError:
        return ""


def licences_of(value: Input) -> list[dict[str, str]]:
    """The licence of the artifact's own folder if it states one, of each model below it, and of each source of data."""
    found: list[dict[str, str]] = []
    own, where = licence_of(value.path)
    if own != UNKNOWN:
        found.append({"of": "result", "ref": value.ref, "licence": own, "stated_in": where})
    seen: set[str] = set()
    for subject, source in _sources(value.inputs):
        licence, where = licence_of(source.path) if source.kind != "remote" else (UNKNOWN, "")
        run = run_of_output(source.path)
        ref = source.ref if run is None else run.reference
        if ref not in seen:
            seen.add(ref)
            found.append({"of": subject, "ref": ref, "licence": licence, "stated_in": where})
    return found


def _sources(inputs: Mapping[str, Input]) -> Iterator[tuple[str, Input]]:
    """Inputs that nothing here made: models as `base`, all others as `data`."""
    for value in inputs.values():
        if value.kind == "rows" and _of_manifest(value.path / _MANIFEST):
            yield "data", value
        elif value.inputs:
            yield from _sources(value.inputs)
        elif value.kind in ("model", "adapter", "hub-model"):
            yield "base", value
        elif value.kind in DATA_KINDS:
            yield "data", value


def consequences(licences: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the licences together mean for the result, as short sentences; the strictest counts."""
    terms = {one["ref"]: (one["licence"], TERMS.get(one["licence"])) for one in licences}
    unknown = [f"{ref} ({name})" for ref, (name, known) in terms.items() if known is None]
    known = {ref: (name, found) for ref, (name, found) in terms.items() if found is not None}

    def named(holds: Callable[[Terms], bool]) -> str:
        return ", ".join(f"{ref} ({name})" for ref, (name, found) in known.items() if holds(found))

    lines = [
        ("no derived works may be shared", named(lambda one: not one.derivatives)),
        ("not for commercial use", named(lambda one: not one.commercial)),
        ("to be shared under the same licence", named(lambda one: one.share_alike)),
        ("to be shared with the notice of the licence", named(lambda one: one.attribution)),
    ]
    found = [f"{text}, because of {who}" for text, who in lines if who]
    found += [f"{name} has {one.extra}" for name, one in known.values() if one.extra]
    if unknown:
        found.append(f"unknown: {', '.join(unknown)}")
    return list(dict.fromkeys(found))
