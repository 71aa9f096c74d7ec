"""JSDoc comments: description, parameters, what is returned, and examples."""

import re
from dataclasses import dataclass

from burnish.data.synthesize.docs.items import Parameter

_TAG = re.compile(r"@(?P<name>[A-Za-z]+)\s*(?P<rest>[\s\S]*)")
_PARAM = re.compile(
    r"(?:\{(?P<type>(?:[^{}]|\{[^{}]*\})*)\}\s*)?(?P<name>\[[^\]]*\]|[\w$.]+)\s*(?:-\s*)?(?P<doc>[\s\S]*)"
)
_LINK = re.compile(r"\{@(?:link|linkcode|linkplain)\s+(?P<target>[^}|\s]+)(?:[|\s]+(?P<text>[^}]*))?\}")
_PRIVATE = ("private", "internal", "ignore", "hidden", "protected")


@dataclass(frozen=True)
class Comment:
    """A JSDoc comment. `examples` are (code, line of the comment from 0 on)."""

    description: str
    parameters: tuple[Parameter, ...]
    returns: str
    examples: tuple[tuple[str, int], ...]
    is_private: bool


def parse(text: str) -> Comment | None:
    """The parts of `/** … */`, None for any other comment."""
    if not text.startswith("/**") or not text.endswith("*/") or text == "/**/":
        return None
    lines = [re.sub(r"^\s*\* ?", "", line) for line in text[3:-2].split("\n")]
    starts = [number for number, line in enumerate(lines) if _is_tag(lines, number)]
    description = "\n".join(lines[: starts[0] if starts else None]).strip()
    parameters: list[Parameter] = []
    examples: list[tuple[str, int]] = []
    returns, names = "", set[str]()
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=False):
        tag = _TAG.match("\n".join(lines[start:end]).strip())
        if tag is None:
            continue
        names.add(tag["name"])
        if tag["name"] in ("param", "arg", "argument") and (found := _PARAM.match(tag["rest"].strip())):
            parameters += _parameter(found)
        elif tag["name"] in ("returns", "return"):
            returns = _plain(re.sub(r"^\{[^}]*\}\s*(?:-\s*)?", "", tag["rest"].strip()))
        elif tag["name"] == "example":
            examples += _examples(lines[start:end], start)
        elif tag["name"] in ("description", "desc"):
            description = f"{description}\n\n{tag['rest'].strip()}".strip()
    return Comment(_inline(description), tuple(parameters), returns, tuple(examples), not names.isdisjoint(_PRIVATE))


def _is_tag(lines: list[str], number: int) -> bool:
    """Whether a line starts a tag; in fenced code none does."""
    is_fenced = sum(line.lstrip().startswith("```") for line in lines[:number]) % 2
    return not is_fenced and re.match(r"\s*@[A-Za-z]", lines[number]) is not None


def _parameter(found: "re.Match[str]") -> list[Parameter]:
    name, _, default = found["name"].strip("[]").partition("=")
    if "." in name:  # a key of an object that is given
        return []
    is_optional = found["name"].startswith("[") or (found["type"] or "").endswith("=")
    text = _plain(found["doc"])
    return [Parameter(name.strip(), not is_optional, False, True, (found["type"] or "").strip(), default.strip(), text)]


def _examples(lines: list[str], start: int) -> list[tuple[str, int]]:
    """The code of one @example: what its fences have, or all of it."""
    first = re.sub(r"^\s*@example\s*(?:<caption>.*?</caption>)?", "", lines[0])
    body = [first, *lines[1:]]
    found: list[tuple[str, int]] = []
    fence: int | None = None
    for number, line in enumerate(body):
        if line.lstrip().startswith("```"):
            if fence is not None:
                found.append(("\n".join(body[fence + 1 : number]), start + fence + 1))
            fence = number if fence is None else None
    if not found and fence is None:
        skipped = next((number for number, line in enumerate(body) if line.strip()), 0)
        found.append(("\n".join(body[skipped:]), start + skipped))
    return [(code.strip("\n"), line) for code, line in found if code.strip()]


def _plain(text: str) -> str:
    return " ".join(_inline(text).split())


def _inline(text: str) -> str:
    return _LINK.sub(lambda link: link["text"] or f"`{link['target']}`", text)
