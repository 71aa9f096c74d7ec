"""Two answers to one prompt, the better one given by its column's name or by a column that names the winner."""

from collections.abc import Iterable
from typing import Any

from burnish.data.document import Message
from burnish.data.formats.columns import Columns, Raw
from burnish.data.formats.format import JUDGED, Format
from burnish.data.formats.labels import label_of
from burnish.data.formats.pairs import prompt_turns
from burnish.data.record import RowError

_CHOSEN = (
    ("chosen", "rejected"),
    ("preferred_output", "non_preferred_output"),
    ("chosen_messages", "rejected_messages"),
    ("chosen_response", "rejected_response"),
    ("response_j", "response_k"),
    ("response", "rejected_response"),
)
_COMPARED = (("response_a", "response_b"), ("conversation_a", "conversation_b"), ("response_0", "response_1"))
_VERDICTS = ("winner", "preferred", "preference", "better_response_id")
_TIES = ("tie", "both", "neither", "none", "bothbad", "both_bad", "tie (bothbad)")


def _fits_chosen(raw: Raw) -> str:
    return next((f"{better} and {worse}" for better, worse in _CHOSEN if _both(raw, better, worse)), "")


def _map_chosen(columns: Columns) -> dict[str, Any]:
    better, worse = next((pair for pair in _CHOSEN if columns.has(*pair)), _CHOSEN[0])
    return two_answers(
        prompt_turns(columns), columns.turns_from(better, "assistant"), columns.turns_from(worse, "assistant")
    )


def _fits_compared(raw: Raw) -> str:
    pair = next((pair for pair in _COMPARED if _both(raw, *pair)), None)
    verdict = _verdict_column(raw)
    return f"{pair[0]}, {pair[1]} and {verdict}" if pair and verdict else ""


def _map_compared(columns: Columns) -> dict[str, Any]:
    pair = next((pair for pair in _COMPARED if columns.has(*pair)), _COMPARED[0])
    better = _winner(columns, [name.rpartition("_")[2] for name in pair])
    answers = [columns.turns_from(name, "assistant") for name in pair]
    return two_answers(prompt_turns(columns), answers[better], answers[1 - better])


def _both(raw: Raw, *names: str) -> bool:
    return all(raw.get(name) is not None for name in names)


def _verdict_column(raw: Raw) -> str:
    if "winner_model_a" in raw and "winner_model_b" in raw:
        return "winner_model_a"
    return next((name for name in _VERDICTS if raw.get(name) is not None), "")


def _winner(columns: Columns, names: list[str]) -> int:
    """The index of the winner. RowError when there is none, or the verdict is unknown."""
    column = _verdict_column(columns.raw)
    if not column:
        raise RowError("winner", f"no column says which answer is better (known: {', '.join(_VERDICTS)})")
    if column == "winner_model_a":
        if "winner_tie" in columns.raw:
            columns.take("winner_tie")
        flags = [label_of(columns.take(f"winner_model_{name}")) for name in ("a", "b")]
        if None in flags:
            raise RowError(column, "the verdict must be 0 or 1")
        if flags[0] == flags[1]:
            raise RowError(column, "neither answer is the better one: leave such rows out")
        return flags.index(True)
    written = str(columns.take(column)).strip().lower()
    if written in _TIES:
        raise RowError(column, "neither answer is the better one: leave such rows out")
    short = written.rpartition("_")[2].removesuffix(".0")
    if short not in names:
        raise RowError(column, f"the verdict {written!r:.60} is unknown (known: {', '.join(names)}, tie)")
    return names.index(short)


def two_answers(prompt: list[Message], chosen: list[Message], rejected: list[Message]) -> dict[str, Any]:
    """The content of a preference row: many corpora repeat the prompt's turns inside both answers."""
    names = ("messages", "chosen", "rejected")
    return {"kind": "preference"} | dict(zip(names, _apart(prompt, chosen, rejected), strict=True))


def _apart(prompt: list[Message], chosen: list[Message], rejected: list[Message]) -> Iterable[list[Message]]:
    """(prompt, chosen, rejected)."""
    shared = 0
    while shared < min(len(chosen), len(rejected)) - 1 and chosen[shared] == rejected[shared]:
        shared += 1
    repeated = chosen[:shared]
    if not prompt or prompt == chosen:  # UltraFeedback's `messages` are the whole conversation with the better answer
        if not repeated:
            raise RowError("prompt", "there is no prompt: neither a column nor turns that both answers share")
        return repeated, chosen[shared:], rejected[shared:]
    if repeated:
        without_system = [m for m in prompt if m["role"] != "system"]
        if repeated in (prompt, without_system):
            return prompt, chosen[shared:], rejected[shared:]
        if len(prompt) == 1 and any(m["content"] == prompt[0]["content"] for m in repeated):
            return repeated, chosen[shared:], rejected[shared:]
        raise RowError("chosen", "both answers begin with turns that are not those of the prompt")
    return prompt, chosen, rejected


FORMAT = Format("preference", tuple(zip(*_CHOSEN, strict=True)), _fits_chosen, _map_chosen, rank=JUDGED)
COMPARED = Format(
    "compared",
    (*zip(*_COMPARED, strict=True), (*_VERDICTS, "winner_model_a")),
    _fits_compared,
    _map_compared,
    rank=JUDGED,
)
