"""Whether two models turn conversations into the same tokens: template, tokenizer, special tokens, settings."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.core.errors import BurnishError, ModelError
from burnish.core.faults import reason
from burnish.evals.certificates.check import Check, absent, held
from burnish.evals.certificates.golden import GOLDEN, Golden, Message
from burnish.models.quiet import quiet_transformers
from burnish.tokens.rendering.renderer import Renderer
from burnish.tokens.templates.dialect import Dialect

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

GOLDEN_DAY = date(2026, 1, 1)
"""What a template prints that reads the clock: the same for both."""
_NOT_COMPARED = ("transformers_version", "_from_model_config", "_name_or_path")
Rendering = tuple[str, list[int]]
"""Text and ids; for a conversation that cannot be rendered the code of the error, and no ids."""


def rendering(tokenizer: "PreTrainedTokenizerBase", golden: Golden, prompt: bool) -> Rendering:
    """A golden conversation as the model gets it: whole, or up to the generation prompt before its last answer.

    Without a chat template it is the plain text, with the special tokens that the tokenizer adds.
    """
    if tokenizer.chat_template is None:
        text = Golden(golden.name, golden.messages[:-1]).text if prompt else golden.text
        return text, _ids(tokenizer, text, add_special_tokens=True)
    messages = golden.messages[:-1] if prompt else golden.messages
    try:
        text = _rendered(tokenizer, messages, golden.tools, prompt)
    except BurnishError as error:  # such as a template that takes no system message
        return error.code, []
    return text, _ids(tokenizer, text)


def refusal(tokenizer: "PreTrainedTokenizerBase | None", golden: Golden, prompt: bool) -> str:
    """The code of the error with which the chat template refuses a golden conversation; "" if it renders it."""
    if tokenizer is None:
        return ""
    text, ids = rendering(tokenizer, golden, prompt)
    return "" if ids else text


def rendered_ids(tokenizer: "PreTrainedTokenizerBase", row: Mapping[str, Any]) -> list[int]:
    """The ids of a whole row: a text, or the messages with the chat template. Errors: those of rendering."""
    if row["kind"] == "text":
        return _ids(tokenizer, row["text"], add_special_tokens=True)
    return _ids(tokenizer, _rendered(tokenizer, row["messages"], row.get("tools"), prompt=False))


def _rendered(tokenizer: "PreTrainedTokenizerBase", messages: Sequence[Message], tools: Any, prompt: bool) -> str:
    dialect = Dialect(tokenizer, Renderer(tokenizer).template, GOLDEN_DAY)
    return dialect.trace(messages, tools, prompt=prompt).text


def compare_tokens(parent: "PreTrainedTokenizerBase", child: "PreTrainedTokenizerBase") -> list[Check]:
    """The checks `template`, `tokens`, `tokenizer` and `special tokens`."""
    return [
        _template(parent.chat_template, child.chat_template),
        _conversations(parent, child),
        _definition(parent, child),
        _special_tokens(parent, child),
    ]


def compare_settings(name: str, parent: Mapping[str, Any], child: Mapping[str, Any], ignored: Sequence[str]) -> Check:
    """Whether two configs have the same values; None is the same as no value."""
    ours, theirs = (
        {key: value for key, value in config.items() if value is not None and key not in (*_NOT_COMPARED, *ignored)}
        for config in (parent, child)
    )
    differing = sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key))
    if not differing:
        return held(name, True, f"{len(ours)} settings are equal", "equal")
    shown = ", ".join(f"{key} is {_short(theirs.get(key))}, not {_short(ours.get(key))}" for key in differing[:3])
    return held(name, False, shown + (f", and {len(differing) - 3} more" if len(differing) > 3 else ""), "equal")


def generation_settings(folder: Path) -> dict[str, Any]:
    """The generation config in effect: that of the folder, else that of its model's config."""
    from transformers import AutoConfig, GenerationConfig

    with quiet_transformers():
        if (file := folder / "generation_config.json").is_file():
            try:
                return GenerationConfig.from_pretrained(folder, local_files_only=True).to_dict()
            except (OSError, ValueError, TypeError) as error:
                raise ModelError("model.broken", f"{file}: {reason(error)}", "copy the model again") from error
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        return GenerationConfig.from_model_config(config).to_dict()


def compare_ids(rendered: Iterable[tuple[str, list[int] | None, list[int] | None]]) -> Check:
    """The check `tokens` from ids alone: (name, the parent's, the child's), None where they cannot be seen."""
    seen = [(name, ours, theirs) for name, ours, theirs in rendered if ours is not None and theirs is not None]
    if not seen:
        return absent("tokens", "the ids of conversations are not visible")
    pairs = [(name, ("refused", ours), ("refused", theirs)) for name, ours, theirs in seen]
    differing = [_difference(name, ours, theirs) for name, ours, theirs in pairs if ours != theirs]
    if differing:
        return held("tokens", False, f"{len(differing)} renderings differ; the first: {differing[0]}", "identical ids")
    count = sum(len(ours) for _, ours, _ in seen)
    return held("tokens", True, f"{len(seen)} renderings give the same {count:,} tokens", "identical ids")


