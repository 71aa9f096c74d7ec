"""What a licence demands of those who share a model made from another: sentences, notices, names. No legal advice.

Read in the texts of the licences; a licence that is not here has no demand that a folder could carry.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from burnish.core.registry.licences import by_title

NOTICE = "NOTICE"
_RIGHTS = "Meta Platforms, Inc. All Rights Reserved."
_LLAMA = "Llama {version} is licensed under the Llama {version} Community License, Copyright © " + _RIGHTS


@dataclass(frozen=True)
class Demands:
    """`notice` is a sentence for the file NOTICE, `built_with` one for the card, `prefix` the start of a name."""

    title: str
    notice: str = ""
    built_with: str = ""
    prefix: str = ""
    copy: bool = True
    """A copy of the licence goes with the model."""
    changed: bool = False
    """Changed files say that they were changed."""
    passed_on: str = ""
    """Conditions that the next user must be bound by."""
    link: str = ""


def _llama(version: str, notice: str = _LLAMA, built: str = "Built with Llama", prefix: str = "Llama") -> Demands:
    path = {"3": "llama3/license", "4": "llama4/license"}.get(version, f"llama{version.replace('.', '_')}/license")
    return Demands(
        f"Llama {version} Community License",
        notice.format(version=version),
        built,
        prefix,
        passed_on="its Acceptable Use Policy",
        link=f"https://www.llama.com/{path}/",
    )


_COPYRIGHT = "Copyright (c) Alibaba Cloud. All Rights Reserved."
DEMANDS: Mapping[str, Demands] = {
    "apache-2.0": Demands("Apache License 2.0", changed=True, link="https://www.apache.org/licenses/LICENSE-2.0"),
    "mit": Demands("MIT License"),
    **dict.fromkeys(("bsd", "bsd-2-clause", "bsd-3-clause"), Demands("BSD licence")),
    "llama2": Demands(
        "Llama 2 Community License",
        f"Llama 2 is licensed under the LLAMA 2 Community License, Copyright (c) {_RIGHTS}",
        passed_on="its Acceptable Use Policy",
        link="https://ai.meta.com/llama/license/",
    ),
    "llama3": _llama(
        "3",
        f"Meta Llama 3 is licensed under the Meta Llama 3 Community License, Copyright © {_RIGHTS}",
        "Built with Meta Llama 3",
        "Llama 3",
    ),
    **{f"llama{version}": _llama(version) for version in ("3.1", "3.2", "3.3", "4")},
    "gemma": Demands(
        "Gemma Terms of Use",
        "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms",
        changed=True,
        passed_on="the use restrictions of its section 3.2",
        link="https://ai.google.dev/gemma/terms",
    ),
    "qwen": Demands(
        "Qwen License Agreement",
        f"Qwen is licensed under the Qwen LICENSE AGREEMENT, {_COPYRIGHT}",
        "Built with Qwen",
        changed=True,
    ),
    "qwen-research": Demands(
        "Qwen Research License Agreement",
        f"Qwen is licensed under the Qwen RESEARCH LICENSE AGREEMENT, {_COPYRIGHT}",
        "Built with Qwen",
        changed=True,
    ),
    "tongyi-qianwen": Demands(
        "Tongyi Qianwen License Agreement",
        f"Tongyi Qianwen is licensed under the Tongyi Qianwen LICENSE AGREEMENT, {_COPYRIGHT}",
        changed=True,
    ),
    "deepseek": Demands(
        "DeepSeek License Agreement", changed=True, passed_on="the use restrictions of its attachment A"
    ),
    **dict.fromkeys(
        ("openrail", "openrail++", "bigscience-openrail-m", "bigcode-openrail-m", "bigscience-bloom-rail-1.0"),
        Demands("OpenRAIL licence", changed=True, passed_on="its use restrictions"),
    ),
}
"""By the identifier that Hugging Face uses."""
_TITLED = {"tongyi-qianwen": "qwen"}
"""Licences that their texts are found as, where that is another one."""


@dataclass(frozen=True)
class Demanded:
    """What the licences of the models together demand of a folder."""

    licence: str
    ref: str
    demands: Demands


def demanded(licences: Iterable[Mapping[str, str]]) -> list[Demanded]:
    """The demands of the licences of the models, each licence once."""
    found: dict[str, Demanded] = {}
    for one in licences:
        if one["of"] in ("base", "result") and one["licence"] in DEMANDS:
            found.setdefault(one["licence"], Demanded(one["licence"], one["ref"], DEMANDS[one["licence"]]))
    return list(found.values())


def write_notices(folder: Path, licences: Iterable[Mapping[str, str]], title: str) -> list[str]:
    """Write the demanded sentences into NOTICE, after what stands there; returns what the folder still lacks."""
    lacking: list[str] = []
    for one in demanded(licences):
        demands = one.demands
        if demands.notice:
            _add(folder, demands.notice)
        if demands.changed:
            _add(folder, f"The weights of this model were changed: it was made from {one.ref} with burnish.")
        if demands.copy and not _has_copy(folder, one.licence):
            where = f" ({demands.link})" if demands.link else ""
            lacking.append(f"a copy of the {demands.title}{where}: the folder of {one.ref} has none")
        if not follows(title, demands):
            lacking.append(f"a name that starts with '{demands.prefix}', which the {demands.title} asks for")
    return lacking


def follows(name: str, demands: Demands) -> bool:
    """Whether the last part of a name starts as a licence asks."""
    return name.rpartition("/")[2].lower().replace("-", " ").startswith(demands.prefix.lower())


def _has_copy(folder: Path, licence: str) -> bool:
    """Whether a folder has the text of a licence, or one whose title is not known."""
    titles = {by_title(path) for path in _licence_files(folder)}
    same = {name for name, one in DEMANDS.items() if one.title == DEMANDS[licence].title}
    return bool(titles & {"", _TITLED.get(licence, licence), *same})


def _licence_files(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_file() and path.name.lower().startswith(("license", "licence", "copying")):
            yield path


def _add(folder: Path, sentence: str) -> None:
    path = next(
        (p for p in sorted(folder.iterdir()) if p.is_file() and p.name.lower().startswith("notice")), folder / NOTICE
    )
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    if " ".join(sentence.split()) not in " ".join(text.split()):
        path.write_text(f"{text.rstrip()}\n\n{sentence}\n".lstrip(), encoding="utf-8")
