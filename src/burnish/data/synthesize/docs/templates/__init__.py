"""Templates by name: each makes the rows of one item, from what stands in the source alone."""

from collections.abc import Callable, Iterator

from burnish.data.synthesize.docs.items import Item
from burnish.data.synthesize.docs.templates import (
    completion,
    error_and_fix,
    fill_in_the_middle,
    question_answer,
    tool_use,
)
from burnish.data.synthesize.docs.templates.draft import Draft, Wording

Template = Callable[[Item, Wording], Iterator[Draft]]

TEMPLATES: dict[str, Template] = {
    "question_answer": question_answer.drafts,
    "completion": completion.drafts,
    "fill_in_the_middle": fill_in_the_middle.drafts,
    "error_and_fix": error_and_fix.drafts,
    "tool_use": tool_use.drafts,
}