def _template(parent: Any, child: Any) -> Check:
    if parent is None and child is None:
        return absent("template", "neither has a chat template")
    if parent == child:
        return held("template", True, "the chat templates are identical", "identical")
    if parent is None or child is None:
        return held("template", False, f"only the {'child' if parent is None else 'parent'} has one", "identical")
    ours, theirs = (text if isinstance(text, str) else json.dumps(text, sort_keys=True) for text in (parent, child))
    place = next((n for n, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))
    line = ours[:place].count("\n") + 1
    return held("template", False, f"the chat templates differ from character {place} on (line {line})", "identical")


def _conversations(parent: "PreTrainedTokenizerBase", child: "PreTrainedTokenizerBase") -> Check:
    count, unrendered, differing = 0, 0, list[str]()
    for golden in GOLDEN:
        for prompt in (False, True):
            ours, theirs = rendering(parent, golden, prompt), rendering(child, golden, prompt)
            unrendered += not ours[1] and not prompt
            count += len(ours[1])
            if ours != theirs:
                differing.append(_difference(f"{golden.name}{' (prompt)' if prompt else ''}", ours, theirs))
        plain = [_ids(tokenizer, golden.text, add_special_tokens=True) for tokenizer in (parent, child)]
        if plain[0] != plain[1]:
            differing.append(_difference(f"{golden.name} (plain text)", ("", plain[0]), ("", plain[1])))
    if differing:
        return held("tokens", False, f"{len(differing)} renderings differ; the first: {differing[0]}", "identical ids")
    refused = f"; {unrendered} that the template refuses" if unrendered else ""
    found = f"{len(GOLDEN)} conversations give the same {count:,} tokens{refused}"
    return held("tokens", True, found, "identical ids")


def _difference(name: str, ours: Rendering, theirs: Rendering) -> str:
    if not ours[1] or not theirs[1]:
        return f"{name}: {ours[0] if not ours[1] else 'rendered'} and {theirs[0] if not theirs[1] else 'rendered'}"
    pairs = enumerate(zip(ours[1], theirs[1], strict=False))
    place = next((n for n, (a, b) in pairs if a != b), min(len(ours[1]), len(theirs[1])))
    if ours[1] == theirs[1]:
        return f"{name}: the same tokens for another text"
    return f"{name}: token {place + 1} is {_at(theirs[1], place)}, not {_at(ours[1], place)}"


def _at(ids: Sequence[int], place: int) -> str:
    return str(ids[place]) if place < len(ids) else "missing"


def _definition(parent: "PreTrainedTokenizerBase", child: "PreTrainedTokenizerBase") -> Check:
    if parent.get_vocab() != child.get_vocab():
        ours, theirs = parent.get_vocab(), child.get_vocab()
        differing = sorted(token for token in ours.keys() | theirs.keys() if ours.get(token) != theirs.get(token))
        first = f"'{differing[0]}' is {theirs.get(differing[0], 'missing')}, not {ours.get(differing[0], 'missing')}"
        return held("tokenizer", False, f"{len(differing):,} tokens have other ids: {first}", "identical")
    ours, theirs = _parts(parent), _parts(child)
    differing = sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key))
    if differing:
        return held("tokenizer", False, f"other {', '.join(differing)}", "identical")
    found = f"{len(parent.get_vocab()):,} tokens, and how text is cut into them, are identical"
    return held("tokenizer", True, found, "identical")


def _parts(tokenizer: "PreTrainedTokenizerBase") -> dict[str, Any]:
    if not tokenizer.is_fast:
        return {"class": type(tokenizer).__name__}
    backend: Any = tokenizer.backend_tokenizer
    parts = json.loads(backend.to_str())
    for name in ("truncation", "padding", "version"):
        parts.pop(name, None)
    return parts


def _special_tokens(parent: "PreTrainedTokenizerBase", child: "PreTrainedTokenizerBase") -> Check:
    ours, theirs = (
        {**{name: str(token) for name, token in tokenizer.special_tokens_map.items()}} for tokenizer in (parent, child)
    )
    return compare_settings("special tokens", ours, theirs, ())


def _ids(tokenizer: "PreTrainedTokenizerBase", text: str, add_special_tokens: bool = False) -> list[int]:
    return [int(token) for token in tokenizer(text, add_special_tokens=add_special_tokens)["input_ids"]]


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"
