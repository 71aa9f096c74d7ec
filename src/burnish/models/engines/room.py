"""The tokens that may follow each prompt: what every engine refuses before it answers, and warns of once."""

from collections.abc import Callable, Sequence

from burnish.core.errors import DataError, ModelError
from burnish.core.events import Event, Note


class Rooms:
    """Of a model with `vocabulary` embeddings and at most `context` tokens; `emit` gets the warning."""

    def __init__(self, vocabulary: int, context: int, emit: Callable[[Event], None]):
        self._vocabulary, self._context, self._emit = vocabulary, context, emit
        self._has_warned = False

    def of(self, prompts: Sequence[Sequence[int]], longest: int) -> list[int]:
        """The most tokens that may follow each prompt; warns once if the context ends before any has `longest`.

        Errors: ModelError `model.broken` for an empty prompt and for ids outside the vocabulary; DataError
        `data.too-long` for a prompt that fills the context.
        """
        if longest >= self._context and prompts and not self._has_warned:
            self._has_warned = True
            text = f"max_new_tokens is {longest:,}, and the model's context is {self._context:,}: answers end there"
            self._emit(Note(level="warning", text=text))
        return [self._room(prompt, longest) for prompt in prompts]

    def _room(self, prompt: Sequence[int], longest: int) -> int:
        if not prompt or max(prompt) >= self._vocabulary or min(prompt) < 0:
            raise ModelError(
                "model.broken",
                f"a prompt is empty or has ids outside the model's {self._vocabulary} embeddings",
                "use the tokenizer that belongs to the model",
            )
        if len(prompt) >= self._context:
            raise DataError(
                "data.too-long",
                f"a prompt has {len(prompt)} tokens, and the model's context is {self._context}",
                "shorten or remove the row: the model has no room for an answer",
            )
        return min(longest, self._context - len(prompt))
