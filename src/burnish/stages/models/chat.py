"""chat: talk to a model in the terminal. The command line starts it as its own process, attached to the terminal.

python -m burnish.stages.models.chat INPUT_JSON [--ask TEXT] [--system TEXT] [--temperature N] [--max-new-tokens N]
"""

import json
import sys
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from burnish.core.context import Input
from burnish.core.errors import AskError
from burnish.core.events import Chosen, Event, Note
from burnish.core.files import file_size
from burnish.core.inputs.gguf import gguf_file, read_keys
from burnish.core.recipes.validation import make_spec
from burnish.models.bases import chain_of, folder_of
from burnish.models.device import inference_dtype, pick_device
from burnish.models.engines.opening import engine_of, is_gguf, open_model
from burnish.models.engines.protocol import Engine
from burnish.models.load import describe
from burnish.serve.chat.notation import misplaced, notation_of
from burnish.specs.evals import GenerationSpec
from burnish.specs.tokens import RenderSpec
from burnish.stages.models.terminal import Dialog, chat, options, print_note
from burnish.stages.models.tokenizers import tokenizer_of
from burnish.tokens.rendering.renderer import Renderer


class Conversation(Dialog):
    """A dialog that an engine continues."""

    def __init__(self, engine: Engine, renderer: Renderer, generation: GenerationSpec, system: str | None = None):
        super().__init__(system)
        self._engine, self._renderer, self._generation = engine, renderer, generation

    def turn(self, shown: str) -> dict[str, Any]:
        """Without the control tokens that a model wrote within it: the next prompt would be refused for them."""
        for text in self._misplaced:
            shown = shown.replace(text, "")
        return super().turn(shown)

    @cached_property
    def _misplaced(self) -> tuple[str, ...]:
        return misplaced(self._renderer, notation_of(self._renderer).example)

    def pieces(self) -> Iterator[str]:
        _, ids = self._renderer.prompt(self.messages)
        yield from self._engine.stream(ids, self._generation, self._renderer.stop_ids)


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer one question, or chat until the user ends it; returns the exit status."""
    parser = options("Talk to a model or adapter in the terminal.")
    parser.add_argument("--date", default="auto", help="what the chat template prints as the date; auto is today")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda", "mps"])
    given = parser.parse_args(arguments)
    source = Input.from_json(json.loads(given.model))

    def start(generation: GenerationSpec) -> Dialog:
        return _open(source, generation, given.system, given.device, given.date)

    return chat(given, source.ref, start, lambda: _title(source))


def _open(source: Input, generation: GenerationSpec, system: str | None, device: str, date: str) -> Conversation:
    """Load everything; a tokenizer without a chat template is reported before the model is loaded."""
    tokenizer = tokenizer_of(source, _report)
    renderer = Renderer(tokenizer, make_spec(RenderSpec, {"date": date}, lambda _: "--date"))
    if renderer.date is not None:
        text = f"the chat template prints the date: {renderer.date}" + ", today" * (date == "auto")
        print_note(f"{text}; --date sets another")
    renderer.prompt([{"role": "user", "content": "?"}])
    if is_gguf(source) and device not in ("auto", "cpu"):
        what = f"--device {device} has no effect on a GGUF file: llama.cpp computes on a CPU"
        raise AskError("ask.wrong-value", what, "remove --device")
    place = pick_device(device)
    model = open_model(source, dtype=inference_dtype(place), device=place, emit=_report)
    engine = engine_of(model, tokenizer, _report)
    return Conversation(engine, renderer, generation, system)


def _report(event: Event) -> None:
    """Notes of the engine about the model."""
    if isinstance(event, Note):
        print_note(event.text)
    elif isinstance(event, Chosen):
        print_note(f"{event.field}: {event.value} ({event.reason})")


def _title(source: Input) -> str:
    """Which model this is: family, size, and the base of an adapter."""
    if is_gguf(source):
        path = gguf_file(source.path)
        family = read_keys(path, ("general.architecture",)).get("general.architecture")
        return f"{source.ref} ({family}, a GGUF file of {file_size(path.stat().st_size)})"
    base = chain_of(source)[-1]
    card = describe(folder_of(base))
    on = "" if base is source else f", an adapter on {base.ref if isinstance(base, Input) else base}"
    return f"{source.ref}{on} ({card.family}, {card.parameters:,} parameters)"


if __name__ == "__main__":
    sys.exit(main())
