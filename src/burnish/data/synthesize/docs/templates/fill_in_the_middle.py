"""A gap of some lines in a definition: as text with the tokens of a model, or as a conversation."""

from collections.abc import Iterator

from burnish.data.synthesize.docs.extractors.docstrings import fenced
from burnish.data.synthesize.docs.items import Item
from burnish.data.synthesize.docs.templates.completion import is_of_use
from burnish.data.synthesize.docs.templates.draft import LANGUAGES, Draft, Wording, asked

_GAP = "<FILL_ME>"
_ASK = (
    f"Which lines belong at {_GAP} in this {{language}} code?",
    f"Fill in {_GAP}:",
    f"A part of this {{language}} {{kind}} is missing. What stands at {_GAP}?",
)
_MOST_LINES = 8
_TRIES = 8
_COMMENTS = ("#", "//", "/*", "* ", "*/")


def drafts(item: Item, wording: Wording) -> Iterator[Draft]:
    """One row, if the definition has a body; `extra` keeps the parts, which joined are the definition."""
    if not is_of_use(item) or _GAP in item.body:
        return
    parts = _gap(item, wording)
    if parts is None:
        return
    prefix, middle, suffix = parts
    extra = {"prefix": prefix, "middle": middle, "suffix": suffix}
    if wording.fim is not None:
        first, last, between = wording.fim
        yield Draft(text=f"{first}{prefix}{last}{suffix}{between}{middle}", extra=extra)
        return
    question = wording.one_of(_ASK, item).format(language=LANGUAGES[item.language], kind=item.kind)
    code = fenced(f"{prefix}{_GAP}{suffix}", item.language)
    answer = fenced(middle.strip("\n"), item.language)
    yield asked(f"{question}\n\n{code}", answer, **extra)


def _gap(item: Item, wording: Wording) -> tuple[str, str, str] | None:
    """Before, in and after a gap of whole lines, or from the middle of a line to its end."""
    head = item.head.count("\n") + 1
    lines = item.body.split("\n")
    for _ in range(_TRIES):
        start = wording.random.randrange(head, len(lines))
        end = min(len(lines), start + wording.random.randint(1, min(_MOST_LINES, max(1, (len(lines) - head) // 2))))
        before, after = "\n".join(lines[:start]) + "\n", "\n".join(lines[end:])
        middle = "\n".join(lines[start:end])
        code = "".join("".join(line.split()) for line in lines[start:end] if not line.lstrip().startswith(_COMMENTS))
        if len(code) < 10 or not lines[start].strip():
            continue
        indent = len(lines[start]) - len(lines[start].lstrip())
        before, middle = before + middle[:indent], middle[indent:]
        return before, middle, f"\n{after}" if end < len(lines) else ""
    return None
