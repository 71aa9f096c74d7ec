"""Questions about one definition or section: what it does, how it is called, an example, and which one does this."""

from collections.abc import Iterator

from burnish.data.synthesize.docs.extractors.docstrings import fenced
from burnish.data.synthesize.docs.items import CALLABLES, Item, Parameter
from burnish.data.synthesize.docs.templates.draft import (
    LANGUAGES,
    Draft,
    Wording,
    asked,
    documentation,
    heading,
    joined,
    noun,
    signature,
)

_SECTION = (
    "What does the documentation of {title} say about “{name}”?",
    "Explain “{name}” in the documentation of {title}.",
    "I am reading about {title}. What do I need to know about “{name}”?",
)
_WHAT = (
    "What does `{name}` do?",
    "Explain {noun} `{name}` from {title}.",
    "What is `{name}` in {title}?",
    "What does the documentation of {title} say about `{name}`?",
)
_CALL = (
    "How do I call `{name}`?",
    "How do I call `{name}` of {title}?",
    "Which arguments does `{name}` take?",
    "What is the signature of `{name}` in {title}?",
)
_EXAMPLE = (
    "Show me an example of `{name}`.",
    "Write {language} code that uses `{name}` of {title}.",
    "Write {language} code that uses `{name}`.",
    "How is `{name}` used in practice? An example, please.",
)
_WHICH = (
    "Which {kind} in {title} is documented as “{summary}”?",
    "I am looking for the {kind} in {title} that the documentation describes so: “{summary}”",
    "What is the {kind} in {title} called that is described as “{summary}”?",
)


def drafts(item: Item, wording: Wording) -> Iterator[Draft]:
    """One row for each kind of question that the source answers."""
    names = {
        "name": heading(item, wording) if item.kind == "section" else item.name,
        "title": wording.title,
        "noun": noun(item),
        "kind": item.kind,
        "language": LANGUAGES.get(item.language, ""),
        "summary": item.summary,
    }
    if item.kind == "section":
        is_question = item.name.endswith("?") and " > " not in item.name
        question = item.name if is_question else wording.one_of(_SECTION, item).format(**names)
        yield asked(question, documentation(item), question="section")
        return
    yield asked(
        wording.one_of(_WHAT, item).format(**names), joined(signature(item), documentation(item)), question="what"
    )
    if item.signature and item.kind in CALLABLES and (item.parameters or item.kind != "class"):
        yield asked(wording.one_of(_CALL, item).format(**names), _call(item), question="call")
    for example in item.examples[:2]:
        code = fenced(example.code, item.language)
        place = f"{example.file}:{example.line}"
        yield asked(
            wording.one_of(_EXAMPLE, item).format(**names),
            joined(code, item.summary),
            question="example",
            example=place,
        )
    if item.kind in CALLABLES and 4 <= len(item.summary.split()) <= 30 and item.short not in item.summary:
        code = fenced(item.examples[0].code, item.language) if item.examples else ""
        answer = joined(f"`{item.name}`:", signature(item), code and f"For example:\n\n{code}")
        yield asked(wording.one_of(_WHICH, item).format(**names), answer, question="which")


def _call(item: Item) -> str:
    lines = [_described(parameter) for parameter in item.parameters]
    if not lines and item.language == "python":  # elsewhere only those that are documented are known
        lines = ["It takes no arguments."]
    returns = f"It returns `{item.returns}`." if item.returns and item.returns not in ("None", "NoReturn") else ""
    return joined(signature(item), "\n".join(lines), returns)


def _described(parameter: Parameter) -> str:
    """A line on one parameter, by its signature and its documentation."""
    if parameter.stars:
        fact = "any further positional arguments" if parameter.stars == "*" else "any further keyword arguments"
    elif parameter.is_required:
        fact = "required" if parameter.is_positional else "required, by keyword only"
    else:
        fact = f"optional, `{parameter.default}` by default" if parameter.default else "optional"
        fact += "" if parameter.is_positional else ", by keyword only"
    kind = f"`{parameter.annotation}`, " if parameter.annotation and not parameter.stars else ""
    text = f": {parameter.doc}" if parameter.doc else ""
    return f"- `{parameter.stars}{parameter.name}` ({kind}{fact}){text}"
