"""A definition to complete: its signature and documentation are given, the answer is the whole definition."""

from collections.abc import Iterator

from burnish.data.synthesize.docs.extractors.docstrings import fenced
from burnish.data.synthesize.docs.items import Item
from burnish.data.synthesize.docs.templates.draft import LANGUAGES, Draft, Wording, asked

_ASK = (
    "Complete this {language} {kind}:",
    "Implement this {language} {kind} as its documentation says:",
    "Write the body of this {language} {kind}:",
)
_FEWEST_LINES, _MOST_LINES = 2, 80
_MOST_CHARACTERS = 5_000


def drafts(item: Item, wording: Wording) -> Iterator[Draft]:
    """One row, if the definition has a body of 2 to 80 lines."""
    if not is_of_use(item):
        return
    if wording.completion == "text":
        yield Draft(text=f"{item.body}\n")
        return
    question = wording.one_of(_ASK, item).format(language=LANGUAGES[item.language], kind=item.kind)
    yield asked(f"{question}\n\n{fenced(item.head, item.language)}", fenced(item.body, item.language))


def is_of_use(item: Item) -> bool:
    """Whether the body has enough lines to learn from, and not too many."""
    if not item.body or not item.head or len(item.body) > _MOST_CHARACTERS:
        return False
    lines = [line for line in item.body[len(item.head) :].split("\n") if line.strip(" \t{}();")]
    return _FEWEST_LINES <= len(lines) <= _MOST_LINES
