"""What the model is asked for before the rows: subtopics of topics, and tools."""

from collections.abc import Mapping, Sequence
from typing import Any

from burnish.core.errors import DataError
from burnish.data.synthesize.model.prompts import LANGUAGES, built_in
from burnish.data.synthesize.model.requests import as_json
from burnish.data.synthesize.model.schemas import TOOLBOX, UnusableError, subtopics_schema, tools_from
from burnish.data.synthesize.model.slots import Refused, Slot, Tool
from burnish.endpoints.client import Reply
from burnish.stages.data.synthesizing.asking import Asker, Want, json_of
from burnish.stages.data.synthesizing.makers import asked_in


def subtopics_of(
    topics: Sequence[str], languages: Sequence[str], count: int, asker: Asker, system: str | None
) -> dict[str, list[str]]:
    """By language, `count` subtopics or fewer of each topic. Errors: DataError `data.empty` if a reply has none."""
    schema = subtopics_schema(count)

    def read(reply: Reply) -> list[str]:
        found = [text.strip() for text in json_of(reply, schema)["subtopics"] if text.strip()]
        if not found:
            raise UnusableError("empty", "no subtopic")
        return list(dict.fromkeys(found))[:count]

    slots = [Slot(number, language, topic) for language in languages for number, topic in enumerate(topics)]
    wants = []
    for slot in slots:
        values = {"topic": slot.topic, "count": str(count), **_common(slot, schema)}
        text = built_in("subtopics", slot.language).filled(values)
        wants.append(Want(slot, asked_in(system, text), read, schema, form="subtopics"))
    found: dict[str, list[str]] = {language: [] for language in languages}
    for slot, made in zip(slots, asker.ask(wants), strict=True):
        if isinstance(made, Refused):
            raise _nothing(f"subtopics of '{slot.topic}'", made, "name them in topics")
        found[slot.language] += made
    return found


def tools_of(
    topics: Mapping[str, Sequence[str]], asker: Asker, system: str | None
) -> dict[tuple[str, str], Sequence[Tool]]:
    """By language and topic, tools that the model invents. Errors: DataError `data.empty` if a reply has none."""

    def read(reply: Reply) -> list[Tool]:
        return tools_from(json_of(reply, TOOLBOX))

    slots = [Slot(0, language, topic) for language, listed in topics.items() for topic in dict.fromkeys(listed)]
    wants = []
    for slot in slots:
        text = built_in("toolbox", slot.language).filled({"topic": slot.topic, **_common(slot, TOOLBOX)})
        wants.append(Want(slot, asked_in(system, text), read, TOOLBOX, form="toolbox"))
    found: dict[tuple[str, str], Sequence[Tool]] = {}
    for slot, made in zip(slots, asker.ask(wants), strict=True):
        if isinstance(made, Refused):
            raise _nothing(f"tools for '{slot.topic}'", made, "give them in a file: tools")
        found[slot.language, slot.topic] = made
    return found


def _common(slot: Slot, schema: Mapping[str, Any]) -> dict[str, str]:
    return {"language": LANGUAGES[slot.language], "schema": as_json(schema)}


def _nothing(what: str, refused: Refused, instead: str) -> DataError:
    why = f"the model gives no {what}: {refused.reason} ({refused.why})"
    return DataError("data.empty", why, f"{instead}, raise attempts, or ask another model")
